"""Fitted heads: what predicts, and what a bundle stores.

Scores without what all classes share: the same probabilities, with less lost to rounding.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.preparation import apply_rowwise

NetworkLayers = tuple[list[np.ndarray], list[np.ndarray]]
"""Kernels and biases of one network, layer after layer."""

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

    def sharpened(self, factor: float) -> "FittedHead":
        """Return the same head with its scores multiplied by ``factor``."""


@dataclass(frozen=True)
class NetworkHead:
    """Dense layers with ReLU between them; one layer is a linear head.

    Standardisation and principal components are folded into the first layer, so the head takes raw
    features and can sit on the base as plain Dense layers.

    Args:
        kernels: One (d_in, d_out) float32 array per layer.
        biases: One (d_out,) float32 array per layer.
        rowwise: What is done to each row before the first layer, one of `preparation.ROWWISE`.
        blocks: Widths of the cuts side by side, each brought to unit length for itself; empty for
            one block.
    """

    kernels: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    rowwise: str = "none"
    blocks: tuple[int, ...] = ()

    def check_width(self, width: int) -> None:
        """Refuse rows of another number of features than the head was fitted on."""
        if width != len(self.kernels[0]):
            raise InputError(
                f"expected {len(self.kernels[0])} features for this head, received {width}: it was "
                f"fitted on another base"
            )

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n, k) of features (n, d), same row order."""
        self.check_width(features.shape[1])
        values = apply_rowwise(features, self.rowwise, self.blocks)
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
        kernels, biases = (*first, f32(kernel * factor)), (*before, f32(bias * factor))
        return replace(self, kernels=kernels, biases=biases)


@dataclass(frozen=True)
class SklearnHead:
    """A fitted scikit-learn pipeline (scaler, principal components where asked for, estimator).

    Args:
        pipeline: Knows ``decision_function``, ``predict_proba`` or ``predict``, and ``classes_``.
        n_classes: k, which may exceed the classes that the pipeline has seen.
        factor: What decision values are multiplied with before the softmax.
        rowwise: What is done to each row before the pipeline, as in `NetworkHead`.
        blocks: As in `NetworkHead`.
    """

    pipeline: Any
    n_classes: int
    factor: float = 1.0
    rowwise: str = "none"
    blocks: tuple[int, ...] = ()

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return scores (n, k) of features (n, d), same row order.

        Raises:
            InputError: The estimator refuses the features, or gives NaN or infinity.
        """
        seen, name = self.pipeline.classes_, type(self.pipeline[-1]).__name__
        scores = np.full((len(features), self.n_classes), ABSENT)
        rows = apply_rowwise(features, self.rowwise, self.blocks)
        try:
            scores[:, seen] = estimator_scores(self.pipeline, rows) * self.factor
        except ValueError as error:
            said = (str(error).splitlines() or ["no reason given"])[0].rstrip(". ")
            raise InputError(
                f"expected {name} to score {len(scores)} pictures, it refused: {said}; choose "
                f"another head or other parameters"
            ) from error
        if not np.isfinite(scores).all():
            n_bad = int(np.sum(~np.isfinite(scores).all(axis=1)))
            raise InputError(
                f"expected finite scores of {name}, received NaN or infinity for {n_bad} of "
                f"{len(scores)} pictures; choose another head or another preparation"
            )
        return scores

    def sharpened(self, factor: float) -> "SklearnHead":
        """Return the same head with its scores multiplied by ``factor``."""
        return replace(self, factor=self.factor * factor)


def estimator_scores(estimator: Any, features: np.ndarray) -> np.ndarray:
    """Return decision values (n, classes seen), else log probabilities, else 1 for the choice."""
    n_classes = len(estimator.classes_)
    if hasattr(estimator, "decision_function"):
        decisions = np.asarray(estimator.decision_function(features), np.float64)
        if decisions.ndim == 1:
            return two_columns(decisions)
        if decisions.shape[1] == n_classes:  # a machine of pairs may have one value per pair
            return decisions
    if hasattr(estimator, "predict_proba"):
        return np.log(np.clip(estimator.predict_proba(features), 1e-12, 1))
    return np.equal(estimator.predict(features)[:, None], estimator.classes_).astype(np.float64)


def two_columns(decisions: np.ndarray) -> np.ndarray:
    """Turn binary decision values (n,) into scores (n, 2) whose softmax is their sigmoid."""
    return np.stack([-decisions / 2, decisions / 2], axis=1)


def safe_scale(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return ``scale`` with 1 where a feature is constant up to float32's rounding.

    Else that rounding would become a feature of unit variance, and differ between engines.
    """
    return np.where(scale <= 1e-5 * np.abs(mean), 1.0, np.where(scale > 0, scale, 1.0))


def all_classes(
    kernel: np.ndarray, bias: np.ndarray, seen: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last layer of a head with a column for every class.

    Args:
        kernel: (d, classes seen), or (d, 1): the decision between two classes.
        bias: (classes seen,) or (1,).
        seen: Class numbers of the columns.
        n_classes: k; classes that were not seen get a score that no picture can raise.
    """
    kernel, bias = np.asarray(kernel, np.float64), np.asarray(bias, np.float64)
    if len(seen) == 2 and kernel.shape[1] == 1:
        kernel, bias = two_columns(kernel[:, 0]), two_columns(bias)[0]
    wide_kernel, wide_bias = np.zeros((len(kernel), n_classes)), np.full(n_classes, ABSENT)
    wide_kernel[:, seen], wide_bias[seen] = kernel, bias
    return wide_kernel, wide_bias


def f32(array: np.ndarray) -> np.ndarray:
    """Return the array as it is stored in a head: float32, row by row in memory."""
    return np.ascontiguousarray(array, np.float32)


def centred(head: NetworkHead) -> NetworkHead:
    """Return a head of the same probabilities whose scores are as small as they can be.

    The softmax does not see what is added to the scores of all classes alike. In a discriminant
    that part is by far the greatest (scores of 2,000 that differ by 0.5), and in float32 it costs
    up to three of seven digits. Classes that were never seen have no say in what is shared.

    Args:
        head: Any network; only its last layer changes.

    Example:
        >>> import numpy as np
        >>> head = NetworkHead((np.array([[7.0, 9.0]]),), (np.array([100.0, 104.0]),))
        >>> centred(head).kernels[0].tolist(), centred(head).biases[0].tolist()
        ([[-1.0, 1.0]], [-2.0, 2.0])
    """
    kernel, bias = np.asarray(head.kernels[-1], float), np.asarray(head.biases[-1], float)
    seen = kernel.any(axis=0)
    if not seen.any():
        return head
    kernels = (*head.kernels[:-1], f32(kernel - kernel[:, seen].mean(axis=1, keepdims=True)))
    return replace(head, kernels=kernels, biases=(*head.biases[:-1], f32(bias - bias[seen].mean())))
