"""Ridge regression on one-hot labels: every strength and every fold from few decompositions.

With Z the prepared rows of a fit and Y their centred targets, the coefficients for a strength a are
(ZᵀZ + a·I)⁻¹ZᵀY: one tridiagonal form serves every a (`shifted`); with a PCA it is ZᵀZ =
V·diag(w)·Vᵀ, and V·diag(1 / (w + a))·VᵀZᵀY (Hoerl and Kennard 1970). Where there are fewer rows
than features the small matrix ZZᵀ takes its place: coefficients are Zᵀ(ZZᵀ + a·I)⁻¹Y. Means and
scales are those of the fit's own rows: the products of all rows, less those of the rows held out,
are standardised as a matrix, so nothing leaks and no row is read again.

Targets are 1 and -1 (for two classes 1/2 and -1/2: the halves of scikit-learn's one decision), and
the intercept is not penalised: scores and the meaning of alpha are those of RidgeClassifier on
prepared features. With class weights, rows and targets are centred by their weighted means and
multiplied by the roots of their weights, as in RidgeClassifier; what features are divided by, and
the components of a PCA, are those of the rows as they are, as with every other head.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import scipy

from pipeline.heads.affine import common_scale, fit_affine, fold, kept_components
from pipeline.heads.class_weights import check_class_weight, class_weights
from pipeline.heads.fitted import ABSENT, NetworkHead, f32, safe_scale
from pipeline.heads.moments import Moments, MomentSource, stretches, weighted_moments
from pipeline.heads.preparation import Preparation, apply_rowwise
from pipeline.heads.sample import Folds, Sample
from pipeline.heads.shifted import Tridiagonal

PathLayers = tuple[np.ndarray, np.ndarray]
"""Kernels (a, d, k) and biases (a, k) for rows less the shift, a strength after the other."""


class Targets:
    """One-hot targets of a fit, and the layers that they lead to.

    Counts are (k,) rows of each class in the fit, or the sums of their weights.
    """

    def __init__(self, counts: np.ndarray) -> None:
        self._shares, self._seen = counts / counts.sum(), counts > 0
        self.height = 2.0 if self._seen.sum() > 2 else 1.0
        """From the target of the other classes to that of a picture's own."""

    def centred(self, labels: np.ndarray) -> np.ndarray:
        """Return the targets less their (weighted) means: (n, k)."""
        return self.height * (np.eye(len(self._shares))[labels] - self._shares)

    def scores(self, products: np.ndarray) -> np.ndarray:
        """Return scores (a, n, k) from products of centred rows and kernels, of the same shape."""
        found: np.ndarray = products + self.height * (self._shares - 0.5)
        found[:, :, ~self._seen] = ABSENT
        return found

    def layers(self, kernels: np.ndarray, mean: np.ndarray) -> PathLayers:
        """Return kernels (a, d, k) with their biases; classes that were not seen score `ABSENT`."""
        biases = self.height * (self._shares - 0.5) - np.einsum("d,adk->ak", mean, kernels)
        return kernels * self._seen, np.where(self._seen, biases, ABSENT)


def inverses_of(
    values: np.ndarray, lambdas: np.ndarray, wanted: int | float | None, shape: tuple[int, int]
) -> np.ndarray:
    """Return 1 / (w + a), (a, r), and 0 for the directions that a PCA drops.

    Principal components are the very directions that were found, so none has to be fitted.

    Args:
        values: w (r,), ascending, up to rounding not negative.
        lambdas: a.
        wanted: How many components are kept, or the share of the variance that they keep.
        shape: Rows and features of the fit.
    """
    inverses = 1 / (np.maximum(values, 0) + lambdas[:, None])
    if wanted is not None:
        dropped = len(values) - kept_components(wanted, values, *shape)
        inverses[:, : max(0, dropped)] = 0
    return inverses


def by_cholesky(gram: np.ndarray, cross: np.ndarray, strength: float) -> np.ndarray | None:
    """Solve for one strength in a tenth of the time; None where the matrix is all but singular."""
    raised = gram.copy()
    raised.flat[:: len(gram) + 1] += strength
    try:
        return scipy.linalg.cho_solve(
            scipy.linalg.cho_factor(raised, overwrite_a=True, check_finite=False), cross
        )
    except np.linalg.LinAlgError:
        return None


def expand(vectors: np.ndarray, inverses: np.ndarray, projected: np.ndarray) -> np.ndarray:
    """Return vectors · diag(each row of inverses) · projected: (a, n, k), as one product."""
    wide = (inverses.T[:, :, None] * projected[:, None, :]).reshape(len(projected), -1)
    return (vectors @ wide).reshape(len(vectors), len(inverses), -1).transpose(1, 0, 2)


LAMBDAS: tuple[float, ...] = tuple(float(value) for value in np.logspace(-3, 8, 45))
"""The grid of strengths. Directions of n standardised rows have w near n: a = n halves those."""

_MOST_NUMBERS = 2**24
"""Coefficients held at once, in float64: 128 MiB."""


class RidgePath:
    """Ridge for a grid of strengths on one table of features.

    The preparation, and ``"balanced"`` class weights, are fitted as if anew inside every fold.
    """

    def __init__(
        self,
        sample: Sample,
        preparation: Preparation | None = None,
        class_weight: str | None = None,
    ) -> None:
        check_class_weight(class_weight)
        self._class_weight, self._sample = class_weight, sample
        self._preparation = preparation or Preparation()
        self._blocks = self._preparation.blocks(sample.blocks)
        self._rows = apply_rowwise(sample.features, self._preparation.rowwise, self._blocks)
        self._labels, self._n_classes = sample.row_labels, sample.n_classes
        self._moments: MomentSource | None = None

    def out_of_fold(
        self, folds: Folds, lambdas: Sequence[float] = LAMBDAS
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield scores of held-out pictures, for some strengths of one fold after the other.

        Args:
            folds: Pictures to fit on (all their views count) and pictures held out, as row numbers.
            lambdas: Strengths, each above 0.

        Yields:
            Places (a,) in ``lambdas``, the fold's held-out rows (h,), and scores (a, h, k) float64.
        """
        for fit, held_out in folds:
            rows = self._sample.with_views(fit)
            for places, layers, shift in self._solutions(rows, lambdas):
                yield places, held_out, self._scores(held_out, layers, shift)

    def heads(self, lambdas: Sequence[float] = LAMBDAS) -> Iterator[NetworkHead]:
        """Yield the head of each strength, fitted to all rows."""
        for _, (kernels, biases), shift in self._solutions(np.arange(len(self._rows)), lambdas):
            for kernel, bias in zip(kernels, biases, strict=True):
                layer = ((f32(kernel),), (f32(bias - shift @ kernel),))
                yield NetworkHead(*layer, self._preparation.rowwise, self._blocks)

    def _scores(self, rows: np.ndarray, layers: PathLayers, shift: np.ndarray) -> np.ndarray:
        (kernels, biases), (n_lambda, d, k) = layers, layers[0].shape
        wide = kernels.transpose(1, 0, 2).reshape(d, -1)
        scores = np.empty((len(rows), n_lambda, k))
        for some in stretches(len(rows), d):
            products = (self._rows[rows[some]] - shift) @ wide
            scores[some] = products.reshape(-1, n_lambda, k) + biases
        return scores.transpose(1, 0, 2)

    def _solutions(
        self, rows: np.ndarray, lambdas: Sequence[float]
    ) -> Iterator[tuple[np.ndarray, PathLayers, np.ndarray]]:
        """Yield places in ``lambdas``, layers for rows less a shift, and that shift (d,)."""
        solve = self._by_features if self._rows.shape[1] <= len(rows) else self._by_rows
        if self._class_weight is not None and self._preparation.pca is not None:
            solve = self._by_components
        size = max(1, _MOST_NUMBERS // (self._rows.shape[1] * self._n_classes))
        strengths = np.asarray(lambdas, np.float64)
        cuts = range(size, len(strengths), size)
        yield from solve(rows, strengths, np.split(np.arange(len(strengths)), cuts))

    def _by_features(
        self, rows: np.ndarray, lambdas: np.ndarray, parts: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, PathLayers, np.ndarray]]:
        moments, scale, shift = self._fit_moments(rows)
        gram = moments.products / scale / scale[:, None]
        targets = Targets(moments.counts)
        cross = targets.height * moments.rows / scale[:, None]
        if len(lambdas) == 1 and self._preparation.pca is None:
            one = by_cholesky(gram, cross, float(lambdas[0]))
            if one is not None:
                layers = targets.layers(one[None] / scale[:, None], moments.mean)
                yield np.arange(1), layers, shift
                return
        solve = self._solver(gram, len(rows))
        for places in parts:
            kernels = solve(lambdas[places], cross) / scale[:, None]
            yield places, targets.layers(kernels, moments.mean), shift

    def _solver(
        self, gram: np.ndarray, n_rows: int
    ) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Return what takes strengths (a,) and columns (m, k) to the solutions (a, m, k)."""
        wanted, shape = self._preparation.pca, (n_rows, self._rows.shape[1])
        if wanted is None:
            return Tridiagonal(gram).solutions
        values, vectors = scipy.linalg.eigh(gram, overwrite_a=True, check_finite=False)

        def solve(strengths: np.ndarray, columns: np.ndarray) -> np.ndarray:
            inverses = inverses_of(values, strengths, wanted, shape)
            return expand(vectors, inverses, vectors.T @ columns)

        return solve

    def _fit_moments(self, rows: np.ndarray) -> tuple[Moments, np.ndarray, np.ndarray]:
        """Return the moments of a fit, what its features are divided by, and the shift (d,)."""
        weights = class_weights(self._labels[rows], self._n_classes, self._class_weight)
        if weights is not None:
            moments, mean, variances = weighted_moments(self._rows, self._labels, weights, rows)
            return moments, self._scale(mean, variances), mean
        if self._moments is None:
            self._moments = MomentSource(self._rows, self._labels, self._n_classes)
        source, moments = self._moments, self._moments.of(rows)
        scale = self._scale(source.shift + moments.mean, moments.variances)
        return moments, scale, source.shift

    def _by_rows(
        self, rows: np.ndarray, lambdas: np.ndarray, parts: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, PathLayers, np.ndarray]]:
        features, labels = self._rows[rows], self._labels[rows]
        columns = list(stretches(features.shape[1], len(rows)))
        mean = features.mean(0, dtype=np.float64)
        variances = [features[:, some].var(0, dtype=np.float64) for some in columns]
        scale = self._scale(mean, np.concatenate(variances))
        counts, roots = np.bincount(labels, minlength=self._n_classes), np.ones(len(rows))
        if (weights := class_weights(labels, self._n_classes, self._class_weight)) is not None:
            counts, roots = counts * weights, np.sqrt(weights[labels])
            means = [np.average(features[:, some], 0, roots**2) for some in columns]
            mean = np.concatenate(means)
        products = np.zeros((len(rows), len(rows)))
        for some in columns:
            block = (features[:, some] - mean[some]) / scale[some]
            products += block @ block.T
        products *= np.outer(roots, roots)
        targets = Targets(counts)
        solve, wanted = self._solver(products, len(rows)), roots[:, None] * targets.centred(labels)
        for places in parts:
            duals = roots[:, None] * solve(lambdas[places], wanted)
            kernels = np.empty((len(places), features.shape[1], self._n_classes))
            for some in columns:
                block = (features[:, some] - mean[some]) / scale[some] ** 2
                kernels[:, some] = np.einsum("nd,ank->adk", block, duals, optimize=True)
            yield places, targets.layers(kernels, np.zeros_like(mean)), mean

    def _by_components(
        self, rows: np.ndarray, lambdas: np.ndarray, parts: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, PathLayers, np.ndarray]]:
        """Weigh rows of components: those of weighted rows would be other directions."""
        steps, prepared = fit_affine(self._preparation, self._rows[rows], seed=0)
        labels, k = self._labels[rows], self._n_classes
        inner = _AsTheyAre(Sample(prepared, labels, k), class_weight=self._class_weight)
        given = np.arange(len(rows)), lambdas.tolist()
        for places, (kernels, biases), shift in inner._solutions(*given):
            layers = [
                fold(one, bias - shift @ one, steps)
                for one, bias in zip(kernels, biases, strict=True)
            ]
            both = np.stack([one for one, _ in layers]), np.stack([bias for _, bias in layers])
            yield places, both, np.zeros(self._rows.shape[1])

    def _scale(self, mean: np.ndarray, variances: np.ndarray) -> np.ndarray:
        """Return what features are divided by, (d,), from the mean and variance of a fit's rows."""
        if self._preparation.standardise:
            return safe_scale(mean, np.sqrt(variances))
        return np.full(len(mean), common_scale(variances))


class _AsTheyAre(RidgePath):
    """Ridge on rows that were prepared before."""

    def _scale(self, mean: np.ndarray, variances: np.ndarray) -> np.ndarray:
        return np.ones(len(mean))
