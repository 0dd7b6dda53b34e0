"""The affine parts of a preparation: fitted to training rows, folded into a head's first layer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.heads.fitted import NetworkHead, f32, safe_scale
from pipeline.heads.moments import stretches
from pipeline.heads.preparation import Preparation, apply_rowwise
from pipeline.heads.sample import Sample

logger = logging.getLogger(__name__)

Steps = list[Any]
"""Fitted transformers: a `Scaler`, and scikit-learn's PCA where one was asked for."""


@dataclass
class Scaler:
    """scikit-learn's StandardScaler, without its two seconds of import.

    Args:
        mean_: (d,) float64, taken off.
        scale_: (d,) float64, divided by.
        var_: (d,) float64, variances of the rows it was fitted to.
        n_rows: How many these were.
    """

    mean_: np.ndarray
    scale_: np.ndarray
    var_: np.ndarray
    n_rows: int

    @classmethod
    def fit(cls, rows: np.ndarray) -> "Scaler":
        """Return means, variances and their roots of rows (n, d)."""
        mean, squares = rows.mean(0, dtype=np.float64), np.zeros(rows.shape[1])
        for some in stretches(len(rows), rows.shape[1]):
            block = rows[some] - mean
            squares += np.einsum("nd,nd->d", block, block)
        variances = squares / len(rows)
        return cls(mean, np.sqrt(variances), variances, len(rows))

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Return rows (n, d) less the mean, over the scale, of their own type."""
        moved: np.ndarray = rows - self.mean_.astype(rows.dtype)
        moved /= self.scale_.astype(rows.dtype)
        return moved

    def as_standard_scaler(self) -> Any:
        """Return the same as scikit-learn's own, for what is kept as its pipeline."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        scaler.mean_, scaler.scale_, scaler.var_ = self.mean_, self.scale_, self.var_
        scaler.n_samples_seen_, scaler.n_features_in_ = np.int64(self.n_rows), len(self.mean_)
        return scaler


def as_pipeline(steps: Steps, estimator: Any) -> Any:
    """Return fitted steps and a fitted estimator as a pipeline of scikit-learn."""
    from sklearn.pipeline import make_pipeline

    scaler, *others = steps
    return make_pipeline(scaler.as_standard_scaler(), *others, estimator)


@dataclass(frozen=True)
class PreparedRows:
    """A sample as a head sees it, and what was done to it.

    Args:
        rows: ((1 + n_views) · n, d or k) float.
        steps: The affine parts, in order.
        rowwise: What was done to each row before them.
        blocks: Widths of the cuts that each were done so for itself; empty where nothing was.
    """

    rows: np.ndarray
    steps: Steps
    rowwise: str
    blocks: tuple[int, ...]

    def network(self, kernels: list[np.ndarray], biases: list[np.ndarray]) -> NetworkHead:
        """Return layers for these rows as a head for rows as they were."""
        first, *others = kernels
        kernel, bias = fold(first, biases[0], self.steps)
        return NetworkHead(
            tuple(f32(one) for one in (kernel, *others)),
            tuple(f32(one) for one in (bias, *biases[1:])),
            self.rowwise,
            self.blocks,
        )


def prepare(preparation: Preparation, sample: Sample) -> PreparedRows:
    """Prepare a sample, the affine parts being fitted to it."""
    blocks = preparation.blocks(sample.blocks)
    rows = apply_rowwise(sample.features, preparation.rowwise, blocks)
    steps, prepared = fit_affine(preparation, rows, sample.seed)
    return PreparedRows(prepared, steps, preparation.rowwise, blocks)


def fit_affine(preparation: Preparation, rows: np.ndarray, seed: int) -> tuple[Steps, np.ndarray]:
    """Fit the affine parts to rows (n, d); return them, and the rows (n, d or k) they give."""
    scaler = _scaler(preparation, rows)
    prepared = scaler.transform(rows)
    if preparation.pca is None:
        return [scaler], prepared
    pca = _pca(preparation.pca, prepared, seed)
    return [scaler, pca], pca.transform(prepared)


def _scaler(preparation: Preparation, rows: np.ndarray) -> Scaler:
    """Without standardising one factor does, and only a PCA, whose business it is, moves rows."""
    scaler = Scaler.fit(rows)
    if preparation.standardise:
        scaler.scale_ = safe_scale(scaler.mean_, scaler.scale_)
        return scaler
    scaler.scale_ = np.full_like(scaler.scale_, common_scale(scaler.var_))
    if preparation.pca is None:
        scaler.mean_ = np.zeros_like(scaler.mean_)
    return scaler


def common_scale(variances: np.ndarray) -> float:
    """Return the root of the mean variance, or 1 where nothing varies."""
    return float(np.sqrt(np.mean(variances))) or 1.0


def _pca(wanted: int | float, rows: np.ndarray, seed: int) -> Any:
    """Fit principal components with signs that do not depend on the solver.

    scikit-learn chooses a full decomposition, one of the covariance, or a randomised one (Halko,
    Martinsson and Tropp 2009) by what each costs. A share of the variance needs all of them; the
    covariance then is the cheaper way where there are more rows than features.
    """
    from sklearn.decomposition import PCA

    n_rows, n_features = rows.shape
    if isinstance(wanted, float):
        solver = "covariance_eigh" if n_rows > n_features else "full"
        return PCA(wanted, svd_solver=solver).fit(rows)
    return PCA(fitting_components(wanted, n_rows, n_features), random_state=seed).fit(rows)


def fitting_components(wanted: int, n_rows: int, n_features: int) -> int:
    """Return how many components there can be; n rows about their mean span n - 1 directions."""
    most = max(1, min(n_rows - 1, n_features))
    if wanted > most:
        logger.warning("pca(%d): %d rows of %d features have %d", wanted, n_rows, n_features, most)
    return min(wanted, most)


def kept_components(wanted: int | float, values: np.ndarray, n_rows: int, n_features: int) -> int:
    """Return how many of the principal components that were found are kept.

    Args:
        wanted: A count, or the share of the variance that they keep.
        values: Eigenvalues (r,), ascending, up to rounding not negative.
        n_rows: Rows of the fit.
        n_features: d.
    """
    if not isinstance(wanted, float):
        return fitting_components(wanted, n_rows, n_features)
    values = np.maximum(values, 0)
    reached = np.cumsum(values[::-1]) / max(values.sum(), 1e-300)
    return min(len(values), int(np.searchsorted(reached, wanted, side="right")) + 1)


def fold(
    kernel: np.ndarray, bias: np.ndarray, steps: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the layer on raw rows that equals a layer on prepared ones, in float64.

    With z = (x - mean) / scale, z·K + b equals x·(K / scale) + b - (mean / scale)·K; with
    u = (z - mean)·Cᵀ, u·K + b equals z·(CᵀK) + b - mean·(CᵀK).

    Args:
        kernel: (d or k, units) for prepared rows.
        bias: (units,).
        steps: From `fit_affine`.
    """
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
    for step in reversed(steps):
        if isinstance(step, Scaler):
            kernel = kernel / step.scale_[:, None]
        else:
            kernel = step.components_.T.astype(np.float64) @ kernel
        bias = bias - step.mean_ @ kernel
    return kernel, bias


def layers_of(estimator: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return kernels and biases of a linear classifier or of scikit-learn's network."""
    if hasattr(estimator, "coefs_"):
        return list(estimator.coefs_), list(estimator.intercepts_)
    return [np.atleast_2d(estimator.coef_).T], [np.atleast_1d(estimator.intercept_)]
