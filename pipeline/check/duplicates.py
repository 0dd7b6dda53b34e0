"""Groups of pictures that are the same: byte by byte, or nearly so by their features."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Group:
    """Pictures that are the same or nearly so.

    Args:
        rows: Row numbers, ascending; at least two.
        exact: Whether they are byte-identical; else pairs of them are near-duplicates.
        similarity: The least among the pairs that joined them; 1 for byte-identical ones.
    """

    rows: np.ndarray
    exact: bool
    similarity: float


def components(n: int, pairs: np.ndarray) -> np.ndarray:
    """Number n things so that those joined by a chain of pairs (m, 2) have one number: (n,) int."""
    from scipy.sparse import coo_array  # slow to import; most commands do without
    from scipy.sparse.csgraph import connected_components

    joined = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(joined, directed=False)[1].astype(np.int64)


def duplicate_groups(
    contents: np.ndarray, pairs: np.ndarray, similarities: np.ndarray
) -> tuple[list[Group], list[Group]]:
    """Group pictures of the same bytes, and those that near-duplicates join.

    Args:
        contents: (n,) int, equal where the bytes are, 0 … c - 1.
        pairs: (m, 2) numbers of contents that are near-duplicates.
        similarities: (m,) float, row-aligned.

    Returns:
        (exact, near), each by its first row. A group of near-duplicates holds all copies of its
        pictures; nothing is in two groups of one kind.
    """
    exact = [Group(rows, True, 1.0) for rows in _several(contents)]
    n_contents = int(contents.max(initial=-1)) + 1
    numbers = components(n_contents, pairs)
    least = np.ones(n_contents)
    np.minimum.at(least, numbers[pairs[:, 0]], similarities)
    joined = np.bincount(numbers, minlength=n_contents) > 1
    near = [
        Group(rows, False, float(least[numbers[contents[rows[0]]]]))
        for rows in _several(numbers[contents])
        if joined[numbers[contents[rows[0]]]]
    ]
    return exact, near


def members_of(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each number that occurs, by its number; rows are ascending."""
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def _several(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each number that occurs more than once, by their first row."""
    groups = [rows for rows in members_of(numbers) if len(rows) > 1]
    return sorted(groups, key=lambda rows: int(rows[0]))
