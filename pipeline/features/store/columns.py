"""Named columns of one table, read block by block: what is exported, whatever the file's format."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_BYTES = 64 << 20


@dataclass(frozen=True)
class Column:
    """A column of a table whose rows need not fit into memory.

    Args:
        name: Its name; ``X/top`` is ``top`` in a group ``X``.
        dtype: Of its values; texts are bytes in UTF-8, ``S`` and the greatest length.
        shape: Of one row; empty for a single value.
        read: Returns the rows from the first to before the second number.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    read: Callable[[int, int], np.ndarray]

    @property
    def n_values(self) -> int:
        """Values in one row."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Args:
        n_rows: Their length.
        columns: The columns, each n_rows long.
        classes: What the class numbers mean.
        attributes: Texts about the whole.
    """

    n_rows: int
    columns: Sequence[Column]
    classes: Sequence[str]
    attributes: dict[str, str]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return sum(column.dtype.itemsize * column.n_values for column in self.columns)


def array_column(name: str, values: np.ndarray) -> Column:
    """Make a column of an array in memory, row by row."""
    return Column(name, values.dtype, values.shape[1:], lambda start, stop: values[start:stop])


def text_column(name: str, values: Sequence[str]) -> Column:
    r"""Make a column of texts.

    Names of files need not be valid text on every system: their odd bytes are written as ``\xff``.
    """
    encoded = [encode(value) for value in values]
    width = max(1, max(map(len, encoded), default=1))
    dtype = np.dtype(f"S{width}")
    return Column(name, dtype, (), lambda start, stop: np.array(encoded[start:stop], dtype))


def encode(value: str) -> bytes:
    """Return a text as valid UTF-8, whatever is in it."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").encode()


def blocks(n_rows: int, row_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of runs of rows that are about 64 MiB each."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, n_rows, step):
        yield start, min(n_rows, start + step)
