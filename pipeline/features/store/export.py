"""Writing a table, whose columns are read block by block, into one file for others.

HDF5 ends the process when it cannot write, for example on a full disk. So it only lays the file
out, in memory and without data; the data is written to the places that it chose, as bytes, by
Python, whose errors can be told.
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from pipeline.errors import InputError, StoreError, UnknownNameError
from pipeline.system.files import check_free, is_stream, output_path
from pipeline.system.machine import free_bytes

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 64 << 20
TEXT = "U"


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


def write_npz(path: Path, table: Table) -> None:
    """Write arrays that ``numpy.load`` reads without pickle: columns, ``classes``, attributes.

    An OSError, as of a full disk, comes as it is; of the other writers as well.
    """
    texts = {"classes": list(table.classes), **table.attributes}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.array(text, TEXT), allow_pickle=False)
        for column in table.columns:
            _write(archive, column, table.n_rows)


def _write(archive: zipfile.ZipFile, column: Column, n_rows: int) -> None:
    dtype = _stored(column.dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (n_rows, *column.shape),
    }
    with archive.open(f"{column.name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start, stop in blocks(n_rows, column.n_values * dtype.itemsize):
            rows = column.read(start, stop)
            texts = np.char.decode(rows, "utf-8") if dtype.kind == TEXT else rows
            file.write(texts.astype(dtype, order="C", copy=False).data.cast("B"))


def _stored(dtype: np.dtype) -> np.dtype:
    """Texts are stored as NumPy's own, which everybody can compare with ``==``."""
    return np.dtype(f"{TEXT}{dtype.itemsize}") if dtype.kind == "S" else dtype


def npz_row_bytes(table: Table) -> int:
    """Return how many bytes a row takes in an ``.npz`` file."""
    return sum(_stored(column.dtype).itemsize * column.n_values for column in table.columns)


def write_parquet(path: Path, table: Table) -> None:
    """Write one column per column, rows of arrays as lists of fixed length.

    The classes (JSON) and the attributes are metadata of the schema; the shape of a map's rows,
    which become flat, is metadata of its field.
    """
    import pyarrow as pa
    from pyarrow import parquet

    texts = {"classes": json.dumps(list(table.classes)), **table.attributes}
    schema = pa.schema([_field(column) for column in table.columns], metadata=texts)
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for start, stop in blocks(table.n_rows, table.row_bytes):
            arrays = [_array(column, start, stop) for column in table.columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _field(column: Column) -> "pa.Field":
    import pyarrow as pa

    if column.dtype.kind == "S":
        return pa.field(column.name, pa.string())
    kind = pa.from_numpy_dtype(column.dtype)
    if not column.shape:
        return pa.field(column.name, kind)
    shape = {"shape": json.dumps(list(column.shape))}
    return pa.field(column.name, pa.list_(kind, column.n_values), metadata=shape)


def _array(column: Column, start: int, stop: int) -> "pa.Array":
    import pyarrow as pa

    rows = column.read(start, stop)
    if column.dtype.kind == "S":
        return pa.array(np.char.decode(rows, "utf-8").tolist(), pa.string())
    flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, column.n_values) if column.shape else flat


def write_hdf5(path: Path, table: Table) -> None:
    """Write one dataset per column and ``classes``; the attributes are the file's."""
    layout = Layout()
    places = _lay_out(layout, table)
    with path.open("wb") as file:
        file.truncate(layout.size)
        for place, piece in layout.pieces:
            file.seek(place)
            file.write(piece)
        for column in table.columns:
            file.seek(places[column.name])
            for start, stop in blocks(table.n_rows, column.n_values * column.dtype.itemsize):
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
        file["classes"] = np.array([encode(name) for name in table.classes], np.bytes_)
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


WRITERS = {".h5": write_hdf5, ".npz": write_npz, ".parquet": write_parquet}

MIB = 1 << 20
SPARE_BYTES = 4 * MIB


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before anything is read.

    Raises:
        UnknownNameError: Its suffix is none that can be written.
        InputError: It exists and ``overwrite`` is off; it is a folder; or pyarrow is not installed.
    """
    if path.suffix.lower() not in WRITERS:
        hint = f"name a file that ends in {', '.join(WRITERS)}"
        raise UnknownNameError("kind of file", path.suffix or path.name, WRITERS, hint)
    check_free(path, overwrite)
    if path.suffix.lower() != ".parquet":
        return
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise InputError(
            "expected pyarrow to write a .parquet file, received none; "
            "pip install 'bottleneck-pipeline[parquet]', or name a .h5 or .npz file"
        ) from error


def export_table(path: Path, table: Table) -> int:
    """Write a table in the format that the suffix names: whole or not at all, in little memory.

    Returns:
        Size of the file, in bytes.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    suffix = path.suffix.lower()
    row_bytes = npz_row_bytes(table) if suffix == ".npz" else table.row_bytes
    _check_space(path, table.n_rows * row_bytes)
    with output_path(path) as temporary:
        WRITERS[suffix](temporary, table)
        return temporary.stat().st_size


def _check_space(path: Path, n_bytes: int) -> None:
    """Refuse what will not fit, before hours of writing."""
    if is_stream(path):
        return
    free = free_bytes(path.parent)
    if n_bytes + SPARE_BYTES > free:
        raise StoreError(
            f"expected {n_bytes / MIB:,.0f} MiB of free space to write {path}, received "
            f"{free / MIB:,.0f} MiB; free some or name a file elsewhere"
        )
