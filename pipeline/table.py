"""A data set joined with its cached features: rows, labels and X, aligned, split by split."""

from typing import Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.frozen import FrozenBase
from pipeline.errors import DataError
from pipeline.images import Dataset
from pipeline.store import FeatureCache

Input = tuple[Cut, ...]
"""What a head sees: one cut, or several side by side."""


class FeatureTable:
    """The pictures of a data set that have features, and those features.

    Args:
        dataset: Pictures, labels and splits.
        cache: Where the features are; pictures that are quarantined there are left out.
        base: The base whose features they are.

    Raises:
        DataError: A class has no readable picture in train or in test.
    """

    def __init__(self, dataset: Dataset, cache: FeatureCache, base: FrozenBase) -> None:
        self.dataset, self.base, self._cache = dataset, base, cache
        hexes = (digest.tobytes().hex() for digest in dataset.digests)
        bad = np.array([digest in cache.quarantined for digest in hexes], bool)
        self._usable = ~bad | cache.has(dataset.digests)
        self._held: tuple[Input, np.ndarray] | None = None
        check_classes(dataset, self._usable)

    def rows(self, split: str) -> np.ndarray:
        """Return the usable rows of a split, ordered by path."""
        rows = self.dataset.select(split)
        return rows[self._usable[rows]]

    def labels(self, split: str) -> np.ndarray:
        """Return the class numbers of a split's rows: (n,) int."""
        return self.dataset.labels[self.rows(split)]

    def features(self, joined: Input, rows: np.ndarray) -> np.ndarray:
        """Return one input's features of the given rows, flat and side by side: (n, d) float32."""
        if self._held is None or self._held[0] != joined:
            self._held = (joined, self._read(joined))
        return self._held[1][rows]

    def _read(self, joined: Input) -> np.ndarray:
        """Read all usable rows; the others stay zero and are never handed out."""
        usable = np.flatnonzero(self._usable)
        digests = self.dataset.digests[usable]
        columns = []
        for cut in joined:
            part = self._cache.read((cut.layer, cut.pooling), digests)
            column = np.zeros((len(self._usable), part[0].size), np.float32)
            column[usable] = part.reshape(len(part), -1)
            columns.append(column)
        return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)

    def describe(self) -> dict[str, Any]:
        """Return what a run remembers of its data."""
        names = ("train", "validation", "test")
        return {
            "root": str(self.dataset.root.resolve()),
            "digest": self.dataset.digest,
            "classes": list(self.dataset.classes),
            "pictures": {name: len(self.rows(name)) for name in names},
            "left_out": int(np.sum(~self._usable)) + len(self.dataset.unreadable),
            "given_splits": self.dataset.given_splits,
            "leaked": self.dataset.n_leaked,
        }


def check_classes(dataset: Dataset, usable: np.ndarray) -> None:
    """Refuse data in which some class has no usable picture in train or in test.

    Args:
        dataset: The pictures.
        usable: (n,) bool, which rows count.

    Raises:
        DataError: A class is missing somewhere.
    """
    for split in ("train", "test"):
        rows = dataset.select(split)
        counts = np.bincount(dataset.labels[rows[usable[rows]]], minlength=len(dataset.classes))
        if not counts.all():
            empty = dataset.classes[int(np.argmin(counts))]
            name = dataset.test_name if split == "test" else split
            raise DataError(
                f"expected readable pictures of every class in {name}, received none of "
                f"{empty!r} in {dataset.root}; add some, or move some there"
            )


def copies(dataset: Dataset, rows: np.ndarray) -> np.ndarray | None:
    """Number byte-identical pictures alike, so that folds keep them together; None if none."""
    unique, numbers = np.unique(dataset.digests[rows], axis=0, return_inverse=True)
    return None if len(unique) == len(rows) else numbers.ravel()
