"""Scores of pictures that a head has not seen: what heads are compared by."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import DataError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import fit_head
from pipeline.heads.fitted import FittedHead

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Row numbers to fit on, and row numbers held out."""


@dataclass(frozen=True)
class Sample:
    """Pictures with their augmented views, as heads learn from them.

    Args:
        features: ((1 + n_views) · n, d) float: n pictures, then view 1 of each, ….
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k.
        seed: Seed of everything random in a head.
        n_views: Augmented views of each picture.
        blocks: Widths of the cuts side by side, as in `fit_head`.
        groups: (n,) int, rows that belong together; None where each is by itself.
    """

    features: np.ndarray
    labels: np.ndarray
    n_classes: int
    seed: int = 0
    n_views: int = 0
    blocks: tuple[int, ...] | None = None
    groups: np.ndarray | None = None

    def part(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features and labels of some pictures and of all their views."""
        step = len(self.labels)
        viewed = np.concatenate([rows + view * step for view in range(1 + self.n_views)])
        return self.features[viewed], np.tile(self.labels[rows], 1 + self.n_views)


def fit_sample(spec: HeadSpec, sample: Sample, rows: np.ndarray) -> FittedHead:
    """Fit a head on some of the pictures and on all their views."""
    features, labels = sample.part(rows)
    groups = None if sample.groups is None else sample.groups[rows]
    together = (sample.n_classes, sample.seed, sample.n_views, sample.blocks, groups)
    return fit_head(spec, features, labels, *together)


def out_of_fold_scores(
    spec: HeadSpec,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    folds: Folds,
    seed: int,
    n_views: int = 0,
    blocks: tuple[int, ...] | None = None,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Score every picture by a head that was fitted on the other folds.

    Where there are augmented views, heads learn from all views of the pictures they are fitted on,
    and score the others as they are.

    Args:
        spec: The head.
        features: ((1 + n_views) · n, d) float: the n pictures, then view 1 of each, ….
        labels: (n,) int, row-aligned with the first n.
        n_classes: k.
        folds: From `make_folds`.
        seed: Seed of the head.
        n_views: Augmented views of each picture.
        blocks: Widths of the cuts side by side, as in `fit_head`.
        groups: (n,) int, the groups that the folds kept together, as in `fit_head`.

    Returns:
        Scores (n, k), in the order of ``labels``.
    """
    sample = Sample(features, labels, n_classes, seed, n_views, blocks, groups)
    scores = np.zeros((len(labels), n_classes))
    for fit, held_out in folds:
        scores[held_out] = fit_sample(spec, sample, fit).scores(features[held_out])
    return scores


def make_folds(
    labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> Folds:
    """Return stratified folds, each as the row numbers to fit on and those held out.

    Args:
        labels: (n,) int.
        folds: How many; fewer are made where a class has fewer different pictures.
        seed: Seed of the draw.
        groups: (n,) int; pictures of one group are always in one fold.

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
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits, shuffle=True, random_state=seed)
    made = list(splitter.split(np.zeros((len(labels), 1)), labels, groups))
    for fit, held_out in made:
        if not len(held_out) or len(np.unique(labels[fit])) < len(np.unique(labels)):
            raise DataError(
                "expected folds in which every class can be learnt, groups or byte-identical "
                "pictures (of one class, or of several) do not leave enough different ones; divide "
                "the groups, remove the copies, or give a validation split beside the test split"
            )
    return made
