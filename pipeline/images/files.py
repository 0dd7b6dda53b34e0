"""Where the bytes of pictures come from: local files, and what every other place offers too."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EFBIG, EINVAL
from io import FileIO
from pathlib import Path
from typing import Protocol

from pipeline.errors import InputError
from pipeline.images.identity import Identities, local_identities

MAX_BYTES = 1 << 30
"""Larger files are taken for attacks, or for something else, not for pictures."""


def check_size(size: int, place: str = "") -> None:
    """Raise OSError, which tells the place, if so many bytes are more than a picture can have."""
    if size > MAX_BYTES:
        raise OSError(EFBIG, f"too large{place}: {size:,} bytes, at most {MAX_BYTES:,}")


def not_readable(place: object, error: OSError) -> InputError:
    """Return the error that says why an archive or a table cannot be read."""
    return InputError(f"cannot read {place}: {error.strerror}; make it readable")


OUTSIDE = "leads out of the folder"
"""Why a file is not read that is named in a folder, and lies elsewhere."""


def leads_out(root: str | Path, path: str | Path) -> bool:
    """Return whether a path in a folder means something outside of it, by ``..`` or a link."""
    home = os.path.realpath(root)
    try:
        return os.path.commonpath([home, os.path.realpath(path)]) != home
    except ValueError:  # a NUL, which no file's name has
        return True


def _open_file(path: str | Path) -> FileIO:
    """Open a regular file that is no larger than a picture can be; raises OSError.

    Opening a pipe would hang, and a device has no end.
    """
    descriptor = os.open(path, _READ)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(EINVAL, "Not a file")
        check_size(found.st_size)
        return FileIO(descriptor)
    except OSError:
        os.close(descriptor)
        raise


_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


def read_file(path: str | Path) -> bytes:
    """Return the bytes of a local picture; raises OSError."""
    with _open_file(path) as file:
        return file.read()


class Files(Protocol):
    """The files of a source; every path is one that the source listed. Safe for threads."""

    waits: bool
    """Whether reading means waiting for another machine, so that many threads help."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""

    def digest(self, path: str) -> bytes:
        """Return the SHA-256 of a file's bytes; raises OSError."""
        return hashlib.sha256(self.read(path)).digest()

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return what tells that the files are unchanged, row by row, without reading them."""


class LocalFiles:
    """Files in a local folder, to which paths are relative."""

    waits = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}{os.sep}" if str(root) != os.sep else os.sep

    def _place(self, path: str) -> str:
        return path if os.path.isabs(path) else self._prefix + path

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""
        return read_file(self._place(path))

    def digest(self, path: str) -> bytes:
        """Return the SHA-256 of a file's bytes; raises OSError."""
        with _open_file(self._place(path)) as file:
            return hashlib.file_digest(file, "sha256").digest()

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return sizes, times and inodes, row by row."""
        return local_identities(map(self._place, paths))


class ListedFiles(LocalFiles):
    """Local files that a manifest names; anything may be at such a path, or nothing.

    The root is the manifest's folder, ``rows`` has the row of the manifest that names each path.
    """

    def __init__(self, root: Path, rows: Mapping[str, int]) -> None:
        super().__init__(root)
        self._rows = rows

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError, which names the row."""
        with self._named(path):
            return super().read(path)

    def digest(self, path: str) -> bytes:
        """Return the SHA-256 of a file's bytes; raises OSError, which names the row."""
        with self._named(path):
            return super().digest(path)

    def rows_of(self, paths: Sequence[str]) -> dict[str, int]:
        """Return the row of the manifest that names each of some paths."""
        return {path: self._rows[path] for path in paths}

    @contextmanager
    def _named(self, path: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise OSError(error.errno or EINVAL, f"{reason} (row {self._rows[path]})") from error
