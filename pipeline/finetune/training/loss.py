"""What training lowers: cross-entropy, smoothed and weighted. A TensorFlow module."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def wanted(labels: Any, n_classes: int) -> Any:
    """Return labels (n,) int as probabilities (n, n_classes) float32 that are all 0 or 1."""
    return tf.one_hot(labels, n_classes)


def soft_cross_entropy(logits: Any, targets: Any, smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of each picture: (n,) float32.

    Args:
        logits: (n, k).
        targets: (n, k) float32, rows add up to 1; mixed pictures have several classes.
        smoothing: Share of each row that is spread over all classes.
    """
    smoothed = targets * (1 - smoothing) + smoothing / logits.shape[-1]
    return tf.nn.softmax_cross_entropy_with_logits(smoothed, tf.cast(logits, tf.float32))


def cross_entropy(logits: Any, labels: Any, smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of pictures of one class each: (n,) float32.

    Args:
        logits: (n, k).
        labels: (n,) int.
        smoothing: Share of each label's probability that is spread over all classes.
    """
    return soft_cross_entropy(logits, wanted(labels, logits.shape[-1]), smoothing)


def counts(targets: Any, class_weights: Sequence[float] | None) -> Any:
    """Return what each picture counts: (n,) float32; a mixed one as its classes, in proportion."""
    if class_weights is None:
        return tf.ones_like(targets[:, 0])
    return tf.linalg.matvec(targets, tf.constant(class_weights, tf.float32))
