"""Judging predictions: metrics, bootstrap intervals, paired comparison. Arrays in, numbers out."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import confusion_matrix

N_RESAMPLES = 2000
RESAMPLES_PER_BLOCK = 50
INTERVAL = (2.5, 97.5)
SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True)
class Estimate:
    """A figure with the 95 % percentile bootstrap interval over resampled pictures."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Metrics:
    """How well probabilities meet labels on one split.

    ``confusion[i, j]`` counts pictures of class i that were called class j. Classes that the split
    does not contain count neither in the balanced accuracy nor in the macro F1.
    """

    n: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    log_loss: float
    confusion: np.ndarray

    def to_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return plain JSON values, with a row of precision, recall and F1 per class."""
        return {
            "n": self.n,
            **{
                name: {key: _plain(value) for key, value in asdict(getattr(self, name)).items()}
                for name in ("accuracy", "balanced_accuracy", "macro_f1")
            },
            "log_loss": self.log_loss,
            "confusion": self.confusion.tolist(),
            "classes": per_class(self.confusion, classes),
        }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def evaluate(probabilities: np.ndarray, labels: np.ndarray, seed: int = 0) -> Metrics:
    """Judge class probabilities.

    Args:
        probabilities: (n, k) float, rows summing to 1; row i belongs to ``labels[i]``.
        labels: (n,) int, class numbers 0 … k-1.
        seed: Seed of the bootstrap.

    Returns:
        The metrics, with intervals from 2,000 resamples of the n pictures.

    Example:
        >>> import numpy as np
        >>> evaluate(np.eye(2)[[0, 1, 1]], np.array([0, 1, 0])).accuracy.value
        0.6666666666666666
    """
    n_classes = probabilities.shape[1]
    confusion = confusion_matrix(labels, probabilities.argmax(1), labels=np.arange(n_classes))
    measured, resampled = Counts.of(confusion), Counts.resampled(confusion, seed)
    accuracy, balanced, f1 = (
        _estimate(measure, measured, resampled)
        for measure in (_accuracy, _balanced_accuracy, _macro_f1)
    )
    loss = log_loss(probabilities, labels)
    return Metrics(len(labels), accuracy, balanced, f1, loss, confusion)


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
        by_given = csr_array((ones, (used, given)), (len(cells), n_classes))
        by_called = csr_array((ones, (used, called)), (len(cells), n_classes))
        right = by_given * (given == called)[:, None]
        blocks = []
        for _ in range(N_RESAMPLES // RESAMPLES_PER_BLOCK):
            drawn = rng.multinomial(cells.sum(), shares, RESAMPLES_PER_BLOCK)
            blocks.append((drawn @ right, drawn @ by_given, drawn @ by_called))
        return cls(*(np.concatenate(part) for part in zip(*blocks, strict=True)))


def _estimate(
    measure: Callable[[Counts], np.ndarray], measured: Counts, resampled: Counts
) -> Estimate:
    low, high = np.percentile(measure(resampled), INTERVAL)
    return Estimate(float(measure(measured)[0]), (float(low), float(high)))


def _accuracy(counts: Counts) -> np.ndarray:
    return counts.hits.sum(1) / counts.given.sum(1)


def _balanced_accuracy(counts: Counts) -> np.ndarray:
    return _mean_of_present(_recall(counts), counts)


def _macro_f1(counts: Counts) -> np.ndarray:
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


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean negative log probability of the given labels, clipped at 1e-15."""
    given = probabilities[np.arange(len(labels)), labels]
    return max(0.0, float(-np.log(np.clip(given, SMALLEST_PROBABILITY, None)).mean()))


def paired_difference(correct: np.ndarray, other: np.ndarray, seed: int = 0) -> Estimate:
    """Estimate the accuracy of one run minus another's on the same pictures.

    The pictures are resampled in pairs, so what is hard for both does not blur the difference. An
    interval that contains 0 means that the runs are not distinguishable on these pictures.

    Args:
        correct: (n,) bool, whether the run was right on each picture.
        other: (n,) bool, the other run on the same pictures in the same order.
        seed: Seed of the bootstrap.
    """
    difference = correct.astype(int) - other.astype(int)
    counts = np.array([np.sum(difference == value) for value in (-1, 0, 1)])
    draws = np.random.default_rng(seed).multinomial(
        len(correct), counts / len(correct), N_RESAMPLES
    )
    low, high = np.percentile((draws[:, 2] - draws[:, 0]) / len(correct), INTERVAL)
    return Estimate(float(difference.mean()), (float(low), float(high)))
