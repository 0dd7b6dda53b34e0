"""Pieces of a file that nobody vouches for, and the numbers in them: never beyond any end."""

import os
from typing import BinaryIO

UNDEFINED = (1 << 64) - 1
"""The address of what is not there."""

MOST_BYTES = 8 << 20
"""Of all that is not data: a shard of 200 cuts and 10,000 chunks has a tenth of it."""


class Pieces:
    """A file, open for reading bytes, read piece by piece, and not for ever."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, os.SEEK_END)
        self._left = MOST_BYTES

    def take(self, place: int, n_bytes: int) -> bytes:
        """Return some bytes.

        Raises ValueError if they are not all there, or more was taken than a shard has.
        """
        self._left -= n_bytes
        if self._left < 0 or n_bytes < 0 or place + n_bytes > self.size:
            raise ValueError(f"it announces {n_bytes} bytes at byte {place} of {self.size}")
        self._file.seek(place)
        data = self._file.read(n_bytes)
        if len(data) != n_bytes:
            raise ValueError(f"it ends before byte {place + n_bytes}")
        return data


class Fields:
    """Numbers and bytes one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    @property
    def left(self) -> int:
        """Return how many bytes were not read yet."""
        return len(self._data) - self._place

    def raw(self, n_bytes: int) -> bytes:
        """Return the next bytes; raises ValueError where there are less."""
        if n_bytes > self.left:
            raise ValueError(f"{n_bytes} bytes where only {self.left} are left")
        begin, self._place = self._place, self._place + n_bytes
        return self._data[begin : self._place]

    def number(self, n_bytes: int) -> int:
        """Return the next bytes as a number, the lowest first; raises ValueError as `raw` does."""
        return int.from_bytes(self.raw(n_bytes), "little")
