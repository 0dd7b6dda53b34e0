"""Sums over all rows, group by group, in one pass; from them the moments of every fit.

Products are summed in float64 over rows near zero. Nothing is ever subtracted from a sum, but for
the square of a mean: a fit's sums are those of its groups added up.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.moments import Moments
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import Chunk, ChunkSource

Products = Literal["none", "common", "groups"]
"""Whether products of features are summed: not, over all rows together, or for each group."""

_ROUNDING = 1e-10
"""Where so small a share of the squares is variance, it is rounding: the feature is constant."""


@dataclass(frozen=True)
class FitMoments:
    """What a pass tells of the rows of one fit; all about the source's shift, in float64.

    Args:
        counts: (k,) rows of each class.
        means: (k, d) of each class; 0 where there is none.
        mean: (d,) of all rows.
        variances: (d,), 0 where a feature is constant up to rounding.
        products: (d, d) sum of z·zᵀ over rows z less the mean; None where they were not asked for.
    """

    counts: np.ndarray
    means: np.ndarray
    mean: np.ndarray
    variances: np.ndarray
    products: np.ndarray | None

    def within(self) -> np.ndarray:
        """Return the products of rows less their class means: (d, d)."""
        assert self.products is not None, "a pass without products"
        between = np.sqrt(self.counts)[:, None] * (self.means - self.mean)
        between[self.counts == 0] = 0
        return self.products - between.T @ between


class GroupSums:
    """Sums over one pass.

    Args:
        source: The rows.
        fits: Their groups.
        products: Which products are wanted; those of fit 0 alone can be told from common ones.
        weighted: Whether products are wanted for every fit by its class weights as well.

    Raises:
        InputError: Some feature is not finite.
    """

    def __init__(
        self, source: ChunkSource, fits: Fits, products: Products, weighted: bool = False
    ) -> None:
        d, (n_groups, k) = source.n_features, (fits.n_groups, fits.counts.shape[1])
        self._fits, self._kind = fits, products
        self._counts = np.zeros((n_groups, k), np.int64)
        self._rows, self._squares = np.zeros((n_groups * k, d)), np.zeros((n_groups, d))
        n_products = {"none": 0, "common": 1, "groups": n_groups}[products]
        self._products = np.zeros((n_products, d, d))
        self._weighted = np.zeros((fits.n_fits if weighted else 0, d, d))
        for chunk in source:
            self._add(chunk)
        if not np.isfinite(self._squares).all():
            raise InputError(
                "expected finite features, received NaN or infinity; use --precision float32 or "
                "check the weights"
            )
        self._rows = self._rows.reshape(n_groups, k, d)

    def _add(self, chunk: Chunk) -> None:
        rows, groups = chunk.rows.astype(np.float64), self._fits.group_of[chunk.pictures]
        (n_groups, k) = self._counts.shape
        cells = groups * k + chunk.labels
        self._counts += np.bincount(cells, minlength=n_groups * k).reshape(n_groups, k)
        self._rows += sums_by(cells, rows, n_groups * k)
        self._squares += sums_by(groups, rows**2, n_groups)
        if self._kind == "common":
            self._products[0] += rows.T @ rows
        elif self._kind == "groups":
            for group in range(n_groups):
                some = rows if n_groups == 1 else rows[groups == group]
                self._products[group] += some.T @ some
        if len(self._weighted):
            weights = self._fits.row_weights(chunk.pictures, chunk.labels)
            for fit, roots in enumerate(np.sqrt(weights).T):
                some = rows[roots > 0] * roots[roots > 0, None]
                self._weighted[fit] += some.T @ some

    def moments(self, fit: int) -> FitMoments:
        """Return the moments of a fit's rows, each counting 1."""
        groups = self._fits.members[:, fit]
        counts, rows = self._counts[groups].sum(0), self._rows[groups].sum(0)
        n_rows = counts.sum()
        mean, squares = rows.sum(0) / n_rows, self._squares[groups].sum(0) / n_rows
        variances = squares - mean**2
        variances[variances <= _ROUNDING * squares] = 0
        means = rows / np.maximum(counts, 1)[:, None]
        products = None
        if self._kind == "groups":
            products = self._products.sum(axis=0, where=groups[:, None, None])
        elif self._kind == "common" and groups.all():
            products = self._products[0].copy()
        if products is not None:
            products -= n_rows * np.outer(mean, mean)
        return FitMoments(counts, means, mean, variances, products)

    def weighted_moments(self, fit: int) -> Moments:
        """Return the moments of a fit's rows, each counting what its class does."""
        groups, weights = self._fits.members[:, fit], self._fits.weights[fit]
        counts, rows = self._counts[groups].sum(0), self._rows[groups].sum(0)
        return Moments.of(counts * weights, (rows * weights[:, None]).T, self._weighted[fit])


def sums_by(cells: np.ndarray, rows: np.ndarray, n_cells: int) -> np.ndarray:
    """Add up the rows (b, d) of each cell: (n_cells, d)."""
    from scipy.sparse import csr_array

    ones, where = np.ones(len(cells), rows.dtype), np.arange(len(cells) + 1)
    chosen = csr_array((ones, cells, where), shape=(len(cells), n_cells))
    return chosen.T @ rows
