"""A table as one HDF5 file.

HDF5 ends the process when it cannot write, for example on a full disk. So it only lays the file
out, in memory and without data; the data is written to the places that it chose, as bytes, by
Python, whose errors can be told.
"""

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.store.columns import Column, Table, blocks, encode


def write_hdf5(path: Path, table: Table) -> None:
    """Write one dataset per column and ``classes``; the attributes are the file's.

    Raises:
        OSError: The disk is full, or the like.
    """
    layout = Layout()
    places = _lay_out(layout, table)
    with path.open("wb") as file:
        file.truncate(layout.size)
        for place, piece in layout.pieces:
            file.seek(place)
            file.write(piece)
        for column in table.columns:
            file.seek(places[column.name])
            for start, stop in blocks(table.n_rows, column.shape, column.dtype):
                file.write(np.ascontiguousarray(column.read(start, stop), column.dtype).data)


class Layout(io.RawIOBase):
    """A file in memory that holds only what was written to it: much smaller than its size."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[tuple[int, bytes]] = []
        self.size = self._place = 0

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, counted from the beginning or from the end."""
        self._place = place + (self.size if whence == io.SEEK_END else 0)
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def write(self, piece: Any) -> int:
        """Remember a piece; later ones count where they overlap."""
        self.pieces.append((self._place, bytes(piece)))
        self._place += len(piece)
        self.size = max(self.size, self._place)
        return len(piece)

    def readinto(self, buffer: Any) -> int:
        """Read what was written, and zeros elsewhere."""
        begin, n_bytes = self._place, len(buffer)
        buffer[:] = bytes(n_bytes)
        for place, piece in self.pieces:
            first, last = max(begin, place), min(begin + n_bytes, place + len(piece))
            if first < last:
                buffer[first - begin : last - begin] = piece[first - place : last - place]
        self._place += n_bytes
        return n_bytes

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        self.size = self._place if size is None else size
        return self.size


def _lay_out(layout: Layout, table: Table) -> dict[str, int]:
    """Write everything but the data; return where the data of each column belongs."""
    with h5py.File(layout, "w", libver=("v110", "v110")) as file:
        file.attrs.update(table.attributes)
        file["classes"] = np.array([encode(name) for name in table.classes])
        return {column.name: _reserve(file, column, table.n_rows) for column in table.columns}


def _reserve(file: h5py.File, column: Column, n_rows: int) -> int:
    """Make a dataset whose space is reserved and not filled; return where it begins."""
    shape = (n_rows, *column.shape)
    dtype = column.dtype
    if dtype.kind == "S":
        dtype = h5py.string_dtype("utf-8", dtype.itemsize)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    group, _, name = column.name.rpartition("/")
    parent = file.require_group(group) if group else file
    space = h5py.h5s.create_simple(shape)
    kind = h5py.h5t.py_create(dtype, logical=True)
    place = h5py.h5d.create(parent.id, name.encode(), kind, space, properties).get_offset()
    return place or 0  # without rows there is no place
