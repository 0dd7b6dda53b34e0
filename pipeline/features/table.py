"""A data set joined with its cached features: rows, labels and X, aligned, split by split."""

from functools import cached_property
from math import prod

import numpy as np

from pipeline.errors import DataError
from pipeline.features.base import FrozenBase
from pipeline.features.inputs import Input
from pipeline.features.store import FeatureCache
from pipeline.features.store.blocks import ChainedBlocks
from pipeline.features.worklist import left_out_of, undecodable
from pipeline.images import Dataset
from pipeline.images.usable import check_every_class


class FeatureTable:
    """The pictures of a data set that have features, and those features.

    Pictures that are quarantined in the cache are left out. ``viewed`` has the features of
    augmented views, ``n_views`` of each training picture, to learn from, ``n_test_views`` of all,
    to judge by.

    Raises:
        DataError: A class has no readable picture in train or in test, or a picture that could be
            decoded has no features.
    """

    def __init__(
        self,
        dataset: Dataset,
        cache: FeatureCache,
        base: FrozenBase,
        viewed: FeatureCache | None = None,
        n_views: int = 0,
        n_test_views: int = 0,
    ) -> None:
        self.dataset, self.base, self._cache = dataset, base, cache
        self._viewed = viewed
        self.n_views, self.n_test_views = (0, 0) if viewed is None else (n_views, n_test_views)
        has = cache.has(dataset.digests)
        self._usable = ~undecodable(cache, dataset.digests)
        missing = np.flatnonzero(self._usable & ~has)
        if len(missing):
            raise DataError(
                f"expected features of every picture in {dataset.location}, received none of "
                f"{len(missing)}, first {dataset.paths[missing[0]]}: it could not be read or "
                f"was not computed; run `pipeline features` again, or take it away"
            )
        self._held: tuple[Input, np.ndarray] | None = None
        self._held_views: tuple[tuple[Input, bytes], np.ndarray] | None = None
        check_every_class(dataset, left_out_of(dataset, cache))

    @cached_property
    def used(self) -> Dataset:
        """The data set of the usable pictures alone, for counting; its rows have other numbers."""
        return self.dataset.taking(self._usable)

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

    def widths(self, joined: Input) -> tuple[int, ...]:
        """Return how many features each cut of an input has."""
        return tuple(prod(self._cache.row_shape((cut.layer, cut.pooling))) for cut in joined)

    def with_views(self, joined: Input, rows: np.ndarray) -> np.ndarray:
        """Return features of training pictures and of their views: ((1 + n_views) · n, d) float32.

        The pictures as they are in the order of ``rows``, then view 1 of each, and so on.
        """
        clean = self.features(joined, rows)
        if not self.n_views:
            return clean
        if self._held_views is None or self._held_views[0] != (joined, rows.tobytes()):
            numbers = range(1, self.n_views + 1)
            views = [self.view_features(joined, rows, number) for number in numbers]
            self._held_views = ((joined, rows.tobytes()), np.concatenate([clean, *views]))
        return self._held_views[1]

    def view_features(self, joined: Input, rows: np.ndarray, number: int) -> np.ndarray:
        """Return features of one view of rows (n,) int, flat and side by side: (n, d) float32.

        View 0 is the picture as it is. Views are read whenever they are asked for, so that memory
        holds one at a time. Raises StoreError if some row's view is not cached.
        """
        if number == 0:
            return self.features(joined, rows)
        assert self._viewed is not None, f"a table without views was asked for view {number}"
        return self._viewed.blocks(_keys(joined), self.dataset.digests[rows], number).array()

    def blocks(self, joined: Input, rows: np.ndarray, n_views: int = 0) -> ChainedBlocks:
        """Return features of rows (n,) int to be read in blocks, any number of times.

        After the pictures as they are in the order of ``rows`` comes view 1 of each, and so on, as
        in `with_views`. Nothing is held. Raises StoreError if some row is not cached.
        """
        cuts, digests = _keys(joined), self.dataset.digests[rows]
        parts = [self._cache.blocks(cuts, digests)]
        if n_views:
            assert self._viewed is not None, f"a table without views was asked for {n_views}"
            parts += [self._viewed.blocks(cuts, digests, view + 1) for view in range(n_views)]
        return ChainedBlocks(parts)

    def n_bytes(self, joined: Input) -> int:
        """Return what `features` of an input, and `with_views` of it, hold in memory."""
        n_rows = len(self.dataset) + self.n_views * len(self.rows("train"))
        return 4 * n_rows * sum(self.widths(joined))

    def _read(self, joined: Input) -> np.ndarray:
        """Read all usable rows; the others stay zero and are never handed out."""
        usable = np.flatnonzero(self._usable)
        part = self._cache.blocks(_keys(joined), self.dataset.digests[usable]).array()
        features = np.zeros((len(self._usable), part.shape[1]), np.float32)
        features[usable] = part
        return features

    @property
    def n_left_out(self) -> int:
        """Pictures of the data set that cannot be used."""
        return int(np.sum(~self._usable)) + len(self.dataset.left_out)


def _keys(joined: Input) -> list[tuple[str, str]]:
    """Return the cuts of an input as a cache knows them."""
    return [(cut.layer, cut.pooling) for cut in joined]
