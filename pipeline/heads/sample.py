"""What heads learn from, and how it is divided where they are compared."""

from dataclasses import dataclass, replace

import numpy as np

from pipeline.errors import DataError

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Row numbers to fit on, and row numbers held out."""


@dataclass(frozen=True)
class Sample:
    """Pictures with their augmented views, as heads learn from them.

    Args:
        features: ((1 + n_views) · n, d) float: n pictures, then view 1 of each, ….
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k, also where some class is absent from ``labels``.
        seed: Seed of everything random in a head.
        n_views: Augmented views of each picture.
        blocks: Widths of the cuts that lie side by side in ``features``; None for one block. They
            matter to the preparations ``l2`` and ``sqrt-l2`` only.
        groups: (n,) int, rows that belong together; None where each is by itself. Where a head
            holds pictures out to know when to stop, those of one group stay together.
    """

    features: np.ndarray
    labels: np.ndarray
    n_classes: int
    seed: int = 0
    n_views: int = 0
    blocks: tuple[int, ...] | None = None
    groups: np.ndarray | None = None

    @property
    def row_labels(self) -> np.ndarray:
        """The label of each row of ``features``: ((1 + n_views) · n,) int."""
        return np.tile(self.labels, 1 + self.n_views)

    def with_views(self, pictures: np.ndarray) -> np.ndarray:
        """Return the rows of some pictures (m,) and of all their views: ((1 + n_views) · m,)."""
        step = len(self.labels)
        return np.concatenate([pictures + view * step for view in range(1 + self.n_views)])

    def only(self, pictures: np.ndarray) -> "Sample":
        """Return some of the pictures (m,), as row numbers, with all their views."""
        return replace(
            self,
            features=self.features[self.with_views(pictures)],
            labels=self.labels[pictures],
            groups=None if self.groups is None else self.groups[pictures],
        )


def make_folds(
    labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> Folds:
    """Return stratified folds of labels (n,), each as the row numbers to fit on and those held out.

    Fewer are made where a class has fewer different pictures. Pictures of one group are always in
    one fold.

    Raises:
        DataError: A class has a single picture, or copies or groups leave a fold without some
            class.
    """
    units = labels
    if groups is not None:  # a group counts once for each class that it holds
        units = np.unique(np.stack([labels, groups], axis=1), axis=0)[:, 0]
    smallest = int(np.bincount(units)[np.unique(units)].min())
    if smallest < 2:
        raise DataError(
            "expected at least 2 different training pictures of every class for cross-validation "
            "(byte-identical pictures and groups count once), received a class with 1; add "
            "pictures, or a validation split beside the test split"
        )
    n_splits = min(folds, smallest)
    numbers = _fold_numbers(labels, n_splits, seed)
    made = [(np.flatnonzero(numbers != i), np.flatnonzero(numbers == i)) for i in range(n_splits)]
    if groups is not None:
        from sklearn.model_selection import StratifiedGroupKFold

        splitter = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
        made = list(splitter.split(np.zeros((len(labels), 1)), labels, groups))
    for fit, held_out in made:
        if not len(held_out) or len(np.unique(labels[fit])) < len(np.unique(labels)):
            raise DataError(
                "expected folds in which every class can be learnt, groups or byte-identical "
                "pictures (of one class, or of several) do not leave enough different ones; divide "
                "the groups, remove the copies, or give a validation split beside the test split"
            )
    return made


def _fold_numbers(labels: np.ndarray, n_splits: int, seed: int) -> np.ndarray:
    """Return the fold that holds each row out, (n,) int: those of scikit-learn's StratifiedKFold.

    Each class is dealt out in turn, beginning where the class before it ended, and then shuffled.
    """
    rng, numbers = np.random.RandomState(seed), np.empty(len(labels), int)
    _, first, counts = np.unique(labels, return_index=True, return_counts=True)
    in_turn, dealt = np.argsort(first), 0
    for count, place in zip(counts[in_turn], first[in_turn], strict=True):
        own = np.sort(np.arange(dealt, dealt + count) % n_splits)
        rng.shuffle(own)
        numbers[labels == labels[place]] = own
        dealt += count
    return numbers
