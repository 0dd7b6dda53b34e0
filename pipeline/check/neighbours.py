"""Near-duplicates: pictures whose features are far more alike than their surroundings."""

from dataclasses import dataclass

import numpy as np

from pipeline.check.blocks import distance_of_nth, similar_pairs, unit_rows
from pipeline.errors import InputError
from pipeline.system.progress import SILENT, Reporter

FLOOR = 0.8
"""Least similarity of a near-duplicate."""
CERTAIN = 0.95
"""Similarity from which on no look at the surroundings is needed."""
NEIGHBOUR, RATIO = 10, 0.35
"""A near-duplicate is at most this share as far away as this neighbour."""
MAX_PAIRS = 4_000_000


@dataclass(frozen=True)
class NearPairs:
    """Pairs of rows that are near-duplicates.

    Args:
        rows: (m, 2) int, the lower row number first; ordered by falling similarity.
        similarities: (m,) float, cosine similarity of standardised features, rounded to 1e-4.
        floor: Least similarity that was looked at; higher than asked for where there were more
            pairs than could be held.
        rule: How it was decided, in words.
    """

    rows: np.ndarray
    similarities: np.ndarray
    floor: float
    rule: str


def near_pairs(
    features: np.ndarray, similarity: float | None = None, reporter: Reporter = SILENT
) -> NearPairs:
    """Find near-duplicates: the same picture scaled, recompressed, cropped a little or mirrored.

    Similarity is the cosine of standardised features. How alike two different pictures are depends
    on the data: aeroplanes in a blue sky are closer to one another than any two cats. So a pair
    counts where the distance (1 - similarity) is at most 0.35 times that to the tenth nearest
    neighbour of one of the two, in the manner of Lowe's ratio test (2004), and the similarity is
    at least 0.8; from 0.95 on it counts in any case, for in a burst of photographs the tenth
    neighbour is a near-duplicate, too.

    The product of all rows with all others is taken block by block, the upper half only, and
    neighbours are looked for only where a decision hangs on them. Memory: one float32 copy of the
    features, and some blocks.

    Args:
        features: (n, d) float, one row per distinct picture.
        similarity: Count every pair from this similarity on, instead of the rule.
        reporter: Told while they are searched.

    Raises:
        InputError: The similarity is not between 0 and 1.
    """
    if similarity is not None and not 0 < similarity <= 1:
        raise InputError(
            f"expected a cosine similarity above 0 and at most 1, received similarity={similarity};"
            f" {FLOOR} to {CERTAIN} are sensible"
        )
    unit = unit_rows(features)
    floor = FLOOR if similarity is None else similarity
    found = similar_pairs(unit, floor, MAX_PAIRS, reporter)
    rows, similarities = found.all()
    if similarity is None:
        near = _nearer_than_surroundings(unit, rows, similarities)
        rows, similarities = rows[near], similarities[near]
    rounded = np.round(np.minimum(similarities.astype(np.float64), 1), 4)
    order = np.lexsort((rows[:, 1], rows[:, 0], -rounded))
    return NearPairs(
        rows[order], rounded[order], found.floor, _rule(similarity, floor, found.floor)
    )


def _nearer_than_surroundings(
    unit: np.ndarray, rows: np.ndarray, similarities: np.ndarray
) -> np.ndarray:
    """Return which pairs hold against their tenth neighbours: (m,) bool."""
    near = similarities >= CERTAIN
    open_rows = np.unique(rows[~near])
    if not len(open_rows):
        return near
    surroundings = np.zeros(len(unit), np.float32)
    surroundings[open_rows] = distance_of_nth(unit, open_rows, min(NEIGHBOUR, len(unit) - 1))
    return near | (1 - similarities <= RATIO * surroundings[rows].max(1))


def _rule(similarity: float | None, asked: float, floor: float) -> str:
    text = f"cosine similarity of standardised features of at least {similarity}"
    if similarity is None:
        text = (
            f"cosine similarity of standardised features of at least {CERTAIN}; or of at least "
            f"{FLOOR} where the distance (1 - similarity) is at most {RATIO} of that to the "
            f"{NEIGHBOUR}th nearest neighbour of one of the two"
        )
    if floor > asked:
        text += (
            f"; more than {MAX_PAIRS:,} pairs are that much alike, those below {floor:.3f} were "
            f"not looked at"
        )
    return text
