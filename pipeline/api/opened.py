"""Cached features as arrays: rows of pictures, columns of features, split by split.

What else they are given as, a table or a ``tf.data.Dataset``, imports its library when asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.errors import InputError, UnknownNameError
from pipeline.features import Caches, left_out_of
from pipeline.features.base import FrozenBase
from pipeline.images import SPLITS, Dataset
from pipeline.system.startup import import_framework
from pipeline.system.units import named

if TYPE_CHECKING:
    import tensorflow as tf

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]


def column_names(layers: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return a name per feature: its layer and its place there.

    >>> column_names(["block5", "top"], [1, 2])
    ['block5_0', 'top_0', 'top_1']
    """
    parts = zip(layers, widths, strict=True)
    return [f"{layer}_{place}" for layer, width in parts for place in range(width)]


@dataclass(frozen=True)
class Held:
    """What all views of one opened data set share; ``n_views`` is the highest number of a view."""

    dataset: Dataset
    base: FrozenBase
    caches: Caches
    n_views: int


class OpenedFeatures:
    """Pictures that have features, ordered by path, and those features.

    Row i of every array is the same picture. Made by `pipeline.open_features`; features are read
    when they are first asked for.

    Attributes:
        classes: Class names, sorted; ``y`` counts them.
        paths: Path of each row, relative to ``location``.
        y: (n,) int64, number of the class.
        splits: (n,) str, ``"train"``, ``"validation"`` or ``"test"``; ``"test"`` is always the
            final test.
        groups: (n,) int64, equal for rows that no fold may divide: byte-identical pictures, and
            pictures of one group of a table. Ready for scikit-learn's ``GroupKFold``.
        layers: Name of each cut whose features lie side by side.
        shapes: Shape of one picture's features of each of these.
        n_views: Augmented views that are cached of training pictures (or of all).
        recipe: Id of the recipe that the features were made with.
        left_out: (path, reason) of pictures without features.
    """

    def __init__(self, held: Held, rows: np.ndarray, cuts: Sequence[Cut]) -> None:
        self._held, self._rows, self._cuts = held, rows, tuple(cuts)
        self._names = [(cut.layer, cut.pooling) for cut in cuts]
        dataset = held.dataset
        self.location, self.classes = dataset.location, dataset.classes
        self.paths = tuple(dataset.paths[row] for row in rows)
        self.y, self.splits = dataset.labels[rows], dataset.splits[rows]
        self.layers = held.base.with_cuts(self._cuts).layers
        self.recipe, self.n_views = held.base.recipe.id, held.n_views

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        counts = Counter(self.splits.tolist())
        splits = ", ".join(f"{name} {counts[name]}" for name in SPLITS if counts[name])
        return (
            f"OpenedFeatures({len(self)} pictures of {len(self.classes)} classes, {splits}; "
            f"{sum(self._widths)} features of {', '.join(self.layers)})"
        )

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one picture's features of each layer: (d,), or (h, w, c) of a map."""
        clean = self._held.caches.clean
        return dict(zip(self.layers, map(clean.row_shape, self._names), strict=True))

    @property
    def _widths(self) -> list[int]:
        return [int(np.prod(shape)) for shape in self.shapes.values()]

    @cached_property
    def groups(self) -> np.ndarray:
        """Numbers (n,) int64 of what must stay together."""
        bundles = self._held.dataset.bundles(self._rows)
        return np.arange(len(self)) if bundles is None else bundles

    @cached_property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """Pictures of the whole data set without features: (path, reason)."""
        found = left_out_of(self._held.dataset, self._held.caches.clean)
        return tuple((one.path, one.reason) for one in found)

    @cached_property
    def X(self) -> np.ndarray:  # noqa: N802
        """Features (n, d) float32, layers side by side, maps flat; read once, then kept."""
        return self._read(slice(None))

    def view(self, number: int) -> np.ndarray:
        """Return the features of one augmented view of every row: (n, d) float32.

        Args:
            number: From 1 to ``n_views``; 0 is the picture as it is.

        Raises:
            InputError: Some row has no such view; with ``views`` only training pictures have.
        """
        if number == 0:
            return self.X
        viewed = self._held.caches.viewed
        digests = self._held.dataset.digests[self._rows]
        if viewed is None or not 1 <= number <= self.n_views:
            raise InputError(
                f"expected the number of a view from 0 to {self.n_views}, received {number}; "
                f"open the features with views={number}"
            )
        if missing := int(np.sum(~viewed.has(digests, number))):
            raise InputError(
                f"expected view {number} of all {len(self)} pictures, {missing} have none: views "
                f"are of training pictures; take split('train') first, or cache test_views"
            )
        return self._read(slice(None), number)

    def _read(self, part: slice, view: int = 0) -> np.ndarray:
        """Read some rows, each chunk on disk once."""
        caches = self._held.caches
        cache = caches.viewed if view else caches.clean
        assert cache is not None
        return cache.blocks(self._names, self._held.dataset.digests[self._rows[part]], view).array()

    def split(self, name: str) -> "OpenedFeatures":
        """Return the pictures of one split, in the same order.

        Args:
            name: ``"train"``, ``"validation"`` or ``"test"``.

        Raises:
            UnknownNameError: It is none of these.
            InputError: The data have no such split.
        """
        if name not in SPLITS:
            raise UnknownNameError("split", name, SPLITS, f"choose one of {', '.join(SPLITS)}")
        chosen = self.splits == name
        if not chosen.any():
            there = ", ".join(sorted(set(self.splits.tolist())))
            test_name = self._held.dataset.test_name
            told = "" if test_name == "test" else f" (test is what the source calls {test_name})"
            raise InputError(
                f"expected pictures of the split {name!r} in {self.location}, received only "
                f"{there}{told}; choose one of these"
            )
        return OpenedFeatures(self._held, self._rows[chosen], self._cuts)

    def layer(self, name: str) -> "OpenedFeatures":
        """Return the same pictures with the features of one layer alone.

        Args:
            name: One of ``layers``.

        Raises:
            UnknownNameError: It is none of these.
        """
        if name not in self.layers:
            known = f"opened: {named(self.layers, 10, str)}"
            raise UnknownNameError("layer", name, self.layers, known)
        return OpenedFeatures(self._held, self._rows, [self._cuts[self.layers.index(name)]])

    def blocks(self, n_rows: int = 1024) -> Pairs:
        """Yield (X, y) block by block in row order; memory holds one block.

        Args:
            n_rows: Rows of each block, fewer in the last.

        Yields:
            Features (b, d) float32 and labels (b,) int64.

        Raises:
            InputError: ``n_rows`` is below 1.
        """
        if n_rows < 1:
            raise InputError(f"expected at least 1 row in a block, received n_rows={n_rows}")
        return self._blocks(n_rows)

    def _blocks(self, n_rows: int) -> Pairs:
        for start in range(0, len(self), n_rows):
            part = slice(start, start + n_rows)
            yield self._read(part), self.y[part]

    def shuffled_blocks(self, seed: int) -> Pairs:
        """Yield (X, y) in large blocks whose rows are drawn from all over; each row once.

        Args:
            seed: The same one gives the same order.
        """
        blocks = self._held.caches.clean.blocks(self._names, self._held.dataset.digests[self._rows])
        rng = np.random.default_rng(seed)
        for places, rows in blocks.shuffled(seed):
            order = rng.permutation(len(places))
            yield rows[order], self.y[places[order]]

    def feature_names(self) -> list[str]:
        """Return the names of the columns: ``top_0``, ``top_1``, …."""
        return column_names(self.layers, self._widths)

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame: ``path`` as index, ``label``, ``split``, a column per feature.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            pd = import_module("pandas")
        except ImportError as error:
            raise InputError(
                "expected pandas for to_pandas, which is not installed; run: pip install pandas, "
                "or use the arrays X and y"
            ) from error
        index = pd.Index(self.paths, name="path")
        table = pd.DataFrame(self.X, index=index, columns=self.feature_names())
        table.insert(0, "label", pd.Categorical.from_codes(self.y, categories=list(self.classes)))
        table.insert(1, "split", self.splits.tolist())
        return table

    def to_tf_data(
        self, batch_size: int = 32, *, shuffle: bool = False, seed: int = 0
    ) -> "tf.data.Dataset[Any]":
        """Return a ``tf.data.Dataset`` of (features (b, d) float32, labels (b,) int64).

        Features are read while it is iterated; memory holds a block of them. In row order, or
        anew in each pass where they are shuffled.

        Args:
            batch_size: Rows of each batch, fewer in the last.
            shuffle: Draw rows, chunks of the file at a time.
            seed: Of the first pass; every further pass counts on from it.

        Raises:
            InputError: ``batch_size`` is below 1.
        """
        if batch_size < 1:
            raise InputError(f"expected at least 1 row a batch, received batch_size={batch_size}")
        tf = import_framework("tensorflow", "to_tf_data")

        passes = count(seed)

        def batches() -> Pairs:
            if not shuffle:
                return self.blocks(batch_size)
            return _rebatched(self.shuffled_blocks(next(passes)), batch_size)

        width = len(self.feature_names())
        signature = (tf.TensorSpec((None, width), tf.float32), tf.TensorSpec((None,), tf.int64))
        made = tf.data.Dataset.from_generator(batches, output_signature=signature)
        n_batches = -(-len(self) // batch_size)
        return made.apply(tf.data.experimental.assert_cardinality(n_batches)).prefetch(2)


def _rebatched(blocks: Pairs, size: int) -> Pairs:
    """Cut blocks of any length into batches of one size; what is over goes into the next."""
    X, y = np.empty((0, 0), np.float32), np.empty(0, np.int64)
    for more, labels in blocks:
        X, y = (
            (np.concatenate([X, more]), np.concatenate([y, labels])) if len(y) else (more, labels)
        )
        whole = len(y) // size * size
        for start in range(0, whole, size):
            yield X[start : start + size], y[start : start + size]
        X, y = X[whole:], y[whole:]
    if len(y):
        yield X, y
