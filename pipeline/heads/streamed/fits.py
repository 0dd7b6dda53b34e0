"""All fits of a head at once: the one to all pictures, and one per fold.

Rows that are in the same fits are of one group, and sums over a fit are sums over its groups: for
cross-validation each row is added up once, however many folds there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.heads.class_weights import class_weights


@dataclass(frozen=True)
class Fits:
    """Which picture is in which fit; fit 0 has them all, fit 1 is that of the first fold, ….

    Args:
        members: (groups, fits) bool.
        group_of: (n,) int, the group of each picture.
        judged_by: (n,) int, the fit that has not seen a picture and scores it; 0 for none.
        counts: (fits, k) int, pictures of each class.
        weights: (fits, k) float64, what a row of each class counts in that fit.
    """

    members: np.ndarray
    group_of: np.ndarray
    judged_by: np.ndarray
    counts: np.ndarray
    weights: np.ndarray

    @property
    def n_fits(self) -> int:
        """1 and the number of folds."""
        return self.members.shape[1]

    @property
    def n_groups(self) -> int:
        """Groups of pictures that are in the same fits."""
        return len(self.members)

    def rows(self, pictures: np.ndarray, fit: int) -> np.ndarray:
        """Return which of some pictures (b,) a fit learns from: (b,) bool."""
        return self.members[self.group_of[pictures], fit]

    def row_weights(self, pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what rows (b,) of these classes count in every fit: (b, fits), 0 where unseen."""
        return self.members[self.group_of[pictures]] * self.weights.T[labels]

    @classmethod
    def of(
        cls,
        labels: np.ndarray,
        n_classes: int,
        folds: Sequence[tuple[np.ndarray, np.ndarray]] | None,
        class_weight: str | None,
    ) -> "Fits":
        """Make them of folds, each the row numbers to fit on and those held out."""
        inside = np.ones((len(labels), 1 + len(folds or ())), bool)
        judged_by = np.zeros(len(labels), np.int32)
        for number, (fit, held_out) in enumerate(folds or (), start=1):
            inside[:, number] = False
            inside[fit, number] = True
            judged_by[held_out] = number
        members, group_of = _distinct_rows(inside)
        given = [labels[column] for column in inside.T]
        counts = [np.bincount(some, minlength=n_classes) for some in given]
        weights = [class_weights(some, n_classes, class_weight) for some in given]
        plain = [np.ones(n_classes) if one is None else one for one in weights]
        return cls(members, group_of, judged_by, np.stack(counts), np.stack(plain))


def _distinct_rows(inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct rows of (n, m) bool, and for each row which of them it is: (n,)."""
    packed = np.ascontiguousarray(np.packbits(inside, axis=1))
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, group_of = np.unique(keys, return_index=True, return_inverse=True)
    return inside[first], group_of.reshape(-1).astype(np.int32)
