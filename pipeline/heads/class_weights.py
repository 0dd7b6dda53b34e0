"""How much a row counts by its class: all alike, or so that every class counts alike."""

from typing import Any

import numpy as np

from pipeline.errors import InputError

BALANCED = "balanced"
CLASS_WEIGHTS = (None, BALANCED)


def check_class_weight(value: Any) -> None:
    """Raise InputError unless ``value`` is one of `CLASS_WEIGHTS`."""
    if not (value is None or value == BALANCED):
        raise InputError(
            f"expected class_weight to be None or {BALANCED!r}, received class_weight={value!r}; "
            f"leave it out, and every picture counts alike"
        )


def class_weights(
    labels: np.ndarray, n_classes: int, class_weight: str | None
) -> np.ndarray | None:
    """Return what a row of each class counts, so that the mean row counts 1; None where all do.

    ``"balanced"`` is n / (k · n_c) over the k classes that are there, as in scikit-learn (King and
    Zeng 2001): every class then has the same sum of weights. Augmented views change nothing,
    because they multiply n and every n_c alike. Labels (n,) are those that a head is fitted on.

    Returns:
        (n_classes,) float64, 0 for a class that is absent.

    Raises:
        InputError: ``class_weight`` is something else.

    Example:
        >>> class_weights(np.array([0, 0, 0, 1]), 2, "balanced").round(3).tolist()
        [0.667, 2.0]
    """
    check_class_weight(class_weight)
    if class_weight is None:
        return None
    counts = np.bincount(labels, minlength=n_classes)
    n_present = np.count_nonzero(counts)
    return np.where(counts > 0, len(labels) / (n_present * np.maximum(counts, 1)), 0.0)
