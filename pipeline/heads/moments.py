"""Sums over rows that least squares needs; those of a part can be taken off those of all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 2**22
"""Numbers that are turned into float64 at once: 32 MiB."""

_DOUBTFUL = 1e-6
"""Where so small a share of a feature's variance is left, subtraction has cost too many digits."""


@dataclass(frozen=True)
class Moments:
    """Sums over some rows about their own mean, in float64.

    Where rows are weighted, all four are weighted sums and means.

    Args:
        counts: (k,) rows of each class.
        mean: (d,) of the rows less the source's shift.
        rows: (d, k) sum of the centred rows of each class.
        products: (d, d) sum of z·zᵀ over centred rows z.
    """

    counts: np.ndarray
    mean: np.ndarray
    rows: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray, rows: np.ndarray, products: np.ndarray) -> "Moments":
        """Centre plain sums over rows x (d,), each less one shift that all share.

        Args:
            counts: (k,) rows of each class.
            rows: (d, k) sum of the rows of each class.
            products: (d, d) sum of x·xᵀ.
        """
        n_rows = counts.sum()
        mean = rows.sum(1) / n_rows
        centred = rows - np.outer(mean, counts)
        return cls(counts, mean, centred, products - n_rows * np.outer(mean, mean))

    @property
    def variances(self) -> np.ndarray:
        """Variance of each feature: (d,), never negative."""
        return np.maximum(np.diagonal(self.products) / self.counts.sum(), 0)


class MomentSource:
    """Makes the moments of any rows of a table; those of nearly all cost what the others cost.

    Args:
        features: (n, d) float, n at least 1.
        labels: (n,) int.
        n_classes: k.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, n_classes: int) -> None:
        self._features, self._labels, self._n_classes = features, labels, n_classes
        # Products of rows far from zero would lose their digits.
        self.shift = features.mean(0, dtype=np.float64)
        self._all = self._sum(np.arange(len(features)))
        self._variances = Moments.of(*self._all).variances

    def of(self, rows: np.ndarray) -> Moments:
        """Return the moments of the given rows, each named once."""
        others = np.setdiff1d(np.arange(len(self._features)), rows)
        if not len(others):
            return Moments.of(*self._all)
        if len(others) >= len(rows):
            return self._mended(Moments.of(*self._sum(rows)), rows)
        left = (every - some for every, some in zip(self._all, self._sum(others), strict=True))
        return self._mended(Moments.of(*left), rows)

    def _sum(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        d, k = self._features.shape[1], self._n_classes
        sums, products = np.zeros((d, k)), np.zeros((d, d))
        for some, block in self._blocks(rows):
            sums += block.T @ np.eye(k)[self._labels[some]]
            products += block.T @ block
        return np.bincount(self._labels[rows], minlength=k), sums, products

    def _blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield stretches of ``rows``, and their features in float64 less the shift."""
        for stretch in stretches(len(rows), self._features.shape[1]):
            yield rows[stretch], self._features[rows[stretch]] - self.shift

    def _mended(self, moments: Moments, rows: np.ndarray) -> Moments:
        """Sum anew what subtraction has spoilt: a unit that is alive in the other rows only."""
        lost = moments.variances <= _DOUBTFUL * self._variances
        few = np.flatnonzero(lost & (self._variances > 0))
        if not len(few):
            return moments
        own = self._features[np.ix_(rows, few)].mean(0, dtype=np.float64)
        mean, sums, products = moments.mean.copy(), moments.rows.copy(), moments.products.copy()
        mean[few], sums[few], products[few] = own - self.shift[few], 0, 0
        for some, block in self._blocks(rows):
            centred = block - mean
            # From the rows as they are: less the shift, a constant would no longer be one.
            centred[:, few] = self._features[np.ix_(some, few)] - own
            sums[few] += centred[:, few].T @ np.eye(self._n_classes)[self._labels[some]]
            products[few] += centred[:, few].T @ centred
        products[:, few] = products[few].T
        return Moments(moments.counts, mean, sums, products)


def weighted_moments(
    features: np.ndarray, labels: np.ndarray, weights: np.ndarray, rows: np.ndarray
) -> tuple[Moments, np.ndarray, np.ndarray]:
    """Return the weighted moments of some rows, and their plain mean and variances.

    Weights depend on how many rows of each class there are, so those of a part do not follow from
    those of all: every part is summed for itself.

    Args:
        features: (n, d) float.
        labels: (n,) int.
        weights: (k,) what a row of each class counts.
        rows: Row numbers.

    Returns:
        The moments, shifted by the rows' plain mean; that mean (d,); the plain variances (d,).
    """
    (d, k), shift = (features.shape[1], len(weights)), features[rows].mean(0, dtype=np.float64)
    sums, products, squares = np.zeros((d, k)), np.zeros((d, d)), np.zeros(d)
    for stretch in stretches(len(rows), d):
        some = rows[stretch]
        block = features[some] - shift
        squares += np.einsum("nd,nd->d", block, block)
        sums += block.T @ np.eye(k)[labels[some]]
        block *= np.sqrt(weights)[labels[some], None]
        products += block.T @ block
    counts = weights * np.bincount(labels[rows], minlength=k)
    moments = Moments.of(counts, sums * weights, products)
    return moments, shift, squares / len(rows)


def stretches(total: int, width: int) -> Iterator[slice]:
    """Cut ``total`` rows, or columns, of ``width`` numbers each into blocks of bounded size."""
    size = max(1, BLOCK // max(1, width))
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))
