"""Scores of pictures that a head has not seen: what heads are compared by."""

import logging

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from pipeline.errors import DataError
from pipeline.heads.catalog import HeadSpec
from pipeline.heads.fit import fit_head

logger = logging.getLogger("pipeline")


def out_of_fold_scores(
    spec: HeadSpec,
    features: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    *,
    folds: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, int]:
    """Score every picture by a head that was fitted on the other folds.

    Args:
        spec: The head.
        features: (n, d) float.
        labels: (n,) int, row-aligned.
        n_classes: k.
        folds: Number of folds; fewer are made where a class has fewer pictures.
        seed: Seed of the folds and of the head.
        groups: (n,) int; pictures of one group are always in one fold.

    Returns:
        Scores (n, k), in the order of ``features``, and the number of folds.

    Raises:
        DataError: A class has a single picture, so no fold could hold it out.
    """
    scores = np.zeros((len(labels), n_classes))
    made = make_folds(labels, folds, seed, groups)
    for fit, held_out in made:
        head = fit_head(spec, features[fit], labels[fit], n_classes, seed)
        scores[held_out] = head.scores(features[held_out])
    return scores, len(made)


def make_folds(
    labels: np.ndarray, folds: int, seed: int, groups: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return stratified (fit, held out) row numbers; groups, where given, stay whole."""
    units = labels if groups is None else labels[np.unique(groups, return_index=True)[1]]
    smallest = int(np.bincount(units)[np.unique(units)].min())
    if smallest < 2:
        raise DataError(
            "expected at least 2 different training pictures of every class for cross-validation, "
            "received a class with 1; add pictures, or a validation split beside the test split"
        )
    if smallest < folds:
        logger.warning(
            "%d folds instead of %d: the smallest class has %d pictures", smallest, folds, smallest
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
