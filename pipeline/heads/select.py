"""Scores of pictures that a head has not seen: what heads are compared by."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import DataError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import fit_head

Folds = list[tuple[np.ndarray, np.ndarray]]


def out_of_fold_scores(
    spec: HeadSpec,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    folds: Folds,
    seed: int,
) -> np.ndarray:
    """Score every picture by a head that was fitted on the other folds.

    Args:
        spec: The head.
        features: (n, d) float.
        labels: (n,) int, row-aligned.
        n_classes: k.
        folds: From `make_folds`.
        seed: Seed of the head.

    Returns:
        Scores (n, k), in the order of ``features``.
    """
    scores = np.zeros((len(labels), n_classes))
    for fit, held_out in folds:
        head = fit_head(spec, features[fit], labels[fit], n_classes, seed)
        scores[held_out] = head.scores(features[held_out])
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
        DataError: A class has a single picture, or copies leave a fold without some class.
    """
    units = labels if groups is None else labels[np.unique(groups, return_index=True)[1]]
    smallest = int(np.bincount(units)[np.unique(units)].min())
    if smallest < 2:
        raise DataError(
            "expected at least 2 different training pictures of every class for cross-validation, "
            "received a class with 1; add pictures, or a validation split beside the test split"
        )
    n_splits = min(folds, smallest)
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    splitter = kind(n_splits, shuffle=True, random_state=seed)
    made = list(splitter.split(np.zeros((len(labels), 1)), labels, groups))
    for fit, held_out in made:
        if not len(held_out) or len(np.unique(labels[fit])) < len(np.unique(labels)):
            raise DataError(
                "expected folds in which every class can be learnt, byte-identical pictures (of "
                "one class, or of several) do not leave enough different ones; remove the copies "
                "or give a validation split beside the test split"
            )
    return made
