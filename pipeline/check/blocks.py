"""Similarity of many features block by block: what is alike, and how far the neighbours are.

Rows are unit vectors, so a matrix product of two blocks holds their cosine similarities. Memory is
that of two blocks and what is found, however many rows there are.
"""

import numpy as np

from pipeline.system.progress import SILENT, Reporter

BLOCK = 2048
CLIP = 5.0
"""Standard deviations. A channel that is active in two pictures only would make these two alike."""


def unit_rows(features: np.ndarray) -> np.ndarray:
    """Standardise every feature, clip it, and scale every row to length 1: (n, d) float32.

    Standardising takes away what all pictures share; without it any two are alike. A row without
    anything of its own becomes zeros, which are similar to nothing.
    """
    mean, scale = _moments(features)
    unit = np.empty(features.shape, np.float32)
    for begin in range(0, len(features), BLOCK):
        rows = slice(begin, begin + BLOCK)
        block = (features[rows] - mean) / scale
        np.clip(block, -CLIP, CLIP, out=block)
        length = np.linalg.norm(block, axis=1, keepdims=True)
        unit[rows] = block / np.where(length > 0, length, 1)
    return unit


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (d,), the latter infinite where nothing varies."""
    n_rows = max(1, len(features))
    mean = features.sum(0, dtype=np.float64) / n_rows
    squares = np.zeros_like(mean)
    for begin in range(0, len(features), BLOCK):
        squares += ((features[begin : begin + BLOCK] - mean) ** 2).sum(0)
    deviation = np.sqrt(squares / n_rows)
    # What varies by float32's rounding alone would become a feature like any other.
    varies = deviation > 1e-5 * np.abs(mean)
    return mean, np.where(varies & (deviation > 0), deviation, np.inf)


class PairList:
    """The most similar pairs so far, at most ``limit`` of them.

    Where there are more, the less similar half is dropped and the floor rises to what is left.
    """

    def __init__(self, floor: float, limit: int) -> None:
        self.floor, self._limit = floor, limit
        self._rows = [np.empty((0, 2), np.int32)]
        self._similarities = [np.empty(0, np.float32)]
        self._n = 0

    def add(self, rows: np.ndarray, others: np.ndarray, similarities: np.ndarray) -> None:
        """Take pairs of row numbers, (m,) each, that are at least as similar as the floor."""
        self._rows.append(np.stack([rows, others], 1).astype(np.int32))
        self._similarities.append(similarities)
        self._n += len(rows)
        if self._n > self._limit:
            self._drop_half()

    def _drop_half(self) -> None:
        rows, similarities = self.all()
        self.floor = float(np.partition(similarities, -self._limit // 2)[-self._limit // 2])
        kept = similarities >= self.floor
        if kept.sum() > self._limit:  # all of them equally similar: any of them will do
            kept[np.flatnonzero(kept)[self._limit // 2 :]] = False
        self._rows, self._similarities = [rows[kept]], [similarities[kept]]
        self._n = int(kept.sum())

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Return row numbers (m, 2) int32, the lower first, and similarities (m,) float32."""
        return np.concatenate(self._rows), np.concatenate(self._similarities)


def similar_pairs(
    unit: np.ndarray, floor: float, limit: int, reporter: Reporter = SILENT
) -> PairList:
    """Find all pairs of rows with a similarity of at least ``floor``.

    Args:
        unit: (n, d) float32, rows of length 1.
        floor: Least cosine similarity.
        limit: Most pairs to hold.
        reporter: Told after each row of blocks, in blocks.
    """
    found, begins = PairList(floor, limit), range(0, len(unit), BLOCK)
    n_blocks, done = len(begins) * (len(begins) + 1) // 2, 0
    for begin in begins:
        for other in range(begin, len(unit), BLOCK):  # the matrix is symmetric: its upper half
            block = unit[begin : begin + BLOCK] @ unit[other : other + BLOCK].T
            if other == begin:
                block[np.tril_indices(len(block))] = -1
            rows, columns = np.nonzero(block >= found.floor)
            if len(rows):
                found.add(rows + begin, columns + other, block[rows, columns])
            done += 1
        reporter.advance("check", done, n_blocks, "blocks")
    return found


def distance_of_nth(
    unit: np.ndarray, rows: np.ndarray, n: int, reporter: Reporter = SILENT
) -> np.ndarray:
    """Return how far the n-th nearest other row is from some rows: 1 - similarity, (m,) float32.

    Args:
        unit: (N, d) float32, rows of length 1.
        rows: (m,) row numbers.
        n: Which neighbour, at most N - 1.
        reporter: Told after each block of ``rows``, in blocks.
    """
    distances, begins = np.empty(len(rows), np.float32), range(0, len(rows), BLOCK)
    for done, begin in enumerate(begins, start=1):
        some = rows[begin : begin + BLOCK]
        nearest = np.full((len(some), 0), -1, np.float32)
        for other in range(0, len(unit), BLOCK):
            block = unit[some] @ unit[other : other + BLOCK].T
            here = (some >= other) & (some < other + BLOCK)
            block[here, some[here] - other] = -np.inf
            nearest = _greatest(np.concatenate([nearest, _greatest(block, n)], axis=1), n)
        distances[begin : begin + BLOCK] = 1 - nearest.min(1)
        reporter.advance("check", done, len(begins), "blocks")
    return distances


def _greatest(values: np.ndarray, n: int) -> np.ndarray:
    return values if values.shape[1] <= n else np.partition(values, -n, axis=1)[:, -n:]
