"""Where predictions are wrong: which classes are taken for which, and the surest mistakes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

N_EXAMPLES = 3


@dataclass(frozen=True)
class ConfusedPair:
    """Pictures of one class that are taken for another: how many, and their share of that class.

    Paths are of some that are called wrongly with most confidence.
    """

    given: str
    called: str
    count: int
    share: float
    paths: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        value = asdict(self)
        return {"class": value.pop("given"), **value, "paths": list(self.paths)}


@dataclass(frozen=True)
class Mistake:
    """A picture that is called wrongly, how probable that is, and how probable the given label."""

    path: str
    label: str
    prediction: str
    probability: float
    given_probability: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def confused_pairs(
    probabilities: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    classes: Sequence[str],
    top: int = 10,
    examples: int = N_EXAMPLES,
) -> list[ConfusedPair]:
    """Return which class is most often taken for which other, with pictures to look at.

    Probabilities (n, k), or zeros and ones where only predictions are known, labels (n,) and paths
    are row-aligned. ``top`` pairs at most, with ``examples`` that are called wrongly with most
    confidence.

    Returns:
        Most frequent first. Of equals the one with the higher share, then by class order.
    """
    called, supports = probabilities.argmax(1), np.bincount(labels, minlength=len(classes))
    confidence = probabilities.max(1)
    pairs: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(called != labels).tolist():
        pairs.setdefault((int(labels[row]), int(called[row])), []).append(row)

    def worst(pair: tuple[tuple[int, int], list[int]]) -> tuple[float, ...]:
        (given, wrong), rows = pair
        return -len(rows), -len(rows) / int(supports[given]), given, wrong

    return [
        ConfusedPair(
            classes[given],
            classes[wrong],
            len(rows),
            len(rows) / int(supports[given]),
            tuple(paths[row] for row in _surest(rows, confidence, paths)[:examples]),
        )
        for (given, wrong), rows in sorted(pairs.items(), key=worst)[:top]
    ]


def _surest(rows: Sequence[int], confidence: np.ndarray, paths: Sequence[str]) -> list[int]:
    return sorted(rows, key=lambda row: (-confidence[row], paths[row]))


def confident_mistakes(
    probabilities: np.ndarray,
    labels: np.ndarray,
    paths: Sequence[str],
    classes: Sequence[str],
    top: int = 10,
) -> list[Mistake]:
    """Return the pictures that are called wrongly with most confidence, surest first.

    Probabilities (n, k), labels (n,) and paths are row-aligned.
    """
    called, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(called != labels).tolist()
    return [
        Mistake(
            paths[row],
            classes[labels[row]],
            classes[called[row]],
            float(confidence[row]),
            float(probabilities[row, labels[row]]),
        )
        for row in _surest(wrong, confidence, paths)[:top]
    ]
