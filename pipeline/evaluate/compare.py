"""Comparing runs on the same pictures: how large the difference is, and whether it is noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluate.counts import N_RESAMPLES, Estimate

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """One run's accuracy against another's on the same pictures.

    Args:
        value: Accuracy minus the other's.
        ci95: Paired bootstrap interval of that difference.
        p_value: How often a difference like this or a larger one comes about by chance between
            runs that are equally good; corrected where it says so.
        distinguishable: Whether ``p_value`` is at most 0.05.
    """

    value: float
    ci95: tuple[float, float]
    p_value: float
    distinguishable: bool


def paired_difference(correct: np.ndarray, other: np.ndarray, seed: int = 0) -> Estimate:
    """Estimate the accuracy of one run minus another's on the same pictures, (n,) bool each.

    The pictures are resampled in pairs, so what is hard for both does not blur the difference. An
    interval that contains 0 means that the runs are not distinguishable on these pictures.
    """
    difference = correct.astype(int) - other.astype(int)
    counts = np.array([np.sum(difference == value) for value in (-1, 0, 1)])
    draws = np.random.default_rng(seed).multinomial(
        len(correct), counts / len(correct), N_RESAMPLES
    )
    return Estimate.of_draws(difference.mean(), (draws[:, 2] - draws[:, 0]) / len(correct))


def mcnemar_p_value(correct: np.ndarray, other: np.ndarray) -> float:
    """Return the two-sided exact p-value of McNemar's test (McNemar 1947; binomial, uncorrected).

    Only pictures on which the two disagree count, of (n,) bool each in the same order: were both
    equally good, each of these would be a coin's toss. 1 where they never disagree.
    """
    won, lost = int(np.sum(correct & ~other)), int(np.sum(other & ~correct))
    from scipy.special import bdtr  # slow to import; predicting does without

    return min(1.0, 2 * float(bdtr(min(won, lost), won + lost, 0.5)))


def compare_paired(correct: np.ndarray, other: np.ndarray, seed: int = 0) -> Comparison:
    """Compare two runs on the same pictures: the bootstrap says how much, McNemar's test whether.

    Both are (n,) bool, whether the run was right on each picture, in the same order.

    Example:
        >>> import numpy as np
        >>> compare_paired(np.ones(8, bool), np.arange(8) < 2).p_value
        0.03125
    """
    difference = paired_difference(correct, other, seed)
    p_value = mcnemar_p_value(correct, other)
    return Comparison(difference.value, difference.ci95, p_value, p_value <= SIGNIFICANCE)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of several comparisons (Holm 1979), in the order in which they came.

    With the corrected ones at 0.05, the chance that any difference that is called real is none
    stays below 5 % however many comparisons there are.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    n, highest = len(p_values), 0.0
    corrected = [0.0] * n
    for rank, place in enumerate(sorted(range(n), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (n - rank) * p_values[place]))
        corrected[place] = highest
    return corrected
