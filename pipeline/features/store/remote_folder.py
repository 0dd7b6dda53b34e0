"""A folder behind a URL, through fsspec: what is in it, and files that appear whole or not at all.

How a file appears depends on what the protocol stands for:

- An object store: one put of the whole file under its final name. The store shows an object once
  it has all of it. (s3fs and gcsfs divide what is larger than 50 to 100 MB into parts; then too the
  object is there when the last part is, and not before.) There is no rename in such a store:
  fsspec copies and deletes instead.
- A file system: the file is written under a temporary name in the same folder and renamed, which is
  one step where fsspec hands a move on to the file system, as it does for those named here.

Others are refused rather than guessed at. Names and passwords are fsspec's own business; a URL that
has a password in it is shown without.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, StoreError, without_secrets
from pipeline.system.files import TEMPORARY_PREFIX, fsync
from pipeline.system.filesystems import PACKAGES as READABLE
from pipeline.system.filesystems import failures, reason_of

OBJECT_STORES = {
    name: READABLE[name] for name in ("s3", "s3a", "gs", "gcs", "az", "abfs", "memory")
}
"""Protocols where a put is atomic, and the package of each."""

FILE_SYSTEMS = {
    "file": "fsspec",
    **{"sftp": "paramiko", "ssh": "paramiko"},
    **{"smb": "smbprotocol", "hdfs": "pyarrow"},
}
"""Protocols where a rename is atomic, and the package of each."""

PACKAGES = {**OBJECT_STORES, **FILE_SYSTEMS}


class RemoteFolder:
    """A folder of files that are written once; it need not be there yet.

    Raises:
        InputError: No such protocol is known, its package is missing, or no folder is named.
        StoreError: The machine cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.url = without_secrets(url).rstrip("/")
        self._given = url
        self._protocol = url.partition("://")[0]
        self._system, path = self._open(url)
        self._root = path.rstrip("/")
        if not self._root:
            raise InputError(
                f"expected a folder, as in s3://bucket/features, received "
                f"remote_cache={self.url}://: name one"
            )
        self._made: set[str] = set()

    def _open(self, url: str) -> tuple[Any, str]:
        if self._protocol not in PACKAGES or "::" in url:
            raise InputError(
                f"expected remote_cache as a URL with one of {', '.join(PACKAGES)} before ://, "
                f"received remote_cache={self.url}{'; no chain with ::' if '::' in url else ''}"
            )
        from fsspec.core import url_to_fs  # only those who have URLs pay for it

        try:
            with self._told("reach", ""):
                system, path = url_to_fs(url)
        except ImportError as error:
            package = PACKAGES[self._protocol]
            raise InputError(
                f"expected the package {package} for {self.url}, which is not installed: "
                f"pip install {package}"
            ) from error
        return system, str(path)

    def place(self, path: str) -> str:
        """Return the URL of something in it, to be shown."""
        return f"{self.url}/{path}" if path else self.url

    def sizes(self, folder: str = "") -> dict[str, int] | None:
        """Return the names in a folder with their sizes in bytes; None where no such folder is.

        Raises StoreError if it cannot be listed.
        """
        path = f"{self._root}/{folder}".rstrip("/")
        try:
            with self._told("list", folder):
                self._system.invalidate_cache()
                entries = self._system.ls(path, detail=True)
        except FileNotFoundError:
            return None
        if any(entry["type"] == "file" and entry["name"] == path for entry in entries):
            raise StoreError(f"expected a folder, received a file: {self.place(folder)}")
        names = (entry["name"].rstrip("/").rpartition("/")[2] for entry in entries)
        sizes = (int(entry.get("size") or 0) for entry in entries)
        return dict(zip(names, sizes, strict=True))

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes; None where it is not. Raises StoreError if it cannot be read."""
        try:
            with self._told("read", path):
                return bytes(self._system.cat_file(f"{self._root}/{path}"))
        except FileNotFoundError:
            return None

    def publish(self, path: str, data: bytes) -> None:
        """Let a file appear: whole, or not at all; raises StoreError if it cannot be written.

        The path is a folder's name and the file's, which nobody gives to something else.
        """
        try:
            with self._told("write", path):
                if self._protocol in OBJECT_STORES:
                    self._system.pipe_file(f"{self._root}/{path}", data)
                else:
                    self._publish_renamed(path, data)
        except FileNotFoundError as error:  # no such bucket, say
            raise self._error("write", path, error) from error

    def _publish_renamed(self, path: str, data: bytes) -> None:
        folder, _, name = f"{self._root}/{path}".rpartition("/")
        temporary = f"{folder}/{TEMPORARY_PREFIX}{uuid.uuid4().hex}-{name}"
        if folder not in self._made:
            self._system.makedirs(folder, exist_ok=True)
            self._made.add(folder)
        try:
            self._system.pipe_file(temporary, data)
            self._sync(temporary)
            self._system.mv(temporary, f"{folder}/{name}")
            self._sync(folder)
        except BaseException:
            with suppress(*failures()):  # what went wrong before matters more
                self._system.rm_file(temporary)
            raise

    def _sync(self, path: str) -> None:
        """Make durable what a crash of this machine could take; others have their own way."""
        if self._protocol == "file":
            fsync(Path(path))

    @contextmanager
    def _told(self, doing: str, path: str) -> Iterator[None]:
        """Tell failures in one sentence; that something is not there passes as it is."""
        try:
            yield
        except (FileNotFoundError, ImportError):
            raise
        except failures() as error:
            raise self._error(doing, path, error) from error

    def _error(self, doing: str, path: str, error: BaseException) -> StoreError:
        return StoreError(
            f"cannot {doing} {self.place(path)}: {reason_of(error, self._given)}; check "
            f"--remote-cache, the connection and what you are allowed to do there, or leave it out"
        )
