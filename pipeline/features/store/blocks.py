"""Features block by block: any number of rows, as often as wanted, in the memory of one block.

Rows come in the order in which they lie in the shards, and a block ends where a chunk ends, so a
pass reads and checks every chunk once. What is handed out is float32, cuts side by side.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.features.store.reader import Shard, gather_rows
from pipeline.features.store.recipe import CutName
from pipeline.features.store.shard import CHUNK_BYTES

FeatureBlock = tuple[np.ndarray, np.ndarray]
"""Places (b,) int among the rows asked for, and their features (b, d) float32."""

BLOCK_BYTES = 16 << 20
"""Of features as float32: large enough for fast products, small beside anything else."""

SHUFFLED_BYTES = 128 << 20
"""More where the order is drawn: what lies in one block together is learnt from together."""


class FeatureBlocks:
    """Some rows of a cache, to be iterated over again and again.

    Where each row lies is looked up once. Shards that are published later change nothing.

    Args:
        shards: At least one.
        cuts: What lies side by side.
        shapes: Of one row of each cut.
        numbers: (n,) int, the shard of each row.
        rows: (n,) int, its row there.
        most_rows: In one block; None for as many as `BLOCK_BYTES` hold.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        cuts: Sequence[CutName],
        shapes: Sequence[tuple[int, ...]],
        numbers: np.ndarray,
        rows: np.ndarray,
        most_rows: int | None = None,
    ) -> None:
        self._shards, self._cuts = shards, tuple(cuts)
        self._widths = [math.prod(shape) for shape in shapes]
        self._places = np.lexsort([rows, numbers])
        self._numbers, self._rows = numbers[self._places], rows[self._places]
        self._most_rows = most_rows
        self._begins = self._runs()

    @property
    def n_rows(self) -> int:
        """How many rows a pass hands out."""
        return len(self._places)

    @property
    def n_features(self) -> int:
        """The width d of the cuts side by side."""
        return sum(self._widths)

    def _runs(self) -> np.ndarray:
        """Return where runs of rows of one chunk begin; none is longer than a block may be."""
        item = np.dtype(self._shards[0].recipe.dtype).itemsize
        chunk_rows = max(1, CHUNK_BYTES // max(1, max(self._widths) * item))
        chunks = self._rows // chunk_rows
        new = np.ones(self.n_rows, bool)
        new[1:] = (np.diff(chunks) != 0) | (np.diff(self._numbers) != 0)
        begins, most = np.flatnonzero(new), self._size(BLOCK_BYTES)
        lengths = np.diff(np.append(begins, self.n_rows))
        parts = [range(b, b + n, most) for b, n in zip(begins, lengths, strict=True) if n > most]
        return np.union1d(begins, np.concatenate(parts)) if parts else begins

    def _size(self, n_bytes: int) -> int:
        return self._most_rows or max(1, n_bytes // max(1, 4 * self.n_features))

    def __iter__(self) -> Iterator[FeatureBlock]:
        """Yield every row once, shard after shard and row after row; always in the same blocks.

        Raises DamagedShardError if a checksum does not hold.
        """
        return self._blocks(np.arange(len(self._begins)), self._size(BLOCK_BYTES))

    def shuffled(self, seed: int) -> Iterator[FeatureBlock]:
        """Yield every row once, in larger blocks of chunks that are drawn from all shards.

        Rows of one chunk stay together, whatever the seed; they are to be shuffled in the block.
        Raises DamagedShardError if a checksum does not hold.
        """
        order = np.random.default_rng(seed).permutation(len(self._begins))
        return self._blocks(order, self._size(SHUFFLED_BYTES))

    def array(self) -> np.ndarray:
        """Return all rows at once, by place: (n, d) float32.

        Raises DamagedShardError if a checksum does not hold.
        """
        features = np.empty((self.n_rows, self.n_features), np.float32)
        for places, rows in self:
            features[places] = rows
        return features

    def _blocks(self, runs: np.ndarray, most: int) -> Iterator[FeatureBlock]:
        ends = np.append(self._begins[1:], self.n_rows)
        for some in _packed(ends[runs] - self._begins[runs], most):
            spans = [np.arange(self._begins[run], ends[run]) for run in np.sort(runs[some])]
            which = np.concatenate(spans)
            yield self._places[which], self._read(self._numbers[which], self._rows[which])

    def _read(self, numbers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        features = np.empty((len(rows), self.n_features), np.float32)
        start = 0
        for cut, width in zip(self._cuts, self._widths, strict=True):
            part = gather_rows(self._shards, cut, numbers, rows)
            features[:, start : start + width] = part.reshape(len(rows), -1)
            start += width
        return features


def side_by_side(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return several cuts of the same rows as one array (n, d), each flat, in their order."""
    flat = [part.reshape(len(part), -1) for part in parts]
    return flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1)


class ChainedBlocks:
    """Several sources of one width one after the other, as one.

    The places of a part count on from those of the parts before it.
    """

    def __init__(self, parts: Sequence[FeatureBlocks]) -> None:
        self._parts = tuple(parts)
        self._firsts = np.cumsum([0, *(part.n_rows for part in parts)])
        self.n_features = parts[0].n_features

    @property
    def n_rows(self) -> int:
        """How many rows a pass hands out."""
        return int(self._firsts[-1])

    def __iter__(self) -> Iterator[FeatureBlock]:
        """Yield the blocks of each part, part after part."""
        for first, part in zip(self._firsts, self._parts, strict=False):
            for places, rows in part:
                yield places + first, rows

    def shuffled(self, seed: int) -> Iterator[FeatureBlock]:
        """Yield the shuffled blocks of all parts in turns, each in proportion to its rows."""
        done = [0] * len(self._parts)
        sources = [part.shuffled(seed) for part in self._parts]
        while any(n < part.n_rows for n, part in zip(done, self._parts, strict=True)):
            shares = [n / max(1, part.n_rows) for n, part in zip(done, self._parts, strict=True)]
            least = int(np.argmin(shares))
            places, rows = next(sources[least])
            done[least] += len(rows)
            yield places + self._firsts[least], rows


def _packed(lengths: np.ndarray, most: int) -> Iterator[slice]:
    """Cut runs of these lengths into stretches of at most ``most`` in all, or of one run."""
    ends, start = np.cumsum(lengths), 0
    while start < len(lengths):
        limit = most + (ends[start - 1] if start else 0)
        stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(start, stop)
        start = stop
