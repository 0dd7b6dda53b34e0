"""The ridge path as one array, and the head of one strength."""

import numpy as np

from pipeline.heads.ridge import LAMBDAS, RidgePath


def ridge_path(sample, folds, lambdas=LAMBDAS, **more):
    """Return out-of-fold scores (n_lambda, n, k) float32; a picture in no fold scores NaN."""
    shape = len(lambdas), len(sample.labels), sample.n_classes
    scores = np.full(shape, np.nan, np.float32)
    for places, held_out, some in RidgePath(sample, **more).out_of_fold(folds, lambdas):
        scores[np.ix_(places, held_out)] = some
    return scores


def ridge_head(sample, alpha, *more, **named):
    """Return the head of one strength, for features as they are."""
    return next(RidgePath(sample, *more, **named).heads((alpha,)))
