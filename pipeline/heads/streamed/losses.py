"""Losses of linear classifiers, of many fits at once: values, and slopes by the logits.

Logits are (b, f, c): rows, fits, columns. A column is a class, or the decision for the second of
two. Weights are (b, f), 0 for a row that a fit does not see.
"""

from typing import Protocol

import numpy as np
from scipy.special import expit

from pipeline.heads.fitted import ABSENT


class Loss(Protocol):
    """A loss that adds up over rows."""

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return sums over rows and columns (f,), and the slopes (b, f, c).

        Args:
            logits: (b, f, c) float32; may be overwritten.
            labels: (b,) int in 0 … classes-1.
            weights: (b, f) float32.
            seen: (f, c) bool, which columns a fit has rows of.
        """
        ...


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the log probability of each row's class."""
    logits += np.where(seen, 0, ABSENT).astype(logits.dtype)
    logits -= logits.max(axis=2, keepdims=True)
    own, rows = labels[:, None], np.arange(len(labels))[:, None]
    fits = np.arange(logits.shape[1])
    losses = -logits[rows, fits, own]
    slopes = np.exp(logits, out=logits)
    total = slopes.sum(axis=2)
    losses += np.log(total)
    slopes /= total[..., None]
    slopes[rows, fits, own] -= 1
    slopes *= weights[..., None]
    return _total(losses * weights), slopes


def binary_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the same of a single decision between two classes."""
    signs = (2 * labels[:, None] - 1).astype(logits.dtype)
    margins = signs * logits[..., 0]
    losses = np.logaddexp(np.zeros_like(margins), -margins) * weights
    return _total(losses), (-signs * expit(-margins) * weights)[..., None]


def squared_hinge(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the squared lack of a margin of 1, of each column against the others.

    As in liblinear, the weight of a class counts for its own rows; where several columns each
    decide between one class and the rest, the rest counts 1.
    """
    n_columns = logits.shape[2]
    own = labels[:, None] == (np.arange(n_columns) if n_columns > 1 else 1)
    signs = np.where(own, 1, -1).astype(logits.dtype)[:, None]
    lacking = np.maximum(0, 1 - signs * logits)
    counted = weights[..., None]
    if n_columns > 1:
        counted = np.where(own[:, None], counted, counted > 0) * seen
    counted = counted.astype(logits.dtype, copy=False)
    slopes = -2 * counted * signs * lacking
    return _total((counted * lacking**2).sum(axis=2)), slopes


def _total(losses: np.ndarray) -> np.ndarray:
    total: np.ndarray = losses.sum(axis=0, dtype=np.float64)
    return total
