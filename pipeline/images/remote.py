"""Pictures on other machines and in other stores, through fsspec."""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from errno import EIO
from typing import Any, BinaryIO
from urllib.parse import unquote

from pipeline.errors import PASSWORD, InputError
from pipeline.images.files import Files, check_size
from pipeline.images.identity import NO_STAMP, Identities, Stamp, stacked, stamp_of_info
from pipeline.images.location import Location
from pipeline.images.names import inner_path, is_clutter, is_trailed_picture_name
from pipeline.system.filesystems import PACKAGES, check_url, failures, reason_of

_HTTP = ("http", "https")


class RemoteFiles(Files):
    """Files below one remote folder.

    Args:
        location: The URL; of the folder itself, or of a file (a manifest) in it.
        listed: Whether to list the folder. What is not listed is never taken for unchanged.

    Raises:
        InputError: The package for the protocol is missing, or the place cannot be listed.
    """

    waits = True
    is_picture = staticmethod(is_trailed_picture_name)

    def __init__(self, location: Location, *, listed: bool = True) -> None:
        self.where = location.url
        self._system, path = _open_system(location.url)
        self._root = path.rstrip("/") if listed else path.rpartition("/")[0]
        self._is_web = location.url.startswith(_HTTP)
        self._stamps: dict[str, Stamp] = {}
        self._names: dict[str, str] = {}
        self.odd: tuple[str, ...] = ()
        if listed:
            self._list()
        self.names = tuple(self._names)

    def _list(self) -> None:
        now = time.time_ns()
        odd = []
        with _told(self.where):
            self._system.invalidate_cache()
            for name, info in self._walk():
                relative = name.removeprefix(self._root).lstrip("/")
                path = inner_path(unquote(relative) if self._is_web else relative)
                if path is None:
                    odd.append(relative)
                    continue
                self._names[path] = name
                self._stamps[path] = stamp_of_info(info, now)
        self.odd = tuple(odd)
        if not self._names:
            raise InputError(
                f"expected a folder of pictures, received {self.where}, which holds no files: "
                "check the URL"
            )

    def _walk(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield every file below the root; fsspec's own ``find`` leaves out what fails."""
        waiting = [self._root]
        entered = set()
        while waiting:
            folder = waiting.pop()
            entered.add(folder)
            for info in self._system.ls(folder, detail=True):
                name = info["name"].rstrip("/")
                # A page may link elsewhere, and to itself in another order.
                if not name.startswith(f"{folder}/") or (self._is_web and "?" in name):
                    continue
                if info["type"] != "directory":
                    yield name, info
                elif name not in entered and not is_clutter(name.rpartition("/")[2]):
                    waiting.append(name)

    def _place(self, path: str) -> str:
        if path in self._names:
            return self._names[path]
        if "://" in path or path.startswith("/"):
            return str(self._system._strip_protocol(path))
        return f"{self._root}/{path}"

    def names_of(self, paths: Sequence[str]) -> dict[str, str]:
        """Return what the file system calls each of some paths."""
        return {path: self._place(path) for path in paths}

    @classmethod
    def named(cls, location: Location, names: Mapping[str, str]) -> "RemoteFiles":
        """Return some files of a place, whose names are known, without listing it."""
        files = cls(location, listed=False)
        files._names = dict(names)
        return files

    def read(self, path: str) -> bytes:
        """Return a file's bytes; raises OSError."""
        check_size(self._stamps.get(path, NO_STAMP).values[0])
        with _as_os_errors(self.where):
            return bytes(self._system.cat_file(self._place(path)))

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return what the listing said of each file, row by row."""
        return stacked([self._stamps.get(path, NO_STAMP) for path in paths])


def open_remote(location: Location) -> tuple[BinaryIO, Stamp]:
    """Open one remote file for reading anywhere in it, and return its identity with it.

    Raises:
        InputError: The package for the protocol is missing, the file cannot be read, or the
            server sends files only whole.
    """
    system, path = _open_system(location.url)
    now = time.time_ns()
    with _told(location.url):
        system.invalidate_cache()
        stamp = stamp_of_info(system.info(path), now)
        file = system.open(path, "rb")
        if not file.seekable():
            file.close()
            raise io.UnsupportedOperation("the server sends no parts of files")
    return io.BufferedReader(_RemoteFile(file, location.url)), stamp


class _RemoteFile(io.RawIOBase):
    """A remote file whose failures are all OSErrors, as those of any file are."""

    def __init__(self, file: BinaryIO, url: str = "") -> None:
        self._file, self._url = file, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        with _as_os_errors(self._url):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def read_remote(location: Location) -> bytes:
    """Return the bytes of one remote file; raises InputError."""
    system, path = _open_system(location.url)
    with _told(location.url):
        return bytes(system.cat_file(path))


def _open_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    protocol = check_url(url)
    try:
        # Only those who have URLs pay for it.
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise InputError(
            f"expected the package fsspec for {url}, which is not installed: pip install fsspec"
        ) from error
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        way_out = f"pip install {PACKAGES[protocol]}"
        raise InputError(f"cannot read {url}: {error}; {way_out}") from error
    except ValueError as error:
        raise InputError(f"expected a URL that fsspec knows, received {url}: {error}") from None
    return system, str(path)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Tell failures of a remote file system in one sentence."""
    try:
        yield
    except failures() as error:
        raise InputError(
            f"cannot read {url}: {reason_of(error, url)}; check the URL and the connection, or "
            "fetch the pictures first"
        ) from _told_cause(error, url)


@contextmanager
def _as_os_errors(url: str) -> Iterator[None]:
    """Let failures of a remote file system be OSErrors with a reason."""
    try:
        yield
    except failures() as error:
        number = error.errno if isinstance(error, OSError) and error.strerror else EIO
        raise OSError(number, reason_of(error, url)) from _told_cause(error, url)


def _told_cause(error: Exception, url: str) -> Exception | None:
    """Return what a traceback may show: file systems repeat the URL, with its password."""
    return None if PASSWORD.search(url) else error
