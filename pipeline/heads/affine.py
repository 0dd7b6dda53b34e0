"""The affine parts of a preparation: fitted to training rows, folded into a head's first layer."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from pipeline.heads.fitted import NetworkHead, f32, safe_scale
from pipeline.heads.preparation import Preparation

logger = logging.getLogger("pipeline")

Steps = list[Any]
"""Fitted scikit-learn transformers: a StandardScaler, and a PCA where one was asked for."""


def fit_affine(preparation: Preparation, rows: np.ndarray, seed: int) -> tuple[Steps, np.ndarray]:
    """Fit the affine parts to rows (n, d); return them, and the rows (n, d or k) they give."""
    scaler = _scaler(preparation, rows)
    prepared = scaler.transform(rows)
    if preparation.pca is None:
        return [scaler], prepared
    pca = _pca(preparation.pca, prepared, seed)
    return [scaler, pca], pca.transform(prepared)


def _scaler(preparation: Preparation, rows: np.ndarray) -> StandardScaler:
    """Without standardising one factor does, and only a PCA, whose business it is, moves rows."""
    scaler = StandardScaler().fit(rows)
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


def _pca(wanted: int | float, rows: np.ndarray, seed: int) -> PCA:
    """Fit principal components with signs that do not depend on the solver.

    scikit-learn chooses a full decomposition, one of the covariance, or a randomised one (Halko,
    Martinsson and Tropp 2009) by what each costs. A share of the variance needs all of them; the
    covariance then is the cheaper way where there are more rows than features.
    """
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
        if isinstance(step, PCA):
            kernel = step.components_.T.astype(np.float64) @ kernel
        else:
            kernel = kernel / step.scale_[:, None]
        bias = bias - step.mean_ @ kernel
    return kernel, bias


def layers_of(estimator: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return kernels and biases of a linear classifier or of scikit-learn's network."""
    if hasattr(estimator, "coefs_"):
        return list(estimator.coefs_), list(estimator.intercepts_)
    return [np.atleast_2d(estimator.coef_).T], [np.atleast_1d(estimator.intercept_)]


def folded(kernels: list[np.ndarray], biases: list[np.ndarray], steps: Steps) -> NetworkHead:
    """Return layers for prepared rows as a head for rows that are not."""
    kernels[0], biases[0] = fold(kernels[0], biases[0], steps)
    return NetworkHead(
        tuple(f32(kernel) for kernel in kernels), tuple(f32(bias) for bias in biases)
    )
