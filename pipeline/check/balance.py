"""Classes by number of pictures, and whether their numbers are a worry."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

EVEN, STRONG = 1.5, 10.0
"""Largest class over smallest: up to the first nobody notices, from the second on it decides."""
FEW = 20
"""Training pictures of a class below which its figures are mostly luck."""


@dataclass(frozen=True)
class ClassBalance:
    """How many pictures each class has.

    Args:
        counts: For each class, pictures per split that is not empty.
        ratio: Training pictures of the largest class over those of the smallest; None where some
            class has none.
        sentence: What that means, in words.
    """

    counts: Mapping[str, Mapping[str, int]]
    ratio: float | None
    sentence: str


def class_balance(
    labels: np.ndarray, splits: np.ndarray, classes: Sequence[str], names: Mapping[str, str]
) -> ClassBalance:
    """Count the pictures of every class in every split.

    Args:
        labels: (n,) int, class numbers.
        splits: (n,) str, row-aligned.
        classes: k names.
        names: What each split is called, in the order to show them.
    """
    per_split = {
        name: np.bincount(labels[splits == split], minlength=len(classes))
        for split, name in names.items()
        if (splits == split).any()
    }
    counts = {
        name: {split: int(numbers[i]) for split, numbers in per_split.items()}
        for i, name in enumerate(classes)
    }
    trained = np.bincount(labels[splits == "train"], minlength=len(classes))
    ratio = float(trained.max() / trained.min()) if trained.min() else None
    return ClassBalance(counts, ratio, _sentence(trained, ratio, classes))


def _sentence(trained: np.ndarray, ratio: float | None, classes: Sequence[str]) -> str:
    largest, smallest = classes[int(trained.argmax())], classes[int(trained.argmin())]
    if ratio is None:
        return f"{smallest} has no training picture: it cannot be learnt"
    few = int((trained < FEW).sum())
    scarce = (
        f"; {few} of {len(classes)} classes have fewer than {FEW} training pictures, so figures "
        f"per class are uncertain"
        if few
        else ""
    )
    if ratio == 1:
        return f"the classes are equally large: {trained.max()} training pictures each{scarce}"
    sizes = f"{largest} has {trained.max()} training pictures, {smallest} {trained.min()}"
    if ratio <= EVEN:
        return f"the classes are about equally large: {sizes}{scarce}"
    much = f"the largest class is {ratio:.1f} times the smallest: {sizes}"
    if ratio < STRONG:
        return f"{much}; look at balanced accuracy beside accuracy{scarce}"
    return (
        f"{much}; accuracy says little about the small classes: judge by balanced accuracy and "
        f"macro F1{scarce}"
    )
