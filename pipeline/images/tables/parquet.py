"""Tables in Parquet files, and pictures inside them, which are read where they lie.

Data-set hubs write a picture as ``{bytes, path}`` and a label as a number, with the names of the
classes in the schema's metadata.
"""

import json
import posixpath
import threading
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EINVAL, EIO
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError
from pipeline.images.files import Files, not_readable
from pipeline.images.identity import Identities, Stamp, stamp_of_stat
from pipeline.images.location import locate
from pipeline.images.names import inner_path
from pipeline.images.remote import open_remote
from pipeline.images.tables.content import TableColumn, TableContent

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

CACHE_BYTES = 1 << 27
"""Pictures of a file that are kept in memory after they were read."""
_BLOCK_ROWS = 32
_BUFFER = 1 << 20
_LONGEST_TEXT = 4096


def read_parquet(where: str) -> TableContent:
    """Read the columns of a Parquet file that hold texts, numbers or pictures.

    Of pictures only the names are read; those without a name of their own are named by their rows.

    Raises:
        InputError: The package for it is missing, or it is no Parquet file.
    """
    file, _ = _opened(where)
    columns: list[TableColumn] = []
    with _told(where), file:
        classes = _class_names(file)
        for field in file.schema_arrow:
            names = classes.get(field.name)
            if (leaf := _pictures_leaf(file, field)) is not None:
                texts = _picture_names(file, field, leaf)
                columns.append(TableColumn(field.name, texts, pictures=True))
            elif (values := _values(file, field)) is not None:
                texts = [_text(value, names).strip() for value in values]
                columns.append(TableColumn(field.name.strip(), texts, classes=bool(names)))
    return TableContent(columns, range(file.metadata.num_rows))  # as data frames number them


def _opened(where: str) -> tuple["ParquetFile", Stamp]:
    try:
        # Only those who have Parquet files pay for it.
        import pyarrow  # noqa: F401
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise InputError(
            f"expected the package pyarrow to read {where}, which is not installed: "
            "pip install 'bottleneck-pipeline[parquet]', or save the table as .csv"
        ) from error
    place = locate(where)
    if place.remote:
        source, stamp = open_remote(place)
        with _told(where):
            return ParquetFile(source, buffer_size=_BUFFER, pre_buffer=False), stamp
    now = time.time_ns()
    try:
        stamp = stamp_of_stat(place.path.stat(), now)
    except OSError as error:
        raise not_readable(where, error) from error
    with _told(where):
        return ParquetFile(place.path, buffer_size=_BUFFER, pre_buffer=False), stamp


@contextmanager
def _told(where: str) -> Iterator[None]:
    from pyarrow import ArrowException

    try:
        yield
    except (ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"expected a Parquet file, received {where}, which cannot be read as one ({error}): "
            "write it again"
        ) from error


def _class_names(file: "ParquetFile") -> dict[str, list[str]]:
    """Return the names of the classes that integers of a column stand for, as hubs write them."""
    metadata = file.schema_arrow.metadata or {}
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (ValueError, KeyError, TypeError, AttributeError):  # not written by such a hub
        return {}


def _text(value: Any, classes: Sequence[str] | None) -> str:
    if value is None:
        return ""
    if classes is not None and isinstance(value, int):
        # Hubs write -1 where the label is not told.
        return classes[value] if 0 <= value < len(classes) else str(value) if value >= 0 else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _leaves(field: Any) -> dict[str, str]:
    """Return the types of the parts of a column, or of the column, by their paths in the file."""
    if str(field.type).startswith("struct"):
        return {f"{field.name}.{inner.name}": str(inner.type) for inner in field.type}
    return {field.name: str(field.type)}


def _pictures_leaf(file: "ParquetFile", field: Any) -> str | None:
    """Return where the bytes of pictures lie in a column; None if it holds none."""
    leaves = _leaves(field)
    leaf = next((leaf for leaf in (field.name, f"{field.name}.bytes") if leaf in leaves), "")
    if leaves.get(leaf) not in ("binary", "large_binary"):
        return None
    if not file.metadata.num_rows:
        return leaf  # one of several files, to which the others say what is in it
    batches = file.iter_batches(_BLOCK_ROWS, columns=[leaf])
    values = (value for batch in batches for value in _leaf_values(batch.column(0)))
    first = next((value for value in values if value is not None), None)
    return leaf if isinstance(first, bytes) and not _is_text(first) else None


def _is_text(value: bytes) -> bool:
    """Say whether bytes are a text that was written without saying so."""
    try:
        return len(value) <= _LONGEST_TEXT and value.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _leaf_values(column: Any) -> list[Any]:
    """Return the values of a column, or of the only part of it that was read."""
    while column.type.num_fields:
        column = column.flatten()[0]
    return list(column.to_pylist())


def _values(file: "ParquetFile", field: Any) -> list[Any] | None:
    """Return a column of plain values, or the paths of pictures that lie elsewhere."""
    leaves = _leaves(field)
    if {f"{field.name}.bytes", f"{field.name}.path"} <= leaves.keys():
        return _read(file, f"{field.name}.path")
    return _read(file, field.name) if not field.type.num_fields else None


def _read(file: "ParquetFile", leaf: str) -> list[Any]:
    return [value for chunk in file.read([leaf])[0].chunks for value in _leaf_values(chunk)]


def _picture_names(file: "ParquetFile", field: Any, leaf: str) -> list[str]:
    """Name pictures by the paths written beside them, where these are of use as names.

    They are if they differ, and if pictures that follow each other by name do so in the file too,
    or all fit in memory: a file is read in blocks of rows. Otherwise the row comes first.
    """
    n_rows = file.metadata.num_rows
    inner: list[str] = [""] * n_rows
    if f"{field.name}.path" in _leaves(field):
        written = _read(file, f"{field.name}.path")
        inner = [(inner_path(str(one or "")) or "").strip() for one in written]
    in_order = all(one < other for one, other in pairwise(inner))
    different = all(inner) and len(set(inner)) == n_rows
    if different and (in_order or _n_bytes(file, leaf) <= CACHE_BYTES):
        return inner
    width = max(6, len(str(n_rows)))
    ends = (f"-{posixpath.basename(name)}" if name else "" for name in inner)
    return [f"row-{row:0{width}}{end}" for row, end in enumerate(ends)]


def _n_bytes(file: "ParquetFile", leaf: str) -> int:
    """Return how many bytes a column takes, before it is compressed."""
    groups = map(file.metadata.row_group, range(file.metadata.num_row_groups))
    columns = (group.column(at) for group in groups for at in range(group.num_columns))
    return sum(one.total_uncompressed_size for one in columns if one.path_in_schema == leaf)


class PictureColumn:
    """The pictures in a column of one Parquet file, read block by block. Safe for threads.

    What was read is kept for a while, within bounds: pictures are mostly asked for in order.
    Raises InputError if it cannot be read.
    """

    def __init__(self, where: str, column: str) -> None:
        self.where, self.column = where, column
        self._file, self.stamp = _opened(where)
        fields = {field.name: field for field in self._file.schema_arrow}
        with _told(where):
            leaf = _pictures_leaf(self._file, fields[column]) if column in fields else None
        if leaf is None:
            raise InputError(f"expected pictures in column {column!r} of {where}, received none")
        self._leaf = leaf
        groups = map(self._file.metadata.row_group, range(self._file.metadata.num_row_groups))
        self._ends = list(accumulate(group.num_rows for group in groups))
        self.mean_bytes = _n_bytes(self._file, leaf) // max(1, self._file.metadata.num_rows)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes | None] = OrderedDict()
        self._n_kept = 0
        self._batches: Iterator[Any] = iter(())
        self._next, self._end = 0, 0

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's picture; raises OSError."""
        with self._lock:
            if row not in self._kept:
                self._read_to(row)
            data = self._kept[row]
            self._trim()
        if data is None:
            raise OSError(EINVAL, "No picture in this row")
        return data

    def _read_to(self, row: int) -> None:
        """Read on to the block that holds a row, or from the start of its row group."""
        if not self._next <= row < self._end:
            group = bisect_right(self._ends, row)
            self._batches = self._file.iter_batches(
                _BLOCK_ROWS, row_groups=[group], columns=[self._leaf], use_threads=False
            )
            self._next, self._end = self._ends[group - 1] if group else 0, self._ends[group]
        while self._next <= row:
            self._trim()
            try:
                values = _leaf_values(next(self._batches).column(0))
            except (OSError, ValueError, StopIteration) as error:
                self._end = 0
                raise OSError(EIO, f"Damaged Parquet file ({error})") from error
            for value in values:
                self._n_kept += len(value or b"") - len(self._kept.pop(self._next, None) or b"")
                self._kept[self._next] = value
                self._next += 1

    def _trim(self) -> None:
        while self._n_kept > CACHE_BYTES:
            _, data = self._kept.popitem(last=False)
            self._n_kept -= len(data or b"")


class ParquetFiles(Files):
    """Pictures inside Parquet files, by names that their table made.

    ``rows`` has of each name the number of its column, and its row there.
    """

    def __init__(self, columns: Sequence[PictureColumn], rows: Mapping[str, Sequence[int]]) -> None:
        self.columns, self._rows = columns, rows
        self.waits = any("://" in column.where for column in columns)

    def read(self, path: str) -> bytes:
        """Return a picture's bytes; raises OSError."""
        number, row = self._rows[path]
        return self.columns[number].read(row)

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return what tells that the files are unchanged, and each picture's row in its file."""
        values, settled = [], []
        for number, row in map(self._rows.__getitem__, paths):
            column = self.columns[number]
            values.append((column.mean_bytes, row, *column.stamp.values))
            settled.append(column.stamp.settled)
        return Identities(np.array(values, np.int64).reshape(-1, 6), np.array(settled, bool))

    def rows_of(self, paths: Sequence[str]) -> dict[str, Sequence[int]]:
        """Return where each of some pictures is."""
        return {path: self._rows[path] for path in paths}

    @property
    def places(self) -> list[tuple[str, str, str]]:
        """The file, the column and the identity of each place."""
        return [(one.where, one.column, str(one.stamp)) for one in self.columns]


def open_columns(places: Sequence[Sequence[str]]) -> list[PictureColumn]:
    """Open what `ParquetFiles.places` says, or go on with it while it is the same."""
    return [_column(*place) for place in places]


@lru_cache(16)
def _column(where: str, column: str, stamp: str) -> PictureColumn:
    return PictureColumn(where, column)
