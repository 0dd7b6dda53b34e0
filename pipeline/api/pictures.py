"""Pictures as a program gives them: paths, folders, or arrays of pixels.

Arrays become picture files in memory (BMP, which keeps every pixel), so that they go through the
same decode recipe as files do, and are known by the SHA-256 of those bytes: what an array shows
decides, not where it lies or which number type it had.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.api.kinds import no_pictures
from pipeline.errors import InputError
from pipeline.images import find_pictures
from pipeline.images.indexing import Listed
from pipeline.system.files import expanded

EXPECTED = "paths of picture files, or arrays (n, h, w, 3) of RGB from 0 to 255"


class Arrays:
    """Pixels in memory, of which a picture file is made when it is read.

    They are (n, h, w, 3), or n arrays (h, w, 3) of any sizes; numbers from 0 to 255.
    """

    def __init__(self, arrays: np.ndarray | Sequence[np.ndarray]) -> None:
        if not len(arrays):
            raise _none()
        for row, pixels in enumerate(arrays):
            _check_pixels(pixels, f"X[{row}]")
        _check_range(arrays)
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays)

    def name(self, row: int) -> str:
        """Return ``X[row]``."""
        return f"X[{row}]"

    def read(self, row: int) -> bytes:
        """Return the array as a BMP file; fractions are rounded."""
        from PIL import Image

        file = io.BytesIO()
        pixels = np.ascontiguousarray(np.rint(self._arrays[row]), np.uint8)
        Image.fromarray(pixels).save(file, "BMP")
        return file.getvalue()


class PictureFiles:
    """Picture files, a row each."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, row: int) -> str:
        """Return the path as it was given."""
        return self._paths[row]

    def read(self, row: int) -> bytes:
        """Return the file's bytes; raises OSError."""
        return expanded(self._paths[row]).read_bytes()


def given_pictures(pictures: Any) -> Listed:
    """Return pictures in the order given; those of folders and archives sorted by path.

    Args:
        pictures: A path or several of files, folders and archives; an array (h, w, 3) or
            (n, h, w, 3); or several (h, w, 3).

    Raises:
        InputError: It is nothing of these, or a path is not there.
        DataError: There are no pictures under the paths.
    """
    if isinstance(pictures, str | os.PathLike):
        pictures = [pictures]
    elif getattr(pictures, "ndim", 0) == 3:
        pictures = np.asarray(pictures)[np.newaxis]
    rows = _rows(pictures)
    if isinstance(rows, Arrays):
        return rows
    return find_pictures([expanded(path) for path in rows])


def given_samples(X: Any) -> Listed:
    """Return pictures, one for each row of X, in its order.

    Args:
        X: Paths of picture files (a list, an array, a pandas Series, or a table of one column), or
            arrays (n, h, w, 3), or a list of n arrays (h, w, 3).

    Raises:
        InputError: It is nothing of these.
    """
    rows = _rows(X)
    return rows if isinstance(rows, Arrays) else PictureFiles(rows)


def _rows(X: Any) -> Arrays | list[str]:
    if getattr(X, "ndim", 0) == 4:
        return Arrays(np.asarray(X))
    if isinstance(X, str | os.PathLike) or not hasattr(X, "__len__"):
        raise no_pictures(X, EXPECTED)
    rows = _listed(X)
    if not rows:
        raise _none()
    if all(isinstance(row, str | os.PathLike) and row != "" for row in rows):
        return [os.fspath(row) for row in rows]
    if all(getattr(row, "ndim", 0) == 3 for row in rows):
        return Arrays([np.asarray(row) for row in rows])
    raise no_pictures(X, EXPECTED)


def _listed(X: Any) -> list[Any]:
    """Return the rows of a list, an array, or of a table with one column."""
    if isinstance(X, list | tuple):
        return list(X)
    array = np.asarray(X)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return list(array) if array.ndim == 1 else [array]


def _none() -> InputError:
    return InputError(f"expected at least one picture, received none; give {EXPECTED}")


def _check_pixels(pixels: np.ndarray, name: str) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not all(pixels.shape):
        raise InputError(
            f"expected an array (h, w, 3) of RGB, received {name} of shape {pixels.shape}; repeat "
            f"a grey picture three times, and put colours last"
        )
    if pixels.dtype.kind not in "uif":
        raise InputError(
            f"expected pixels as numbers from 0 to 255, received {name} of dtype {pixels.dtype}"
        )
    low, high = pixels.min(), pixels.max()
    if not (low >= 0 and high <= 255):  # also where there is NaN
        raise InputError(
            f"expected pixels from 0 to 255, received {name} with values from {low} to {high}; "
            f"undo what was done to them, the base's own preprocessing is applied here"
        )


def _check_range(arrays: np.ndarray | Sequence[np.ndarray]) -> None:
    """Refuse pixels from 0 to 1: they would all be black."""
    if all(pixels.dtype.kind == "f" for pixels in arrays):
        high = max(float(pixels.max()) for pixels in arrays)
        if 0 < high <= 1:
            raise InputError(
                f"expected pixels from 0 to 255, received floats up to {high:.3g}, as if 1 were "
                f"white; multiply them by 255, or give uint8 where pictures are that dark"
            )


def content_digests(pictures: Listed) -> np.ndarray:
    """Return the SHA-256 of every picture file, read once: (n, 32) uint8, row-aligned.

    Raises InputError if a file cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    from pipeline.system.machine import thread_count

    with ThreadPoolExecutor(thread_count(None), thread_name_prefix="hash") as pool:
        digests = pool.map(lambda row: _digest(pictures, row), range(len(pictures)), chunksize=16)
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def _digest(pictures: Listed, row: int) -> bytes:
    try:
        return hashlib.sha256(pictures.read(row)).digest()
    except OSError as error:
        raise InputError(
            f"expected a picture file as X[{row}], received {pictures.name(row)}: "
            f"{error.strerror or error}; check the path"
        ) from error
