"""Checksums beyond HDF5's own: of each chunk, and of all that a shard says about itself.

HDF5 guards its own structures, and chunks by Fletcher-32. Two kinds of damage pass both: whatever
is consistent in itself, like a file pieced together from two, and damage that Fletcher-32 is blind
to: it holds a hole in the file for whole (a chunk of zeros whose checksum is zero as well) and
cannot tell 0x0000 from 0xFFFF. So every dataset carries the CRC-32 of each of its chunks, and the
file a SHA-256 over its attributes and those.

Shards that were written before this was so have neither attribute and are read without.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import h5py
import numpy as np

from pipeline.system.files import canonical_json

CHUNK_SUMS = "crc32"

FILE_SUM = "checksum"

COVERED = ("format", "format_version", "recipe", "versions", "engine", "n_rows")


def chunk_sums(array: np.ndarray, chunk_rows: int) -> np.ndarray:
    """Return the CRC-32 of each run of ``chunk_rows`` rows: (n_chunks,) uint32."""
    starts = range(0, len(array), chunk_rows)
    return np.array([crc32(array[start : start + chunk_rows]) for start in starts], np.uint32)


def crc32(rows: np.ndarray) -> int:
    """Return the CRC-32 of the rows' bytes in C order."""
    return zlib.crc32(np.ascontiguousarray(rows).data)


def file_sum(file: h5py.File, names: Iterable[str]) -> str:
    """Return the SHA-256 over the attributes of an open shard and of its datasets, in hex."""
    value = {
        "attributes": {name: _plain(file.attrs[name]) for name in COVERED},
        "datasets": {name: _said_of(file[name]) for name in names},
    }
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _said_of(dataset: h5py.Dataset) -> dict[str, object]:
    attributes = {name: _plain(value) for name, value in dataset.attrs.items()}
    return {"shape": list(dataset.shape), "dtype": dataset.dtype.str, **attributes}


def _plain(value: Any) -> Any:
    return text_of(value) if isinstance(value, bytes | str) else np.asarray(value).tolist()


def text_of(value: bytes | str) -> str:
    """Return an attribute's text, whether its length is fixed or, as it once was, variable."""
    return value if isinstance(value, str) else value.decode()


def check_file(file: h5py.File, names: Iterable[str]) -> None:
    """Raise ValueError when what the file says about itself is not what was written."""
    expected = file.attrs.get(FILE_SUM)
    if expected is not None and file_sum(file, names) != text_of(expected):
        raise ValueError("its attributes do not match their checksum")


def read_chunks(
    dataset: h5py.Dataset, numbers: Iterable[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Read chunks, all or some that are counted from 0, one by one, so that memory stays small.

    Yields:
        (row, rows): the number of the first row, and the rows from there on.

    Raises:
        ValueError: A chunk's CRC-32 does not hold.
        OSError: HDF5 cannot read it, or its Fletcher-32 does not hold.
    """
    chunk_rows = dataset.chunks[0]
    sums = dataset.attrs.get(CHUNK_SUMS)
    for number in range(-(-len(dataset) // chunk_rows)) if numbers is None else numbers:
        start = number * chunk_rows
        rows = dataset[start : start + chunk_rows]
        if sums is not None and crc32(rows) != sums[number]:
            raise ValueError(f"rows from {start} of {dataset.name} do not match their checksum")
        yield start, rows
