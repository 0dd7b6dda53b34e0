"""Heads that follow from moments: ridge, Fisher's discriminant, nearest class mean.

Each is what its counterpart on a table in memory is (`ridge`, `discriminant`), from one pass over
the data, or two where something is asked of single rows that sums do not tell.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy

from pipeline.heads.discriminant import shrunk_factor, unit_rows
from pipeline.heads.fitted import all_classes
from pipeline.heads.moments import Moments
from pipeline.heads.ridge import Targets, by_cholesky
from pipeline.heads.streamed.basis import Basis
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import ChunkSource
from pipeline.heads.streamed.sums import FitMoments, GroupSums, sums_by

Layer = tuple[np.ndarray, np.ndarray]
"""A kernel (d, k) and a bias (k,), for rows as they are."""

_AT_ONCE = 512
"""Rows that are prepared together: what they take fits into a core's cache."""


def ridge_layers(
    source: ChunkSource,
    fits: Fits,
    bases: Sequence[Basis],
    sums: GroupSums,
    alpha: float,
    weighted: bool,
) -> list[Layer]:
    """Solve least squares on one-hot labels for every fit."""
    layers = []
    for fit, basis in enumerate(bases):
        moments = sums.weighted_moments(fit) if weighted else _plain(sums.moments(fit))
        targets = Targets(moments.counts)
        cross = targets.height * basis.inward(moments.rows)
        kernel = basis.outward(_solve(basis.products(moments.products), cross, alpha))
        (kernel,), (bias,) = targets.layers(kernel[None], moments.mean)
        layers.append((kernel, bias - source.shift.astype(np.float64) @ kernel))
    return layers


def _plain(moments: FitMoments) -> Moments:
    assert moments.products is not None, "least squares without products"
    rows = (moments.counts[:, None] * (moments.means - moments.mean)).T
    return Moments(moments.counts, moments.mean, rows, moments.products)


def _solve(gram: np.ndarray, cross: np.ndarray, strength: float) -> np.ndarray:
    """Return (gram + strength·I)⁻¹·cross, with eigenvalues that are all but 0 taken for 0."""
    solved = by_cholesky(gram, cross, strength)
    if solved is None:
        values, vectors = scipy.linalg.eigh(gram)
        solved = vectors @ ((vectors.T @ cross) / (np.maximum(values, 0) + strength)[:, None])
    return solved


def lda_layers(
    source: ChunkSource,
    fits: Fits,
    bases: Sequence[Basis],
    sums: GroupSums,
    shrinkage: str | float,
    weighted: bool,
) -> list[Layer]:
    """Solve Fisher's discriminant for every fit; its own shrinkage takes a second pass."""
    fourths = [0.0] * len(bases)
    if shrinkage == "auto":
        fourths = _mean_fourths(source, fits, bases, sums)
    layers = []
    for fit, (basis, fourth) in enumerate(zip(bases, fourths, strict=True)):
        moments = sums.moments(fit)
        seen = np.flatnonzero(moments.counts)
        means, counts = basis.apply(moments.means[seen]), moments.counts[seen]
        within = basis.products(moments.within())
        shape = int(counts.sum()), len(within)
        shrunk = shrunk_factor(within, shape, means, shrinkage, fourth)
        kernel = means.T if shrunk is None else scipy.linalg.cho_solve(shrunk[0], means.T)
        priors = np.full(len(seen), 1 / len(seen)) if weighted else counts / counts.sum()
        bias = np.log(priors) - 0.5 * np.sum(means.T * kernel, axis=0)
        # What all classes share is by far the greatest part of these, and costs float32 its digits.
        kernel, bias = kernel - kernel.mean(1, keepdims=True), bias - bias.mean()
        wide = all_classes(kernel, bias, seen, len(moments.counts))
        layers.append(basis.fold(*wide, source.shift))
    return layers


def _mean_fourths(
    source: ChunkSource, fits: Fits, bases: Sequence[Basis], sums: GroupSums
) -> list[float]:
    """Return the mean of |z - its class mean|⁴ over the rows of each fit."""
    means = [sums.moments(fit).means.astype(np.float32) for fit in range(fits.n_fits)]
    scales = [basis.scale.astype(np.float32) for basis in bases]
    totals = np.zeros(fits.n_fits)
    for fit, rows, labels in _rows_of_fits(source, fits):
        centred = bases[fit].turned((rows - means[fit][labels]) / scales[fit])
        squares = np.einsum("nd,nd->n", centred, centred).astype(np.float64)
        totals[fit] += squares @ squares
    return (totals / (fits.counts.sum(1) * source.n_versions)).tolist()


def centroid_layers(
    source: ChunkSource, fits: Fits, bases: Sequence[Basis], sums: GroupSums, metric: str
) -> list[Layer]:
    """Return nearest class means for every fit; cosines take a second pass."""
    units = _unit_sums(source, fits, bases) if metric == "cosine" else None
    layers = []
    for fit, basis in enumerate(bases):
        seen = np.flatnonzero(fits.counts[fit])
        if units is not None:
            means = unit_rows(units[fit][seen])
            bias = np.zeros(len(seen))
        else:
            means = basis.apply(sums.moments(fit).means[seen])
            bias = -0.5 * np.sum(means**2, axis=1)
        wide = all_classes(means.T, bias, seen, fits.counts.shape[1])
        layers.append(basis.fold(*wide, source.shift))
    return layers


def _unit_sums(source: ChunkSource, fits: Fits, bases: Sequence[Basis]) -> list[np.ndarray]:
    """Return sums of rows at unit length, class by class: (k, r) for each fit."""
    k = fits.counts.shape[1]
    totals = [np.zeros((k, basis.width)) for basis in bases]
    for fit, rows, labels in _rows_of_fits(source, fits):
        totals[fit] += sums_by(labels, unit_rows(bases[fit].apply(rows)), k)
    return totals


def _rows_of_fits(source: ChunkSource, fits: Fits) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Make a pass; yield every fit's number, rows and their labels, a few at a time."""
    for chunk in source:
        for start in range(0, len(chunk.rows), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            for fit in range(fits.n_fits):
                chosen = fits.rows(chunk.pictures[some], fit)
                yield fit, chunk.rows[some][chosen], chunk.labels[some][chosen]
