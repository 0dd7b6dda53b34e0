"""Fitted heads: what predicts, and what a bundle stores."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

ABSENT = -1e3
"""Score of a class that the head has never seen: probability 0 in float64, and still finite."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn scores (n, k) into probabilities (n, k) in float64, row by row."""
    shifted = np.asarray(scores, np.float64)
    exponentials = np.exp(shifted - shifted.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


class FittedHead(Protocol):
    """Anything that scores features."""

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n, k) of features (n, d), same row order."""
        ...

    def sharpened(self, factor: float) -> "FittedHead":
        """Return the same head with its scores multiplied by ``factor``."""
        ...


@dataclass(frozen=True)
class NetworkHead:
    """Dense layers with ReLU between them; one layer is a linear head.

    Standardisation is folded into the first layer, so the head takes raw features and can sit on
    the base as plain Dense layers.

    Args:
        kernels: One (d_in, d_out) float32 array per layer.
        biases: One (d_out,) float32 array per layer.
    """

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n, k) of features (n, d), same row order."""
        values = np.asarray(features, np.float32)
        last = len(self.kernels) - 1
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            values = values @ kernel + bias
            if i < last:
                values = np.maximum(values, 0)
        return values

    def sharpened(self, factor: float) -> "NetworkHead":
        """Return the same head with its scores multiplied by ``factor``."""
        *first, kernel = self.kernels
        *before, bias = self.biases
        return NetworkHead((*first, _f32(kernel * factor)), (*before, _f32(bias * factor)))


@dataclass(frozen=True)
class SklearnHead:
    """A fitted scikit-learn pipeline (scaler, estimator).

    Args:
        pipeline: Knows ``decision_function`` or ``predict_proba``, and ``classes_``.
        n_classes: k, which may exceed the classes that the pipeline has seen.
        factor: What decision values are multiplied with before the softmax.
    """

    pipeline: Any
    n_classes: int
    factor: float = 1.0

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n, k) of features (n, d), same row order."""
        seen = self.pipeline.classes_
        scores = np.full((len(features), self.n_classes), ABSENT)
        scores[:, seen] = estimator_scores(self.pipeline, features) * self.factor
        return scores

    def sharpened(self, factor: float) -> "SklearnHead":
        """Return the same head with its scores multiplied by ``factor``."""
        return SklearnHead(self.pipeline, self.n_classes, self.factor * factor)


def estimator_scores(estimator: Any, features: np.ndarray) -> np.ndarray:
    """Return decision values, or log probabilities where there are none: (n, classes seen)."""
    if hasattr(estimator, "decision_function"):
        decisions = estimator.decision_function(features)
        return two_columns(decisions) if decisions.ndim == 1 else decisions
    return np.log(np.clip(estimator.predict_proba(features), 1e-12, 1))


def two_columns(decisions: np.ndarray) -> np.ndarray:
    """Turn binary decision values (n,) into scores (n, 2) whose softmax is their sigmoid."""
    return np.stack([-decisions / 2, decisions / 2], axis=1)


def safe_scale(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``scale`` with 1 where a feature is constant up to float32's rounding.

    Else that rounding would become a feature of unit variance, and differ between engines.
    """
    return np.where(scale <= 1e-5 * np.abs(mean), 1.0, np.where(scale > 0, scale, 1.0))


def fold_linear(
    coefficients: np.ndarray, intercept: np.ndarray, scaler: Any, seen: np.ndarray, n_classes: int
) -> NetworkHead:
    """Fold standardisation and a linear classifier into one Dense layer.

    With z = (x - mean) / scale, the scores z·Cᵀ + b equal x·(Cᵀ / scale) + b - (mean / scale)·Cᵀ.

    Args:
        coefficients: scikit-learn's ``coef_``, (classes, d); (1, d) or (d,) for two classes.
        intercept: scikit-learn's ``intercept_``.
        scaler: Fitted StandardScaler, or None.
        seen: Class numbers of the rows of ``coefficients``.
        n_classes: k; classes that were not seen get a score that no picture can raise.
    """
    kernel = np.atleast_2d(np.asarray(coefficients, np.float64)).T
    bias = np.atleast_1d(np.asarray(intercept, np.float64))
    if len(seen) == 2 and kernel.shape[1] == 1:
        kernel, bias = two_columns(kernel[:, 0]), two_columns(bias)[0]
    if scaler is not None:
        bias = bias - (scaler.mean_ / scaler.scale_) @ kernel
        kernel = kernel / scaler.scale_[:, None]
    wide_kernel, wide_bias = np.zeros((len(kernel), n_classes)), np.full(n_classes, ABSENT)
    wide_kernel[:, seen], wide_bias[seen] = kernel, bias
    return NetworkHead((_f32(wide_kernel),), (_f32(wide_bias),))


def _f32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)
