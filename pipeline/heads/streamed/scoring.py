"""Scores of features in blocks."""

from collections.abc import Sequence

import numpy as np

from pipeline.heads.fitted import FittedHead
from pipeline.heads.streamed.fits import Fits
from pipeline.heads.streamed.source import Blocks, Progress, read_ahead


def score_blocks(
    head: FittedHead, blocks: Blocks, n_classes: int, progress: Progress | None = None
) -> np.ndarray:
    """Return the scores (n_rows, k) float32 of features in blocks, by their places."""
    scores = np.zeros((blocks.n_rows, n_classes), np.float32)
    done = 0
    for places, rows in read_ahead(iter(blocks)):
        scores[places] = head.scores(rows)
        done += len(rows)
        if progress is not None:
            progress(done, blocks.n_rows)
    return scores


def out_of_fold(
    heads: Sequence[FittedHead], blocks: Blocks, fits: Fits, progress: Progress | None = None
) -> np.ndarray:
    """Score every picture, as it is, by the head of the fit that has not seen it.

    Args:
        heads: One per fit.
        blocks: The n pictures, and after them their views, which are not scored.
        fits: Which fit judges which picture.
        progress: Told how far the pass is.

    Returns:
        (n, k) float32, in the order of the pictures; zeros where none judges.
    """
    n_pictures, done = len(fits.judged_by), 0
    scores = np.zeros((n_pictures, fits.counts.shape[1]), np.float32)
    for places, rows in read_ahead(iter(blocks)):
        clean = np.flatnonzero(places < n_pictures)
        judges = fits.judged_by[places[clean]]
        for fit in np.unique(judges[judges > 0]):
            some = clean[judges == fit]
            scores[places[some]] = heads[fit].scores(rows[some])
        done += len(clean)
        if progress is not None:
            progress(done, n_pictures)
        if done == n_pictures:  # only views are left
            break
    return scores
