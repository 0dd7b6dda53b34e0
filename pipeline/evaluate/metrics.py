"""Everything that is said of probabilities on one split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluate.calibration import Reliability, log_loss, reliability
from pipeline.evaluate.counts import (
    Counts,
    Estimate,
    balanced_accuracy,
    estimate,
    macro_f1,
    proportion,
)
from pipeline.evaluate.ranking import rank_figures, top_accuracy


@dataclass(frozen=True)
class Metrics:
    """How well probabilities meet labels on one split.

    ``confusion[i, j]`` counts pictures of class i that were called class j. Classes that the split
    does not contain count in no average over classes.

    Args:
        n: Pictures.
        accuracy: Share that was called right, with Wilson's interval.
        balanced_accuracy: Mean recall of the classes; this and the next with bootstrap intervals.
        macro_f1: Mean F1 of the classes.
        log_loss: Mean negative log probability of the given labels.
        confusion: (k, k) int.
        roc_auc: Binary or macro one-vs-rest, with DeLong's interval; None if there is one class.
        average_precision: Binary or macro one-vs-rest; None if there is one class.
        top5_accuracy: None where there are five classes or fewer.
        reliability: The reliability curve; its ``error`` is the expected calibration error.
    """

    n: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    log_loss: float
    confusion: np.ndarray
    roc_auc: Estimate | None
    average_precision: float | None
    top5_accuracy: Estimate | None
    reliability: Reliability


def mean_over_views(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Average the probabilities of pictures over their views.

    Probabilities are averaged, not scores: a head that is very sure of one odd view would outvote
    all others. Views are added one after another, so that whoever judges a picture by the same
    probabilities gets the same digits, and one answer at a threshold.

    Args:
        probabilities: One array (…, k) for each view, the clean picture's first; all in the same
            row order.

    Returns:
        (…, k) float64, same row order.

    Example:
        >>> mean_over_views([np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]).tolist()
        [[0.7, 0.3]]
    """
    return sum(probabilities, np.zeros(probabilities[0].shape)) / len(probabilities)


def evaluate(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> Metrics:
    """Judge class probabilities.

    Args:
        probabilities: (n, k) float, rows summing to 1; row i belongs to ``labels[i]``.
        labels: (n,) int, class numbers 0 … k-1.
        seed: Seed of the bootstrap.

    Returns:
        The metrics; intervals of figures that are no plain shares come from 2,000 resamples of the
        n pictures.

    Example:
        >>> import numpy as np
        >>> evaluate(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0])).accuracy.value
        0.6666666666666666
    """
    n_classes = probabilities.shape[1]
    cells = np.bincount(labels * n_classes + probabilities.argmax(1), minlength=n_classes**2)
    confusion = cells.reshape(n_classes, n_classes)
    measured, resampled = Counts.of(confusion), Counts.resampled(confusion, seed)
    area, precision = rank_figures(probabilities, labels)
    return Metrics(
        n=len(labels),
        accuracy=proportion(float(np.trace(confusion) / len(labels)), len(labels)),
        balanced_accuracy=estimate(balanced_accuracy, measured, resampled),
        macro_f1=estimate(macro_f1, measured, resampled),
        log_loss=log_loss(probabilities, labels),
        confusion=confusion,
        roc_auc=area,
        average_precision=precision,
        top5_accuracy=top_accuracy(probabilities, labels),
        reliability=reliability(probabilities, labels),
    )
