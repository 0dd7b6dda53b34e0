"""Would more pictures help? A head is trained on growing parts of train and judged out of fold.

Arrays in, figures and a sentence out. The test split has no part in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from pipeline.errors import InputError
from pipeline.evaluate import paired_difference, proportion
from pipeline.heads.sample import Folds, make_folds

Answer = Literal["yes", "hardly", "unknown"]

PARTS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
WORTH_IT = 0.005
"""Gain in accuracy by doubling the pictures below which more of them hardly help."""
LEVEL = 0.975
RULE_OF_THREE = 3


@dataclass(frozen=True)
class CurvePoint:
    """Heads that were trained on about the same number of pictures.

    Args:
        n: Training pictures, mean over the repeats.
        accuracy: Mean share of unseen pictures that they called right.
        ci95: Interval of that mean over the repeats (Student's t), within 0–1, and at least as
            wide as Wilson's over the pictures: repeats that agree leave that much open.
        accuracies: One per repeat, in the order of the folds.
    """

    n: int
    accuracy: float
    ci95: tuple[float, float]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class LearningCurve:
    """How accuracy grew with the number of training pictures, and what that says of more.

    Args:
        points: By growing number of pictures.
        gain: What the last step brought, scaled to one doubling of the pictures.
        gain_ci95: Its interval over pictures, see `learning_curve`.
        answer: Whether more pictures would help: yes, hardly, or unknown.
        sentence: The same for people, with the figures and how sure they are.
    """

    points: tuple[CurvePoint, ...]
    gain: float
    gain_ci95: tuple[float, float]
    answer: Answer
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "points": [
                {**asdict(point), "ci95": list(point.ci95), "accuracies": list(point.accuracies)}
                for point in self.points
            ],
            "gain": self.gain,
            "gain_ci95": list(self.gain_ci95),
            "answer": self.answer,
            "sentence": self.sentence,
        }


def learning_curve(
    score: Callable[[Folds], np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    folds: int = 5,
    seed: int = 0,
    sizes: Sequence[float] = PARTS,
) -> LearningCurve:
    """Train a head on growing stratified parts of train, and say whether more pictures would help.

    Each fold is a repeat: what is held out judges heads trained on growing parts of the rest, each
    part containing the one before, so that the parts are compared on the same pictures.

    The rule: what did the last doubling bring? Every picture was called by a head of the part and
    by one of the whole, neither of which had seen it; the gain has the paired bootstrap's interval
    over pictures, never narrower than 3/n to either side (the rule of three: n pictures without a
    difference leave room for that much). If all of it lies above 0 and the gain is worth having
    (0.005), the answer is yes; if all of it lies below 0.005, hardly; else these pictures cannot
    say.

    Args:
        score: Fits the head to the rows of each fold, and returns scores (n, k) of what they hold
            out.
        labels: (n,) int, class numbers of the training pictures.
        groups: (n,) int; pictures of one group are on one side of a fold.
        folds: How many repeats; fewer where a class has fewer different pictures.
        seed: Seed of the folds and of the parts.
        sizes: Growing shares of the pictures of a repeat, the last being 1. Parts that could not
            hold two pictures of every class are left out.

    Raises:
        InputError: ``sizes`` do not grow to 1, or nothing but the whole could be trained on.
        DataError: No folds can be made.
    """
    _check_sizes(sizes)
    made = make_folds(labels, folds, seed, groups)
    smallest = min(len(fit) for fit, _ in made)
    n_present = len(np.unique(labels))
    parts = [part for part in sizes if part * smallest >= 2 * n_present]
    if len(parts) < 2:
        raise InputError(
            f"expected at least {round(2 * n_present / sizes[-2])} training pictures in each "
            f"fold for a learning curve of {n_present} classes, received {smallest}; add pictures"
        )
    n_fit = float(np.mean([len(fit) for fit, _ in made]))
    hits = [score(_parts(made, labels, part, seed)).argmax(1) == labels for part in parts]
    points = tuple(
        _point(round(part * n_fit), [float(hit[held].mean()) for _, held in made], len(hit))
        for part, hit in zip(parts, hits, strict=True)
    )
    return _judged(points, hits[-2], hits[-1], parts[-1] / parts[-2], seed)


def _check_sizes(sizes: Sequence[float]) -> None:
    growing = all(low < high for low, high in pairwise(sizes))
    if len(sizes) < 2 or not growing or sizes[0] <= 0 or sizes[-1] != 1:
        raise InputError(
            f"expected at least two growing shares of train that end with 1, received "
            f"sizes={tuple(sizes)}; give for example (0.25, 0.5, 1)"
        )


def _parts(folds: Folds, labels: np.ndarray, part: float, seed: int) -> Folds:
    """Return the same folds with a part of the rows that are fitted on."""
    smaller = []
    for number, (fit, held_out) in enumerate(folds):
        order = _growing_order(labels[fit], seed + number)
        smaller.append((fit[order[: round(part * len(fit))]], held_out))
    return smaller


def _growing_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Order rows so that every beginning is stratified; two of each class come first."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    keys = np.empty(len(labels))
    for number in np.unique(labels):
        rows = shuffled[labels[shuffled] == number]
        keys[rows] = np.arange(len(rows)) / len(rows)
        keys[rows[:2]] = np.arange(-2, 0)[: len(rows)]
    return shuffled[np.argsort(keys[shuffled], kind="stable")]


def _point(n: int, accuracies: list[float], n_judged: int) -> CurvePoint:
    mean, repeats = float(np.mean(accuracies)), len(accuracies)
    error = float(np.std(accuracies, ddof=1)) / repeats**0.5
    from scipy.special import stdtrit

    width = float(stdtrit(repeats - 1, LEVEL)) * error
    low, high = proportion(mean, n_judged).ci95
    within = (min(low, max(0.0, mean - width)), max(high, min(1.0, mean + width)))
    return CurvePoint(n, mean, within, tuple(accuracies))


def _judged(
    points: tuple[CurvePoint, ...],
    before: np.ndarray,
    after: np.ndarray,
    growth: float,
    seed: int,
) -> LearningCurve:
    """Answer from which pictures were called right before and after the last step: (n,) bool."""
    doublings, least = float(np.log2(growth)), RULE_OF_THREE / len(after)
    step = paired_difference(after, before, seed)
    gain = step.value / doublings
    low = min(step.ci95[0], step.value - least) / doublings
    high = max(step.ci95[1], step.value + least) / doublings
    answer: Answer = "unknown"
    if low > 0 and gain >= WORTH_IT:
        answer = "yes"
    elif high < WORTH_IT:
        answer = "hardly"
    return LearningCurve(
        points, gain, (low, high), answer, _sentence(points, gain, (low, high), answer)
    )


def _sentence(
    points: tuple[CurvePoint, ...], gain: float, ci95: tuple[float, float], answer: Answer
) -> str:
    half, whole = points[-2], points[-1]
    measured = (
        f"from {half.n} to {whole.n} training pictures accuracy went from {half.accuracy:.3f} to "
        f"{whole.accuracy:.3f}, {gain:+.3f} ({ci95[0]:+.3f} to {ci95[1]:+.3f}) for twice as many"
    )
    if answer == "yes":
        return (
            f"more pictures would help: {measured}; {2 * whole.n} pictures may reach about "
            f"{_extrapolated(half, whole):.3f} if errors go on falling alike"
        )
    if answer == "hardly":
        return f"more pictures of this kind would hardly help: {measured}"
    return f"whether more pictures would help cannot be said: {measured}, which may be noise"


def _extrapolated(half: CurvePoint, whole: CurvePoint) -> float:
    """Follow the power law through two points for one doubling more.

    Under error = a · n^-b every doubling leaves the same share of the errors.
    """
    left = (1 - whole.accuracy) / (1 - half.accuracy)
    return 1 - (1 - whole.accuracy) * left ** (1 / float(np.log2(whole.n / half.n)))
