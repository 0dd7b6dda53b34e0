"""Figures that follow from the confusion matrix alone, shares of pictures, and their intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

N_RESAMPLES = 2000
RESAMPLES_PER_BLOCK = 50


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; what made the interval is said where it is made."""

    value: float
    ci95: tuple[float, float]

    @classmethod
    def of_draws(cls, value: float, draws: np.ndarray) -> "Estimate":
        """Return a figure with the percentile interval of a bootstrap's draws of it, (n,)."""
        low, high = np.percentile(draws, (2.5, 97.5))
        return cls(float(value), (float(low), float(high)))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"value": self.value, "ci95": list(self.ci95)}


@dataclass(frozen=True)
class Counts:
    """What the metrics need of confusion matrices: three counts per class, each (matrices, k).

    Args:
        hits: Pictures of the class that were called so.
        given: Pictures of the class.
        called: Pictures that were called so.
    """

    hits: np.ndarray
    given: np.ndarray
    called: np.ndarray

    @classmethod
    def of(cls, confusion: np.ndarray) -> "Counts":
        """Count one matrix (k, k)."""
        return cls(np.diagonal(confusion)[None], confusion.sum(1)[None], confusion.sum(0)[None])

    @classmethod
    def resampled(cls, confusion: np.ndarray, seed: int) -> "Counts":
        """Count matrices as if the pictures had been drawn again with replacement.

        Resampling n pictures draws the matrix' cells from a multinomial distribution: the same
        thing, without touching the pictures. Only the cells that are not empty are drawn, a block
        of resamples at a time, so memory grows with k and not with its square.
        """
        given, called = np.nonzero(confusion)
        cells = confusion[given, called]
        rng, shares = np.random.default_rng(seed), cells / cells.sum()
        n_classes, used = len(confusion), np.arange(len(cells))
        ones = np.ones(len(cells))
        from scipy.sparse import csr_array  # slow to import; predicting does without

        by_given = csr_array((ones, (used, given)), (len(cells), n_classes))
        by_called = csr_array((ones, (used, called)), (len(cells), n_classes))
        right = by_given * (given == called)[:, None]
        blocks = []
        for _ in range(N_RESAMPLES // RESAMPLES_PER_BLOCK):
            drawn = rng.multinomial(cells.sum(), shares, RESAMPLES_PER_BLOCK)
            blocks.append((drawn @ right, drawn @ by_given, drawn @ by_called))
        return cls(*(np.concatenate(part) for part in zip(*blocks, strict=True)))


def estimate(
    measure: Callable[[Counts], np.ndarray], measured: Counts, resampled: Counts
) -> Estimate:
    """Return a figure with its percentile bootstrap interval over resampled pictures."""
    return Estimate.of_draws(measure(measured)[0], measure(resampled))


def balanced_accuracy(counts: Counts) -> np.ndarray:
    """Return the mean recall of the classes that are there, (matrices,)."""
    return _mean_of_present(_recall(counts), counts)


def macro_f1(counts: Counts) -> np.ndarray:
    """Return the mean F1 of the classes that are there, (matrices,)."""
    return _mean_of_present(_f1(counts), counts)


def _mean_of_present(values: np.ndarray, counts: Counts) -> np.ndarray:
    present = counts.given > 0
    return np.where(present, values, 0).sum(1) / present.sum(1)


def _recall(counts: Counts) -> np.ndarray:
    return counts.hits / np.maximum(counts.given, 1)


def _f1(counts: Counts) -> np.ndarray:
    return 2 * counts.hits / np.maximum(counts.given + counts.called, 1)


def per_class(confusion: np.ndarray, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support of each class, in class order."""
    counts = Counts.of(confusion)
    recall, f1 = _recall(counts)[0], _f1(counts)[0]
    precision = np.diagonal(confusion) / np.maximum(confusion.sum(0), 1)
    return [
        {
            "class": name,
            "precision": float(precision[i]),
            "recall": float(recall[i]),
            "f1": float(f1[i]),
            "support": int(confusion[i].sum()),
        }
        for i, name in enumerate(classes)
    ]


Z95 = 1.959963984540054
"""97.5 % quantile of the normal distribution."""


def proportion(value: float, n: int) -> Estimate:
    """Return a share, 0 to 1, of n ≥ 1 pictures with Wilson's score interval (Wilson 1927).

    Unlike the bootstrap's it has a width where every picture was right: 20 of 20 leave room for
    an accuracy of 0.84.

    Example:
        >>> proportion(1.0, 20).ci95[0]
        0.8388...
    """
    spread = Z95**2 / n
    centre = (value + spread / 2) / (1 + spread)
    width = np.sqrt(value * (1 - value) * spread + spread**2 / 4) / (1 + spread)
    low, high = max(0.0, float(centre - width)), min(1.0, float(centre + width))
    return Estimate(value, (min(low, value), max(high, value)))
