"""Whether probabilities mean what they say: log loss, reliability, expected calibration error."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from pipeline.system.typed import Share, Some

SMALLEST_PROBABILITY = 1e-15
N_BINS = 15


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log probability of the given labels, clipped at 1e-15."""
    mean = float(losses(probabilities, labels).mean())
    return 0.0 if mean <= 0 else mean  # where a probability is NaN, so is the loss


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the negative log probability of each given label (n,), clipped at 1e-15."""
    given = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.clip(given, SMALLEST_PROBABILITY, None))


@dataclass(frozen=True)
class ReliabilityPoint:
    """Pictures of about the same confidence.

    Args:
        n: How many they are.
        confidence: Mean probability of what they were called, 0–1.
        accuracy: Share of them that were called right, 0–1.
    """

    n: Some
    confidence: Annotated[float, 0, 1.001]  # means of float32 may be rounded up
    accuracy: Share


@dataclass(frozen=True)
class Reliability:
    """The reliability curve, by rising confidence, and the mean distance from the diagonal."""

    points: tuple[ReliabilityPoint, ...]

    @property
    def error(self) -> float:
        """Expected calibration error: mean over pictures of |accuracy - confidence| of their bin.

        It has no interval here: resampled pictures scatter more than the pictures themselves, so
        its bootstrap is biased upwards. For the same reason it is never 0 on few pictures.
        """
        n = sum(point.n for point in self.points)
        gaps = (point.n * abs(point.accuracy - point.confidence) for point in self.points)
        return float(sum(gaps) / n)


def reliability(probabilities: np.ndarray, labels: np.ndarray, n_bins: int = N_BINS) -> Reliability:
    """Compare how sure predictions are with how often they are right.

    Confidence and error are those of Guo et al. 2017 ("On Calibration of Modern Neural Networks").
    Bins hold equally many pictures (Nixon et al. 2019) instead of being equally wide: a good
    classifier is sure of nearly everything, and equally wide bins would leave all but one empty.

    Args:
        probabilities: (n, k) float, row-aligned with ``labels``.
        labels: (n,) int, class numbers.
        n_bins: How many bins; fewer are made where pictures are few or equally sure.

    Returns:
        A point for each bin that holds a picture. Pictures of the same confidence share a bin, so
        the order of the rows does not matter.
    """
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    shares = np.linspace(0, 1, n_bins + 1)[1:-1]
    edges = np.unique(np.quantile(confidence, shares, method="higher"))
    numbers = np.searchsorted(edges, confidence, side="right")
    points = []
    for number in np.unique(numbers):
        rows = numbers == number
        sure, hit = float(confidence[rows].mean()), float(right[rows].mean())
        points.append(ReliabilityPoint(int(rows.sum()), sure, hit))
    return Reliability(tuple(points))
