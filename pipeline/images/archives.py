"""Pictures inside .zip and .tar files, read in place: nothing is ever unpacked to disk.

Members whose names would lead out of a folder are ignored. What cannot be read (encrypted,
damaged, larger than a GiB) is no picture, and has its reason.
"""

import lzma
import os
import posixpath
import tarfile
import threading
import weakref
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from errno import EIO
from typing import BinaryIO

from pipeline.errors import InputError
from pipeline.images.files import MAX_BYTES, Files
from pipeline.images.identity import Identities, Stamp, same_for_all
from pipeline.images.names import inner_path

_ZIP_FAILURES = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    NotImplementedError,  # a compression that Python does not know
    RuntimeError,
)
_ENCRYPTED = 0x1


class ZipFiles(Files):
    """The members of a .zip file.

    Args:
        where: The archive, as the user named it.
        file: The archive, open for reading and seekable.
        stamp: Its identity.

    Raises:
        InputError: It is no .zip file, or damaged.
    """

    waits = False

    def __init__(self, where: str, file: BinaryIO, stamp: Stamp) -> None:
        self.where = where
        self.stamp = stamp
        weakref.finalize(self, file.close)
        # ``ZipFile.open`` counts the open members, and does so without a lock of its own.
        self._counting = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(file)
        except (*_ZIP_FAILURES, OSError) as error:
            raise _no_archive(where, "zip", error) from error
        members = [info for info in self._zip.infolist() if not info.is_dir()]
        places = {info.filename: inner_path(info.filename) for info in members}
        self._members = {path: info for info in members if (path := places[info.filename])}
        self.names = tuple(self._members)
        self.odd = tuple(name for name, path in places.items() if path is None)

    def read(self, path: str) -> bytes:
        """Return a member's bytes; raises OSError with the reason."""
        info = self._members[path]
        if info.flag_bits & _ENCRYPTED:
            raise OSError(EIO, "encrypted in the archive")
        _check_size(info.file_size)
        try:
            return self._decompressed(info)
        except _ZIP_FAILURES as error:
            raise OSError(EIO, f"damaged in the archive: {error}") from error

    def _decompressed(self, info: zipfile.ZipInfo) -> bytes:
        with self._counting:
            member = self._zip.open(info)
        try:
            content = member.read()
        finally:
            with self._counting:
                member.close()
        if len(content) != info.file_size:
            raise EOFError(f"{len(content)} bytes of {info.file_size}")
        return content

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return sizes and checksums with the archive's own identity, row by row."""
        members = (self._members[path] for path in paths)
        return same_for_all(self.stamp, [(info.file_size, info.CRC) for info in members])


class TarFiles(Files):
    """The members of an uncompressed .tar file.

    Args:
        where: The archive, as the user named it.
        file: The archive, open for reading and seekable.
        stamp: Its identity.

    Raises:
        InputError: It is no .tar file, or damaged.
    """

    waits = False

    def __init__(self, where: str, file: BinaryIO, stamp: Stamp) -> None:
        self.where = where
        self.stamp = stamp
        weakref.finalize(self, file.close)
        self._read_at = _reader(file)
        members = _tar_members(where, file)
        self.odd = tuple(member.name for member in members if inner_path(member.name) is None)
        by_path = {path: member for member in members if (path := inner_path(member.name))}
        self._members = {path: _resolved(path, by_path) for path in by_path}
        self.names = tuple(self._members)

    def read(self, path: str) -> bytes:
        """Return a member's bytes; raises OSError with the reason."""
        member = self._members[path]
        if isinstance(member, str):
            raise OSError(EIO, member)
        _check_size(member.size)
        content = self._read_at(member.offset_data, member.size)
        if len(content) != member.size:
            raise OSError(EIO, "cut short in the archive")
        return content

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return sizes and places with the archive's own identity, row by row."""
        members = (self._members[path] for path in paths)
        return same_for_all(
            self.stamp, [(0, 0) if isinstance(m, str) else (m.size, m.offset_data) for m in members]
        )


def _tar_members(where: str, file: BinaryIO) -> list[tarfile.TarInfo]:
    """Return everything in a .tar file but its folders."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = [member for member in archive if not member.isdir()]
            file.seek(archive.offset)
            # tarfile takes whatever is no header for the end.
            rest = file.read(tarfile.BLOCKSIZE)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise _no_archive(where, "tar", error) from error
    if rest.strip(b"\0"):
        raise _no_archive(where, "tar", f"damaged after {len(members)} files")
    return members


def _resolved(path: str, members: Mapping[str, tarfile.TarInfo]) -> tarfile.TarInfo | str:
    """Return the file that a path is or that its links lead to, or why it cannot be read."""
    seen = set()
    while path not in seen:
        seen.add(path)
        member = members.get(path)
        if member is None:
            return "a link to what is not in the archive"
        if member.isreg():
            return "a sparse file in the archive" if member.issparse() else member
        if not member.islnk() and not member.issym():
            return "no file in the archive"
        above = "" if member.islnk() else posixpath.dirname(path)
        path = posixpath.normpath(posixpath.join(above, member.linkname))
    return "a link to itself in the archive"


def _reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    """Return what reads (offset, size), by several threads at once where the system can."""
    lock = threading.Lock()

    def read_locked(offset: int, size: int) -> bytes:
        with lock:
            file.seek(offset)
            return file.read(size)

    def read_at_once(offset: int, size: int) -> bytes:
        blocks = []
        while size and (block := os.pread(descriptor, size, offset)):
            blocks.append(block)
            offset, size = offset + len(block), size - len(block)
        return b"".join(blocks)

    try:
        descriptor = file.fileno()
    except OSError:
        return read_locked
    return read_at_once if hasattr(os, "pread") else read_locked


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(EIO, f"too large in the archive: {size:,} bytes, at most {MAX_BYTES:,}")


def _no_archive(where: str, kind: str, reason: object) -> InputError:
    return InputError(
        f"expected a .{kind} file, received {where}, which cannot be read as one ({reason}): make "
        "or fetch it again"
    )
