"""The nearest rows of many, exactly, in the memory of a few blocks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

CLIP = 5.0
MOST_FOR_MOMENTS = 20_000
NARROW, FEW = 128, 16
CERTAIN = 0.95
"""Similarity from which on two pictures are one and the same for who looks, as `check` has it."""

FeaturePass = Callable[[], Iterable[tuple[np.ndarray, np.ndarray]]]
"""Makes a pass over features: places (b,) and rows (b, d) float32."""


@dataclass(frozen=True, eq=False)
class Standard:
    """What brings features to unit length, less what all pictures share.

    Args:
        mean: (d,) of each feature.
        scale: (d,) standard deviation, infinite where it does not vary.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Standard":
        """Take it from some pictures (n, d)."""
        mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=float)
        varies = (deviation > 1e-5 * np.abs(mean)) & (deviation > 0)
        scale = np.where(varies, deviation, np.inf)
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def unit(self, features: np.ndarray) -> np.ndarray:
        """Return rows (n, d) float32 whose products are their similarities."""
        unit = np.empty(features.shape, np.float32)
        for begin in range(0, len(unit), NARROW):  # what fits beside a core is read once
            some = unit[begin : begin + NARROW]
            np.subtract(features[begin : begin + NARROW], self.mean, out=some)
            some /= self.scale
            np.clip(some, -CLIP, CLIP, out=some)
            length = np.sqrt(np.einsum("nd,nd->n", some, some))[:, None]
            some /= np.where(length > 0, length, 1)
        return unit


@dataclass(frozen=True)
class Neighbour:
    """A picture near another one.

    Args:
        row: Its row.
        similarity: Cosine of standardised features.
        folded: Rows of further pictures that are near-duplicates of it, and are not listed.
    """

    row: int
    similarity: float
    folded: tuple[int, ...]


def nearest(
    queries: np.ndarray, standard: Standard, blocks: FeaturePass, n: int
) -> list[np.ndarray]:
    """Return the n nearest rows of each query, the nearest first.

    Args:
        queries: (q, d) float.
        standard: How both are compared.
        blocks: Passes over the rows.
        n: How many.

    Returns:
        For each query (k, 2) float64: row number, similarity; equal ones by row number.
    """
    from threadpoolctl import threadpool_limits

    # Few queries need the memory's whole speed and no second core, for which a product would wait.
    with threadpool_limits(1 if len(queries) <= FEW else None):
        return _nearest(queries, standard, blocks, n)


def _nearest(
    queries: np.ndarray, standard: Standard, blocks: FeaturePass, n: int
) -> list[np.ndarray]:
    unit = standard.unit(np.asarray(queries, np.float32))
    best = [np.empty((0, 2)) for _ in unit]
    for places, features in blocks():
        similar = unit @ standard.unit(features).T
        for query, values in enumerate(similar):
            floor = best[query][-1, 1] if len(best[query]) == n else -np.inf
            some = np.flatnonzero(values >= floor)
            if len(some) > n:
                some = some[values[some] >= np.partition(values[some], -n)[-n]]
            found = np.column_stack([places[some], values[some]])
            both = np.concatenate([best[query], found])
            best[query] = both[np.lexsort((both[:, 0], -both[:, 1]))[:n]]
    return best


def folded(
    found: np.ndarray, features: np.ndarray, standard: Standard, n: int
) -> Iterator[Neighbour]:
    """Yield the first n of found rows, with those that are near-duplicates of one of them.

    Args:
        found: (k, 2), as `nearest` returns it.
        features: (k, d) float32, row-aligned.
        standard: How they are compared.
        n: How many.
    """
    unit = standard.unit(features)
    left = np.ones(len(found), bool)
    while n and left.any():
        first = int(np.argmax(left))
        alike = left & (unit @ unit[first] >= CERTAIN)
        alike[first] = True
        left &= ~alike
        rows = found[alike, 0].astype(int).tolist()
        similarity = round(min(float(found[first, 1]), 1.0), 4)
        yield Neighbour(int(found[first, 0]), similarity, tuple(rows[1:]))
        n -= 1
