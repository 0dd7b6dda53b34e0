"""Arrays in a zip, as NumPy and skops write them, which anybody may have written.

Nothing is inflated beyond a limit, no pickle is read, and no array is larger than what the file
holds of it.
"""

import ast
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np

_HEADER = re.compile(
    rb"\{'descr': ('[<|>=]\w{1,8}'|\[(?:\('\w*', '[<|>=]\w{1,8}'\)(?:, )?)+\]), "
    rb"'fortran_order': (True|False), 'shape': \(((?:\d{1,15}(?:, |,)?)*)\), \} *\n"
)
_MAGIC = b"\x93NUMPY\x01\x00"


def read_arrays(path: Path, packed: int = 0) -> dict[str, np.ndarray]:
    """Return the arrays of an ``.npz`` file that `numpy.savez` wrote, by name.

    Args:
        path: The file.
        packed: Bytes up to which members may be deflated, as `numpy.savez_compressed` does.

    Raises:
        OSError: It cannot be read.
        ValueError: It is something else.
    """
    members = read_members(path, packed)
    return {name.removesuffix(".npy"): read_array(data) for name, data in members.items()}


def read_members(path: Path, packed: int = 0) -> dict[str, bytes]:
    """Return the members of a zip by name; raises OSError and ValueError, as `read_arrays` does."""
    with _opened(path, packed) as file:
        return {one.filename: file.read(one) for one in file.infolist()}


def check_members(path: Path) -> None:
    """Raise ValueError where a file is no zip, or packs something: that could have no end."""
    with _opened(path, 0):
        pass


@contextmanager
def _opened(path: Path, packed: int) -> Iterator[zipfile.ZipFile]:
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[: 2 if packed else 1]
    try:
        with zipfile.ZipFile(path) as file:
            found = file.infolist()
            if len({one.filename for one in found}) < len(found):
                raise ValueError("a member of the same name twice")
            if any(one.compress_type not in kinds for one in found):
                raise ValueError("a member that is compressed")
            if sum(one.file_size for one in found) > (packed or os.path.getsize(path)):
                raise ValueError("more than the file holds")
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error) or "half a zip") from error


def read_array(data: bytes) -> np.ndarray:
    """Return the array of an ``.npy`` file; raises ValueError where it is none of numbers."""
    header = _HEADER.fullmatch(data, 10, 10 + int.from_bytes(data[8:10], "little"))
    if not data.startswith(_MAGIC) or header is None:
        raise ValueError("what is no array of numbers")
    described, fortran, shape_text = (group.decode("ascii") for group in header.groups())
    shape = tuple(map(int, re.findall(r"\d+", shape_text)))
    try:
        dtype = np.lib.format.descr_to_dtype(ast.literal_eval(described))
    except TypeError as error:
        raise ValueError(f"an array of {described}") from error
    n_bytes, there = math.prod(shape) * dtype.itemsize, len(data) - header.end()
    if dtype.hasobject or not dtype.itemsize or n_bytes != there:
        raise ValueError(f"an array {shape} of {described} in {there:,} bytes")
    order: Literal["C", "F"] = "F" if fortran == "True" else "C"
    made: np.ndarray = np.ndarray(shape, dtype, data, header.end(), order=order)
    return made.copy(order)
