"""Which pictures belong together: the same bytes, or the same group, or joined by a chain of both.

Everything that divides pictures (splits, slices, folds) divides such components, never a picture
alone, so that no copy and no group is on two sides.
"""

import hashlib
from collections.abc import Sequence

import numpy as np


def content_numbers(digests: np.ndarray) -> np.ndarray:
    """Number rows by content.

    Args:
        digests: uint8 (n, 32).

    Returns:
        int64 (n,), equal where the digests are; ascending in the order of the digests' bytes.
    """
    words = np.ascontiguousarray(digests).view(">u8").reshape(-1, 4)
    order = np.argsort(words[:, 0], kind="stable")
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():  # copies, or (once in 2^64 pairs) a chance
        order = np.lexsort(words.T[::-1])
    ordered = words[order]
    fresh = np.ones(len(order), np.int64)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    fresh[:1] = 0
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(fresh)
    return numbers


def component_keys(
    digests: np.ndarray, groups: np.ndarray | None, names: Sequence[str]
) -> np.ndarray:
    """Return what stands for each row's component in every draw.

    A picture of no group, with all its copies, draws by its content. A group draws by its name,
    so that adding a picture to it moves none; groups that a copy joins draw as the one whose hash
    is lowest.

    Args:
        digests: uint8 (n, 32), SHA-256 of each file's bytes.
        groups: int64 (n,), index into ``names``, below 0 for no group; None if there are none.
        names: Names of the groups.

    Returns:
        uint8 (n, 32), equal where two rows are of one component.
    """
    if groups is None:
        return digests
    roots = _joined(content_numbers(digests), groups, len(names))
    hashes = [hashlib.sha256(b"group:" + _encoded(name)).digest() for name in names]
    lowest = list(hashes)
    for group, root in enumerate(roots):
        lowest[root] = min(lowest[root], hashes[group])
    by_group = np.frombuffer(b"".join(lowest[root] for root in roots), np.uint8).reshape(-1, 32)
    keys = digests.copy()
    content = content_numbers(digests)
    # Any group of a content stands for its component: they are all joined.
    group_of = np.full(content.max(initial=0) + 1, -1)
    grouped = groups >= 0
    group_of[content[grouped]] = groups[grouped]
    group_of_row = group_of[content]
    keys[group_of_row >= 0] = by_group[group_of_row[group_of_row >= 0]]
    return keys


def _joined(content: np.ndarray, groups: np.ndarray, n_groups: int) -> list[int]:
    """Return, for each group, the group that stands for all that copies join to it."""
    roots = list(range(n_groups))

    def root(group: int) -> int:
        while roots[group] != group:
            roots[group] = roots[roots[group]]
            group = roots[group]
        return group

    rows = np.flatnonzero(groups >= 0)
    rows = rows[np.argsort(content[rows], kind="stable")]
    copied = content[rows][1:] == content[rows][:-1]
    pairs = np.unique(np.stack([groups[rows][:-1][copied], groups[rows][1:][copied]], 1), axis=0)
    for one, other in pairs.tolist():
        roots[root(other)] = root(one)
    return [root(group) for group in range(n_groups)]


def _encoded(name: str) -> bytes:
    # Names of files need not be valid text on every system.
    return name.encode("utf-8", "surrogateescape")
