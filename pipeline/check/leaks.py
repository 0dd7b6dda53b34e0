"""Leaks: pictures that judge, and that a picture to learn from gives away."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.check.duplicates import members_of
from pipeline.evaluate import proportion
from pipeline.heads import parse_head
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample

ORDER = ("train", "validation", "test")


@dataclass(frozen=True)
class Leak:
    """A picture that judges, and the likest picture that was learnt from or selected by.

    Args:
        row: Row number of the picture in test (or in validation).
        other: Row number of the likest picture in train (or, for one of test, in validation).
        similarity: 1 for the same bytes.
        exact: Whether the bytes are the same.
        n_others: How many pictures of the other splits give it away.
    """

    row: int
    other: int
    similarity: float
    exact: bool
    n_others: int


def find_leaks(
    contents: np.ndarray, splits: np.ndarray, pairs: np.ndarray, similarities: np.ndarray
) -> list[Leak]:
    """Find what test shares with validation and train, and validation with train.

    Args:
        contents: (n,) int, equal where the bytes are, 0 … c - 1.
        splits: (n,) str, train, validation or test.
        pairs: (m, 2) numbers of contents that are near-duplicates.
        similarities: (m,) float, row-aligned.

    Returns:
        One per picture that is given away: test first, the same bytes first, then by falling
        similarity, then by row.
    """
    members = members_of(contents)
    rank = np.array([ORDER.index(split) for split in splits.tolist()], int)
    likest = [(rows, rows, 1.0, True) for rows in members if len(rows) > 1]
    kept = np.flatnonzero(_in_several_splits(contents, rank, pairs))
    kept = kept[np.argsort(-similarities[kept], kind="stable")]
    for similarity, (one, other) in zip(
        similarities[kept].tolist(), pairs[kept].tolist(), strict=True
    ):
        likest += [
            (members[one], members[other], similarity, False),
            (members[other], members[one], similarity, False),
        ]
    leaks: dict[int, Leak] = {}
    for rows, others, similarity, exact in likest:
        for row in rows.tolist():
            earlier = others[rank[others] < rank[row]]
            if len(earlier):
                # The first partner is the likest; all are counted.
                leak = leaks.setdefault(row, Leak(row, int(earlier[0]), similarity, exact, 0))
                leaks[row] = replace(leak, n_others=leak.n_others + len(earlier))
    return sorted(
        leaks.values(),
        key=lambda leak: (-rank[leak.row], not leak.exact, -leak.similarity, leak.row),
    )


def _in_several_splits(contents: np.ndarray, rank: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return which pairs of contents are not all in one split: (m,) bool."""
    n_contents = int(contents.max(initial=-1)) + 1
    first, last = np.full(n_contents, len(ORDER)), np.full(n_contents, -1)
    np.minimum.at(first, contents, rank)
    np.maximum.at(last, contents, rank)
    return np.minimum(first[pairs[:, 0]], first[pairs[:, 1]]) < np.maximum(
        last[pairs[:, 0]], last[pairs[:, 1]]
    )


HEADS = ("logistic", "ridge")
MOST_VALUES = 20_000_000
"""Training features above which the second head is taken: it takes a fraction of the time."""


def accuracy_without(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    leaked: np.ndarray,
    n_classes: int,
    seed: int,
) -> dict[str, Any]:
    """Train a head as always, and judge it with and without the leaked pictures of test.

    Args:
        train: Features (n, d) and labels (n,).
        test: Features (m, d) and labels (m,).
        leaked: (m,) bool, which pictures of test are given away.
        n_classes: k.
        seed: Seed of the head.

    Returns:
        ``{"head", "all", "without_leaks", "leaked"}``, the last three ``{"n", "accuracy", "ci95"}``
        with Wilson's interval, or None where there is no such picture.
    """
    features, labels = train
    head = HEADS[0] if features.size <= MOST_VALUES else HEADS[1]
    fitted = fit_head(parse_head(head), Sample(features, labels, n_classes, seed))
    hits = fitted.scores(test[0]).argmax(1) == test[1]
    return {
        "head": head,
        "all": _judged(hits),
        "without_leaks": _judged(hits[~leaked]),
        "leaked": _judged(hits[leaked]),
    }


def _judged(hits: np.ndarray) -> dict[str, Any] | None:
    if not len(hits):
        return None
    accuracy = proportion(float(hits.mean()), len(hits))
    return {"n": len(hits), "accuracy": accuracy.value, "ci95": list(accuracy.ci95)}
