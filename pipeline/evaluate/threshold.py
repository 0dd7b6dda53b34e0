"""When to say "don't know": a confidence below which a picture gets no label.

The threshold is chosen on pictures that the head has not seen, so that of the pictures that are
answered at most a given share is wrong. The share counted there is no promise: the lowest threshold
that keeps to it was searched for on the same pictures, and on new ones breaks it more often than
not. What is promised here holds with a stated confidence, by exact binomial tests, as in
Geifman & El-Yaniv 2017 ("Selective Classification for Deep Neural Networks"). They correct for each
step of a bisection over thresholds; fixed-sequence testing with several starts (Angelopoulos et al.
2021, "Learn then Test") needs a correction for the starts alone, and so answers more pictures. It
has its price: no promise of 1 % can be shown with fewer than 299 pictures, none of them wrong.
"""

from dataclasses import asdict, dataclass
from math import ceil, log
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.evaluate.counts import Estimate, proportion

CONFIDENCE = 0.95
NEVER = 2.0
"""A threshold that no probability reaches."""
LIKELY_PROMISES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Threshold:
    """From which confidence on a picture is answered.

    Args:
        value: Lowest probability of the likeliest class that is answered; 0 to answer everything,
            `NEVER` where no threshold keeps the promise, so that nothing is answered.
        max_error: The promise: greatest share of answered pictures that is wrong.
        coverage: Share of the pictures it was chosen on that it answers.
        error: Share of those that are wrong; None where none is answered.
        n: Pictures it was chosen on.
        confidence: How often such a choice keeps its promise on new pictures, at least.
        possible: Where none keeps the promise, a greater ``max_error`` that one would; else None.
    """

    value: float
    max_error: float
    coverage: float
    error: float | None
    n: int
    confidence: float = CONFIDENCE
    possible: float | None = None

    @property
    def reached(self) -> bool:
        """Whether there is a threshold that keeps the promise."""
        return self.value < NEVER

    def describe(self) -> str:
        """Say in one sentence what was promised and what it costs."""
        promise = f"at most {self.max_error:.1%} wrong with {self.confidence:.0%} confidence"
        if self.reached:
            least = f"a probability of {self.value:.4f} on" if self.value else "any probability"
            return (
                f"answers from {least}: {self.coverage:.1%} of {self.n} unseen pictures, "
                f"{self.error:.1%} of them wrong; {promise}"
            )
        n_least = least_pictures(self.max_error, self.confidence)
        way_out = "" if self.possible is None else f", or allow {self.possible:.1%}"
        return (
            f"no threshold is known to leave {promise}, judging by {self.n} unseen pictures, so "
            f"every picture is answered with don't know; that takes at least {n_least} answered "
            f"pictures without a mistake: add pictures, choose a better head{way_out}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "reached": self.reached}


def choose_threshold(
    probabilities: np.ndarray, labels: np.ndarray, max_error: float, confidence: float = CONFIDENCE
) -> Threshold:
    """Choose the lowest threshold whose answers are wrong at most so often on new pictures.

    Thresholds are tested from strict to lax until one fails, from several starts: those that answer
    all, a half, a quarter … of the pictures. A start is passed where so few mistakes among so many
    answers would come about with a probability of at most (1 - confidence) / starts, were the share
    of mistakes greater than ``max_error``.

    The promise is exact for pictures that are drawn as these were and a head that has not seen
    these. Of out-of-fold probabilities it holds in so far as the folds' heads are like the one that
    is fitted on all; copies and near-duplicates among the pictures make it too bold.

    Args:
        probabilities: (n, k) float, of pictures that the head has not seen.
        labels: (n,) int, class numbers, row-aligned.
        max_error: Greatest share of answers that may be wrong, between 0 and 1.
        confidence: How often the promise shall be kept, between 0 and 1.

    Raises:
        InputError: A share is not between 0 and 1.

    Example:
        >>> import numpy as np
        >>> sure = np.linspace(0.5, 1, 200)
        >>> labels = (np.arange(200) < 60) & (np.arange(200) % 2 == 0)
        >>> chosen = choose_threshold(np.stack([sure, 1 - sure], 1), labels.astype(int), 0.05)
        >>> round(chosen.value, 2), round(chosen.coverage, 2), round(chosen.error, 3)
        (0.64, 0.72, 0.014)
    """
    for name, value in (("max_error", max_error), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(f"expected {name} between 0 and 1, received {name}={value}")
    n, highest = len(labels), probabilities.max(1)
    order = np.argsort(-highest, kind="stable")
    surest = highest[order]
    # Of equal confidences all are answered or none.
    answered = np.append(np.flatnonzero(surest[1:] != surest[:-1]), n - 1) + 1
    wrong = np.cumsum((probabilities.argmax(1) != labels)[order])[answered - 1]
    last = _most_lax(answered, wrong, max_error, confidence)
    if last is not None:
        n_answered = int(answered[last])
        value = 0.0 if n_answered == n else float(np.nextafter(surest[n_answered], NEVER))
        error = float(wrong[last] / n_answered)
        return Threshold(value, max_error, n_answered / n, error, n, confidence)
    larger = [share for share in LIKELY_PROMISES if share > max_error]
    kept = (share for share in larger if _most_lax(answered, wrong, share, confidence) is not None)
    return Threshold(NEVER, max_error, 0.0, None, n, confidence, possible=next(kept, None))


def _most_lax(
    answered: np.ndarray, wrong: np.ndarray, max_error: float, confidence: float
) -> int | None:
    """Return the place of the laxest threshold that keeps a promise, None where none does.

    Thresholds answer more and more pictures, up to all of them, and so many of those wrongly.
    """
    n, least = int(answered[-1]), least_pictures(max_error, confidence)
    # The thresholds that answer all, a half, a quarter … of the pictures.
    counts = [n >> i for i in range(n.bit_length()) if n >> i >= least]
    starts = np.unique(np.searchsorted(answered, counts))
    if not len(starts):
        return None
    from scipy.special import bdtr  # slow to import; predicting does without

    passed = bdtr(wrong, answered, max_error) <= (1 - confidence) / len(starts)
    lasts = []
    for start in starts[passed[starts]]:
        failed = np.flatnonzero(~passed[start:])
        lasts.append(start + int(failed[0]) - 1 if len(failed) else len(passed) - 1)
    return max(lasts, default=None)


@dataclass(frozen=True)
class Answered:
    """What a threshold answers, and how often wrongly, on n pictures that had no part in it.

    Coverage is the share that is answered, error that of the answered that is wrong, with Wilson's
    interval; None where none is answered.
    """

    n: int
    answered: int
    wrong: int
    coverage: Estimate
    error: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        error = None if self.error is None else self.error.to_dict()
        return {**vars(self), "coverage": self.coverage.to_dict(), "error": error}


def judge_threshold(threshold: float, probabilities: np.ndarray, labels: np.ndarray) -> Answered:
    """Judge pictures by a threshold that they had no part in: (n, k) float, (n,) class numbers."""
    answered = probabilities.max(1) >= threshold
    wrong = answered & (probabilities.argmax(1) != labels)
    n, n_answered, n_wrong = len(labels), int(answered.sum()), int(wrong.sum())
    error = proportion(n_wrong / n_answered, n_answered) if n_answered else None
    return Answered(n, n_answered, n_wrong, proportion(n_answered / n, n), error)


def least_pictures(max_error: float, confidence: float = CONFIDENCE) -> int:
    """Return how many answers without a mistake it takes to show that so few are wrong.

    >>> least_pictures(0.01)
    299
    """
    return ceil(log(1 - confidence) / log(1 - max_error))
