"""Where in a map a linear head's score comes from: the score, taken apart place by place.

A linear head's score is a sum over features, and a pooled feature is a sum over the places of its
map: the average is the sum of what each place has divided by their number. So a score *is* the sum
of what all places add to it, plus the bias. Standardisation and principal components are folded
into the head's kernel. A row's length, and the root, are no linear functions; but for one picture
each is a factor on each feature, and with the factors that the picture has the sum is exact too.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.heads.fitted import FittedHead, NetworkHead
from pipeline.heads.preparation import apply_rowwise

_GEM_SMALLEST = 1e-6


def is_sum(head: FittedHead | None) -> bool:
    """Return whether a head's score is a sum over features, so of one layer."""
    return isinstance(head, NetworkHead) and len(head.kernels) == 1


def shares(places: np.ndarray, pooling: str) -> np.ndarray:
    """Return what each place of a map adds to the pooled features.

    Args:
        places: The map (h, w, c).
        pooling: How it is pooled, not ``none``.

    Returns:
        (h, w, d) whose sum over the places is what the pooling gives: (d,).
    """
    places = np.asarray(places, np.float64)
    n = places.shape[0] * places.shape[1]
    if pooling == "avg+max":
        return np.concatenate([shares(places, "avg"), shares(places, "max")], axis=2)
    if pooling == "max":
        first = places.reshape(n, -1).argmax(0)
        chosen = np.arange(n)[:, None] == first
        return np.where(chosen.reshape(places.shape), places, 0.0)
    if pooling == "gem":
        powers = np.maximum(places, _GEM_SMALLEST) ** 3
        return powers / n / np.cbrt(powers.mean((0, 1))) ** 2
    return places / n


def contributions(
    head: NetworkHead,
    pooled: np.ndarray,
    maps: Sequence[np.ndarray],
    poolings: Sequence[str],
    classes: Sequence[int],
) -> np.ndarray:
    """Return what each place of a picture adds to the scores of classes, by a head of one layer.

    The picture's pooled features are (d,), cut after cut, its maps (h, w, c) of each.

    Returns:
        (h, w, len(classes)) float64 on the finest grid of all cuts, each cell being an equal part
        of the picture; its sum over the cells is the score without the bias.
    """
    rows = apply_rowwise(pooled[None], head.rowwise, head.blocks)[0]
    factors = np.divide(rows, pooled, out=np.zeros(len(pooled)), where=pooled != 0)
    kernel = head.kernels[0][:, list(classes)] * factors[:, None]
    grid = max(len(one) for one in maps), max(one.shape[1] for one in maps)
    total, start = np.zeros((*grid, len(classes))), 0
    for places, pooling in zip(maps, poolings, strict=True):
        if pooling == "none":
            own = kernel[start : (start := start + places.size)].reshape(*places.shape, -1)
            part = np.einsum("hwc,hwck->hwk", places, own)
        else:
            share = shares(places, pooling)
            part = share @ kernel[start : (start := start + share.shape[2])]
        total += regrid(part, grid)
    return total


def regrid(cells: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Spread cells (h, w, …) over another grid of the same square; the sum stays what it is.

    >>> regrid(np.array([[4.0]]), (2, 2)).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if cells.shape[:2] == grid:
        return cells
    down, right = (overlaps(n, to) for n, to in zip(cells.shape[:2], grid, strict=True))
    return np.einsum("Hh,Ww,hw...->HW...", down, right, cells, optimize=True)


def overlaps(n: int, to: int) -> np.ndarray:
    """Return which share of each of ``n`` equal parts lies in each of ``to``: (to, n)."""
    begins, ends = np.arange(n) / n, (np.arange(n) + 1) / n
    low, high = np.arange(to)[:, None] / to, (np.arange(to)[:, None] + 1) / to
    return np.maximum(np.minimum(ends, high) - np.maximum(begins, low), 0) * n
