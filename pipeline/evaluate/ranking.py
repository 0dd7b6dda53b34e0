"""Figures of how well probabilities rank pictures: ROC AUC, average precision, top-k accuracy."""

from collections.abc import Iterator

import numpy as np

from pipeline.evaluate.counts import Z95, Estimate, proportion


def rank_figures(
    probabilities: np.ndarray, labels: np.ndarray
) -> tuple[Estimate, float] | tuple[None, None]:
    """Return the area under the ROC curve and the average precision: one sort serves both.

    Of two classes both are those of the second; else they are means over the classes that are
    there, each against all others. The area's interval is DeLong's (DeLong et al. 1988), on the
    logit scale so that it stays between 0 and 1: each picture's influence is the mean of its
    placements in all classes, and no picture is drawn again. It has no width where nothing is
    ranked wrongly. Equal probabilities are one threshold, as in scikit-learn.

    Args:
        probabilities: (n, k) float, row-aligned with ``labels``.
        labels: (n,) int, class numbers.

    Returns:
        (None, None) where every picture is of one class.
    """
    areas, precisions, influence = [], [], np.zeros(len(labels))
    for _, scores, positive in one_against_others(probabilities, labels):
        area, precision, of_pictures = _ranked(scores, positive)
        areas.append(area)
        precisions.append(precision)
        influence += of_pictures
    if not areas:
        return None, None
    area = float(np.mean(areas))
    error = float(np.sqrt((influence**2).sum())) / len(areas) / len(labels)
    return Estimate(area, _logit_interval(area, error)), float(np.mean(precisions))


def one_against_others(
    probabilities: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each class that has pictures and is not alone; of two, the second.

    Each is its number, its probabilities (n,), and which pictures are of it, (n,) bool.
    """
    for number in [1] if probabilities.shape[1] == 2 else np.unique(labels).tolist():
        positive = labels == number
        if positive.any() and not positive.all():
            yield number, probabilities[:, number], positive


def top_accuracy(probabilities: np.ndarray, labels: np.ndarray, top: int = 5) -> Estimate | None:
    """Return the share of pictures whose label is among the ``top`` likeliest classes.

    Of equal probabilities the class with the lower number comes first, as in ``argmax``. The
    interval is Wilson's.

    Returns:
        None where there are no more than ``top`` classes: every picture would be right.
    """
    if probabilities.shape[1] <= top:
        return None
    given = probabilities[np.arange(len(labels)), labels][:, None]
    before = np.arange(probabilities.shape[1]) < labels[:, None]
    place = (probabilities > given).sum(1) + ((probabilities == given) & before).sum(1)
    return proportion(float(np.mean(place < top)), len(labels))


def _ranked(scores: np.ndarray, positive: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Rank pictures by their scores (n,) of one class, which some, (n,) bool, are of.

    Returns:
        The area under the ROC curve, the average precision, each picture's influence on the area.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    # Equal scores are one step of the curve: what counts is the last row of each.
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    n_right = np.cumsum(positive[order])[last]
    n_called = last + 1
    steps = (np.diff(n_right, prepend=0), np.diff(n_called - n_right, prepend=0))
    n_positive, n_negative = int(n_right[-1]), int(n_called[-1] - n_right[-1])
    precision = float((steps[0] * n_right / n_called).sum() / n_positive)
    # Placement: for a positive the share of negatives below it, and the other way round.
    of_positive = (n_negative - (n_called - n_right) + steps[1] / 2) / n_negative
    of_negative = (n_right - steps[0] / 2) / n_positive
    area = float((steps[0] * of_positive).sum() / n_positive)
    step = np.empty(len(scores), int)
    step[order] = np.repeat(np.arange(len(last)), np.diff(last, prepend=-1))
    placement = np.where(positive, of_positive[step], of_negative[step])
    weight = len(scores) / np.where(positive, n_positive, n_negative)
    return area, precision, weight * (placement - area)


def _logit_interval(value: float, error: float) -> tuple[float, float]:
    if not 0 < value < 1:
        return value, value
    centre, width = np.log(value / (1 - value)), Z95 * error / (value * (1 - value))
    low, high = (1 / (1 + np.exp(-np.array([centre - width, centre + width])))).tolist()
    return float(low), float(high)
