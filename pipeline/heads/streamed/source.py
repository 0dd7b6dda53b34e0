"""Passes over features in blocks: read ahead, prepared row by row, and brought near zero."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.heads.rowwise import apply_rowwise

PlacedRows = tuple[np.ndarray, np.ndarray]
"""Places (b,) int, and the features (b, d) float32 that belong there."""

Progress = Callable[[int, int], None]
"""Told after each block: rows seen in this pass over the data, and rows in a pass."""


class Blocks(Protocol):
    """Features that can be read any number of times, never all at once."""

    @property
    def n_rows(self) -> int:
        """How many rows a pass hands out."""
        ...

    @property
    def n_features(self) -> int:
        """The width d of a row."""
        ...

    def __iter__(self) -> Iterator[PlacedRows]:
        """Yield every place from 0 to n_rows - 1 once."""
        ...

    def shuffled(self, seed: int) -> Iterator[PlacedRows]:
        """Yield every place once, in blocks drawn from all over the data."""
        ...


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


class Source:
    """What every solver reads from.

    Args:
        blocks: The n pictures, then view 1 of each, … (by place; the order of reading is free).
        labels: (n,) int, the pictures' classes.
        rowwise: One of `rowwise.ROWWISE`.
        widths: Of the cuts side by side, as in `apply_rowwise`.
        progress: Told how far each pass is.

    Raises:
        InputError: There are no rows, or not a whole number for each label.
    """

    def __init__(
        self,
        blocks: Blocks,
        labels: np.ndarray,
        rowwise: str = "none",
        widths: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> None:
        if not blocks.n_rows or blocks.n_rows % max(1, len(labels)):
            raise InputError(
                f"expected blocks of as many rows as labels, or of a whole multiple with augmented "
                f"views, received {blocks.n_rows} rows and {len(labels)} labels; make both of the "
                f"same pictures"
            )
        self.labels, self.n_features = np.asarray(labels), blocks.n_features
        self.n_versions = blocks.n_rows // len(labels)
        """Of each picture: itself and its views."""
        self._blocks, self._progress = blocks, progress
        self._rowwise, self._widths = rowwise, tuple(widths)
        self.shift = np.zeros(self.n_features, np.float32)
        """What rows are less, (d,): products of rows far from zero would lose their digits."""
        _, first = next(iter(blocks))
        self.shift = self._prepared(first).mean(0, dtype=np.float64).astype(np.float32)

    def _prepared(self, rows: np.ndarray) -> np.ndarray:
        return apply_rowwise(rows, self._rowwise, self._widths) - self.shift

    def __iter__(self) -> Iterator[Chunk]:
        """Make a pass; the next block is read and prepared while one is worked on."""
        return self._pass(iter(self._blocks))

    def shuffled(self, seed: int) -> Iterator[Chunk]:
        """Make a pass in another order."""
        return self._pass(self._blocks.shuffled(seed))

    def _pass(self, placed: Iterator[PlacedRows]) -> Iterator[Chunk]:
        chunks = ((places, self._prepared(rows)) for places, rows in placed)
        done = 0
        for places, rows in read_ahead(chunks):
            views, pictures = np.divmod(places, len(self.labels))
            yield Chunk(pictures, views, self.labels[pictures], rows)
            done += len(rows)
            if self._progress is not None:
                self._progress(done, self._blocks.n_rows)


def read_ahead(items: Iterator[PlacedRows]) -> Iterator[PlacedRows]:
    """Yield the same, the next of them being made in a thread meanwhile."""
    with ThreadPoolExecutor(1, "blocks") as pool:
        pending = pool.submit(next, items, None)
        while (item := pending.result()) is not None:
            pending = pool.submit(next, items, None)
            yield item
