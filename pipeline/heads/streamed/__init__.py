"""Heads that learn in blocks, for features that do not fit in memory. Never reads a file.

What reads is handed in: anything that can be iterated over again and again and yields places and
rows (`Blocks`). Objectives and preparations are those of the heads in memory; a test holds the two
to each other.

    source      passes over blocks: read ahead, prepared, with progress
    fits        all folds at once, and which row is in which
    sums        moments of every fit from one pass
    basis       standardisation and components from moments
    closed      ridge, lda, centroid
    descent     logistic, linear-svm: L-BFGS, a pass a step
    network     dense
    fit         a head of the catalog by these, and scores of blocks
    capacity    what fits in memory, and what is said where it does not
"""

from pipeline.heads.streamed.capacity import STREAMABLE, check_fits, fits_in_memory
from pipeline.heads.streamed.fit import Streamed, fit_streamed, score_blocks
from pipeline.heads.streamed.source import BlockSample

__all__ = [
    "STREAMABLE",
    "BlockSample",
    "Streamed",
    "check_fits",
    "fit_streamed",
    "fits_in_memory",
    "score_blocks",
]
