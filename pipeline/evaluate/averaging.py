"""Judging a picture by the mean over its views: by several versions of it instead of one.

Averaging over views when a picture is judged goes back to Krizhevsky et al. 2012 ("ImageNet
Classification with Deep Convolutional Neural Networks", ten crops); the views here are those that
heads may learn from as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config import MAX_VIEWS, FeaturesConfig
from pipeline.errors import InputError
from pipeline.images import ViewRecipe


@dataclass(frozen=True)
class ViewAverage:
    """Which augmented views a picture is judged by, beside the picture itself.

    Args:
        n: Views 1 to n of each picture.
        view: How they are made.
    """

    n: int
    view: ViewRecipe

    @classmethod
    def of(cls, config: FeaturesConfig) -> "ViewAverage | None":
        """Return what a config asks for; None where pictures are judged as they are."""
        if not config.test_views:
            return None
        return cls(config.test_views, ViewRecipe(config.view_policy, config.seed))

    @classmethod
    def from_dict(cls, value: Any) -> "ViewAverage":
        """Return what `to_dict` described.

        Raises:
            InputError: It is something else, or of a newer version.
        """
        wanted = f"a number n of views from 1 to {MAX_VIEWS} and how to make them as view"
        if not isinstance(value, Mapping) or value.keys() != {"n", "view"}:
            raise InputError(f"expected {wanted}, received {value!r}")
        n, view = value["n"], value["view"]
        if type(n) is not int or not 1 <= n <= MAX_VIEWS or not isinstance(view, Mapping):
            raise InputError(f"expected {wanted}, received n={n!r} and view={view!r}")
        try:
            return cls(n, ViewRecipe(**view))
        except (TypeError, AttributeError) as error:  # other fields, or a policy that is no text
            raise InputError(f"expected {wanted}, received view={view!r}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"n": self.n, "view": self.view.to_dict()}

    @property
    def numbers(self) -> range:
        """Numbers of all views that are averaged, with the clean picture's: 0 to n."""
        return range(self.n + 1)


def mean_over_views(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Average the probabilities of pictures over their views.

    Probabilities are averaged, not scores: a head that is very sure of one odd view would outvote
    all others. Views are added one after another, so that whoever judges a picture by the same
    probabilities gets the same digits, and one answer at a threshold.

    Args:
        probabilities: One array (…, k) for each view, the clean picture's first; all in the same
            row order.

    Returns:
        (…, k) float64, same row order.

    Example:
        >>> mean_over_views([np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])]).tolist()
        [[0.7, 0.3]]
    """
    total = np.zeros(probabilities[0].shape)
    for view in probabilities:
        total += view
    return total / len(probabilities)
