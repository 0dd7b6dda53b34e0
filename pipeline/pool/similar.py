"""The pictures of a pool that are most like given ones."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import SimilarConfig
from pipeline.errors import DataError
from pipeline.features.base import inputs_of
from pipeline.features.extract import CachedFeatures
from pipeline.images import Dataset
from pipeline.images.splits import content_numbers
from pipeline.pool.nearest import MOST_FOR_MOMENTS, Neighbour, Standard, folded, nearest
from pipeline.pool.sheet import Tile, write_sheet

RUN = 200
SPARE = 4
"""So many times more neighbours are looked at than are listed: near-duplicates fold."""


@dataclass(frozen=True)
class Looked:
    """What is like one picture.

    Args:
        path: The picture.
        digest: Of its content.
        copies: Pictures of the pool that are this very one.
        neighbours: The nearest others; rows are the pool's.
    """

    path: str
    digest: bytes
    copies: int
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class Similar:
    """What is like some pictures.

    Args:
        pool: Where it was looked for.
        given: The pictures that were given.
        queries: In the order in which they were given.
        failed: Given pictures that cannot be read or decoded.
        out: The contact sheet, if one was asked for.
    """

    pool: CachedFeatures
    given: Dataset
    queries: tuple[Looked, ...]
    failed: tuple[dict[str, str], ...]
    out: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        paths = self.pool.dataset.paths
        return {
            "pool": len(paths),
            "found": self.pool.extraction.found,
            "left_out": self.pool.extraction.failed,
            "queries": [
                {
                    "path": one.path,
                    "copies": one.copies,
                    "neighbours": [
                        {
                            "path": paths[each.row],
                            "similarity": each.similarity,
                            "folded": [paths[row] for row in each.folded],
                        }
                        for each in one.neighbours
                    ],
                }
                for one in self.queries
            ],
            "failed": list(self.failed),
            "out": self.out,
        }


def similar(config: SimilarConfig, pool: CachedFeatures, given: CachedFeatures) -> Similar:
    """Find what is most like given pictures.

    Args:
        config: How many to list, and the features to look with: the first of ``layers``.
        pool: Where to look, with its features.
        given: The pictures, with theirs.

    Raises:
        DataError: None of the given pictures can be used.
    """
    cuts = [(cut.layer, cut.pooling) for cut in inputs_of(config, pool.base)[0]]
    cache, wanted = pool.caches.clean, given.dataset
    usable = np.flatnonzero(given.caches.clean.has(wanted.digests))
    if not len(usable):
        raise DataError(
            f"expected a picture that can be decoded, received {len(wanted)} of which none can, "
            f"first {wanted.paths[0]}: give others"
        )
    rows = _once(pool)
    digests = pool.dataset.digests[rows]
    standard = Standard.of(cache.blocks(cuts, digests[spread(len(rows))]).array())
    queries = given.caches.clean.blocks(cuts, wanted.digests[usable]).array()
    blocks = cache.blocks(cuts, digests)
    looked: dict[int, Looked] = {}
    waiting, most = list(range(len(usable))), SPARE * config.n + 1
    while waiting:
        found = nearest(queries[waiting], standard, lambda: blocks, most)
        again = []
        for place, each in zip(waiting, found, strict=True):
            row = int(usable[place])
            own = (digests[each[:, 0].astype(int)] == wanted.digests[row]).all(axis=1)
            others = each[~own]
            features = cache.blocks(cuts, digests[others[:, 0].astype(int)]).array()
            kept = tuple(folded(others, features, standard, config.n))
            if len(kept) < config.n and most < len(rows):
                again.append(place)
            looked[place] = _looked(pool, given, row, rows, kept)
        waiting, most = again, most * SPARE
    failed = tuple(given.extraction.failed)
    return Similar(pool, wanted, tuple(looked[place] for place in sorted(looked)), failed)


def draw(found: Similar, out: Path) -> Similar:
    """Write a contact sheet of what was found: a row for each picture, the picture first."""
    dataset, given = found.pool.dataset, found.given
    rows = []
    for one in found.queries:
        tiles = [Tile(one.path, one.digest, one.path.rpartition("/")[2], given.files.read)]
        for each in one.neighbours:
            path, digest = dataset.paths[each.row], dataset.digests[each.row].tobytes()
            more = f" and {len(each.folded)} like it" if each.folded else ""
            caption = f"{each.similarity:.3f}{more} {path.rpartition('/')[2]}"
            tiles.append(Tile(path, digest, caption, dataset.files.read))
        rows.append(tiles)
    write_sheet(out, rows)
    return replace(found, out=str(out))


def _once(pool: CachedFeatures) -> np.ndarray:
    """Return the first row of each content that has features, ascending."""
    digests = pool.dataset.digests
    _, first = np.unique(content_numbers(digests), return_index=True)
    first = np.sort(first)
    rows: np.ndarray = first[pool.caches.clean.has(digests[first])]
    return rows


def _looked(
    pool: CachedFeatures,
    given: CachedFeatures,
    row: int,
    rows: np.ndarray,
    kept: Sequence[Neighbour],
) -> Looked:
    """Say it with the pool's own row numbers; copies count among the folded."""
    digests, digest = pool.dataset.digests, given.dataset.digests[row]
    neighbours = []
    for one in kept:
        same = [_same(digests, digests[rows[each]]) for each in (one.row, *one.folded)]
        first, *more = np.concatenate(same).tolist()
        neighbours.append(Neighbour(first, one.similarity, tuple(more)))
    own = len(_same(digests, digest))
    return Looked(given.dataset.paths[row], digest.tobytes(), own, tuple(neighbours))


def _same(digests: np.ndarray, digest: np.ndarray) -> np.ndarray:
    """Return the rows of one content, ascending."""
    alike = np.flatnonzero(digests[:, 0] == digest[0])
    same: np.ndarray = alike[(digests[alike] == digest).all(axis=1)]
    return same


def spread(n: int) -> np.ndarray:
    """Return rows that stand for all n: runs that lie side by side in the cache, ascending."""
    if n <= MOST_FOR_MOMENTS:
        return np.arange(n)
    begins = np.linspace(0, n - RUN, MOST_FOR_MOMENTS // RUN).astype(int)
    return np.unique(begins[:, None] + np.arange(RUN))
