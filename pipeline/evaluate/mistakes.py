"""Where predictions are wrong: which classes are taken for which, and the surest mistakes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

N_EXAMPLES = 3


def confused_pairs(
    probabilities: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    classes: Sequence[str],
    top: int = 10,
    examples: int = N_EXAMPLES,
) -> list[dict[str, Any]]:
    """Return which class is most often taken for which other, with pictures to look at.

    Args:
        probabilities: (n, k) float; or (n, k) of zeros and ones where only predictions are known.
        labels: (n,) int, class numbers, row-aligned.
        paths: n paths, row-aligned.
        classes: k names.
        top: How many pairs at most.
        examples: How many paths of each pair, those that are called wrongly with most confidence.

    Returns:
        ``{"class", "called", "count", "share", "paths"}`` each, most frequent first; ``share`` is
        of the class' pictures. Of equals the one with the higher share, then by class order.
    """
    called, supports = probabilities.argmax(1), np.bincount(labels, minlength=len(classes))
    confidence = probabilities.max(1)
    pairs: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(called != labels).tolist():
        pairs.setdefault((int(labels[row]), int(called[row])), []).append(row)
    ranked = sorted(pairs.items(), key=lambda pair: _worst(pair[0], len(pair[1]), supports))
    return [
        {
            "class": classes[given],
            "called": classes[wrong],
            "count": len(rows),
            "share": len(rows) / int(supports[given]),
            "paths": [paths[row] for row in _surest(rows, confidence, paths)[:examples]],
        }
        for (given, wrong), rows in ranked[:top]
    ]


def _worst(pair: tuple[int, int], count: int, supports: np.ndarray) -> tuple[float, ...]:
    return -count, -count / int(supports[pair[0]]), *pair


def _surest(rows: Sequence[int], confidence: np.ndarray, paths: Sequence[str]) -> list[int]:
    return sorted(rows, key=lambda row: (-confidence[row], paths[row]))


def confident_mistakes(
    probabilities: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    classes: Sequence[str],
    top: int = 10,
) -> list[dict[str, Any]]:
    """Return the pictures that are called wrongly with most confidence, surest first.

    Args:
        probabilities: (n, k) float.
        labels: (n,) int, class numbers, row-aligned.
        paths: n paths, row-aligned.
        classes: k names.
        top: How many at most.

    Returns:
        ``{"path", "label", "prediction", "probability", "given_probability"}`` each: how probable
        the prediction is, and how probable the given label.
    """
    called, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(called != labels).tolist()
    return [
        {
            "path": paths[row],
            "label": classes[labels[row]],
            "prediction": classes[called[row]],
            "probability": float(confidence[row]),
            "given_probability": float(probabilities[row, labels[row]]),
        }
        for row in _surest(wrong, confidence, paths)[:top]
    ]
