"""Passes over features in blocks: read ahead, prepared row by row, and brought near zero."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.preparation import Preparation, apply_rowwise
from pipeline.system.progress import SILENT, Reporter

PlacedRows = tuple[np.ndarray, np.ndarray]
"""Places (b,) int, and the features (b, d) float32 that belong there."""

PART = "learning"
"""What a reporter is told goes on: rows seen in this pass over the data, and rows in a pass."""


class Blocks(Protocol):
    """Features that can be read any number of times, never all at once."""

    @property
    def n_rows(self) -> int:
        """How many rows a pass hands out."""

    @property
    def n_features(self) -> int:
        """The width d of a row."""

    def __iter__(self) -> Iterator[PlacedRows]:
        """Yield every place from 0 to n_rows - 1 once."""

    def shuffled(self, seed: int) -> Iterator[PlacedRows]:
        """Yield every place once, in blocks drawn from all over the data."""


@dataclass(frozen=True)
class BlockSample:
    """Pictures with their augmented views, as heads learn from them block by block.

    Args:
        blocks: The n pictures, then view 1 of each, … (by place; the order of reading is free).
        labels: (n,) int in 0 … n_classes-1.
        n_classes: k, also where some class is absent from ``labels``.
        seed: Seed of everything random in a head.
        widths: Of the cuts side by side, for the preparations ``l2`` and ``sqrt-l2``.
        groups: (n,) int, rows that belong together; None where each is by itself. Where a head
            holds pictures out to know when to stop, those of one group stay together.

    Raises:
        InputError: There are no rows, or not a whole number for each label.
    """

    blocks: Blocks
    labels: np.ndarray
    n_classes: int
    seed: int = 0
    widths: Sequence[int] | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        n_rows, n_labels = self.blocks.n_rows, len(self.labels)
        if not n_rows or n_rows % max(1, n_labels):
            raise InputError(
                f"expected blocks of as many rows as labels, or of a whole multiple with augmented "
                f"views, received {n_rows} rows and {n_labels} labels; make both of the same "
                f"pictures"
            )


@dataclass(frozen=True)
class Chunk:
    """Some rows on their way through a pass.

    Args:
        pictures: (b,) int, whose features these are.
        views: (b,) int, which view of the picture; 0 is the picture as it is.
        labels: (b,) int.
        rows: (b, d) float32, prepared row by row, less the source's shift.
    """

    pictures: np.ndarray
    views: np.ndarray
    labels: np.ndarray
    rows: np.ndarray


class ChunkSource:
    """What every solver reads from; the row-wise part of the preparation is done here."""

    def __init__(
        self, sample: BlockSample, preparation: Preparation, reporter: Reporter = SILENT
    ) -> None:
        self.sample, self._reporter = sample, reporter
        self.labels, self.n_features = np.asarray(sample.labels), sample.blocks.n_features
        self.n_versions = sample.blocks.n_rows // len(self.labels)
        """Of each picture: itself and its views."""
        self._rowwise = preparation.rowwise
        self._widths = preparation.blocks(sample.widths)
        self.shift = np.zeros(self.n_features, np.float32)
        """What rows are less, (d,): products of rows far from zero would lose their digits."""
        _, first = next(iter(sample.blocks))
        self.shift = self._prepared(first).mean(0, dtype=np.float64).astype(np.float32)

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        return apply_rowwise(rows, self._rowwise, self._widths) - self.shift

    def __iter__(self) -> Iterator[Chunk]:
        """Make a pass; the next block is read and prepared while one is worked on."""
        return self._pass(iter(self.sample.blocks))

    def shuffled(self, seed: int) -> Iterator[Chunk]:
        """Make a pass in another order."""
        return self._pass(self.sample.blocks.shuffled(seed))

    def _pass(self, placed: Iterator[PlacedRows]) -> Iterator[Chunk]:
        chunks = ((places, self._prepared(rows)) for places, rows in placed)
        done, n_rows = 0, self.sample.blocks.n_rows
        self._reporter.advance(PART, done, n_rows, "rows")
        for places, rows in read_ahead(chunks):
            views, pictures = np.divmod(places, len(self.labels))
            yield Chunk(pictures, views, self.labels[pictures], rows)
            done += len(rows)
            self._reporter.advance(PART, done, n_rows, "rows")


def read_ahead(items: Iterator[PlacedRows]) -> Iterator[PlacedRows]:
    """Yield the same, the next of them being made in a thread meanwhile."""
    with ThreadPoolExecutor(1, "blocks") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
