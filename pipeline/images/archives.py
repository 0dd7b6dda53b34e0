"""Pictures inside .zip and .tar files, read in place: nothing is ever unpacked to disk.

Members whose names would lead out of a folder are ignored. What cannot be read (encrypted,
damaged, larger than a GiB) is no picture, and has its reason. An archive whose names mean two
things is refused.
"""

import bz2
import lzma
import os
import posixpath
import tarfile
import threading
import weakref
import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from errno import EIO
from typing import IO, BinaryIO, cast

from pipeline.errors import DataError, InputError
from pipeline.images.files import Files, check_size
from pipeline.images.identity import Identities, Stamp, same_for_all
from pipeline.images.members import by_path, slashed, zip_members
from pipeline.images.names import is_archive_name, is_picture_name
from pipeline.images.sniff import HEAD_BYTES, foreign_kind, is_picture
from pipeline.images.walk import Tree
from pipeline.system.units import counted, named

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
_IN = " in the archive"
# Of LZMA zipfile unpacks all that it has read: at most 7,000 times as much.
_STEP, _LZMA_STEP = 1 << 20, 1 << 12


class ArchiveFiles(Files):
    """The members of an archive, as the user named it, open and seekable, with its identity.

    Raises InputError if it is of another kind, or damaged.
    """

    waits = False
    names: tuple[str, ...]
    odd: tuple[str, ...]

    def __init__(self, where: str, file: BinaryIO, stamp: Stamp) -> None:
        self.where, self.stamp = where, stamp
        weakref.finalize(self, file.close)

    def is_picture(self, path: str) -> bool:
        """Say whether a member whose suffix nobody knows is a picture, by its first bytes."""
        try:
            return is_picture(self._head(path))
        except OSError:
            return False

    @abstractmethod
    def _head(self, path: str) -> bytes:
        """Return a member's first bytes; raises OSError."""


class ZipFiles(ArchiveFiles):
    """The members of a .zip file."""

    def __init__(self, where: str, file: BinaryIO, stamp: Stamp) -> None:
        super().__init__(where, file, stamp)
        # ``ZipFile.open`` counts the open members, and does so without a lock of its own.
        self._counting = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(file)
            volume = _is_volume(file)
        except (*_ZIP_FAILURES, OSError) as error:
            raise _no_archive(where, "zip", file, error) from error
        if volume:
            raise _no_archive(where, "zip", file, "its parts are numbered")
        members = zip_members(where, self._zip.infolist())
        _check_unlocked(where, members)
        self._members, self.odd = by_path(
            where, members, lambda a, b: (a.file_size, a.CRC) == (b.file_size, b.CRC)
        )
        self.names = tuple(self._members)

    def read(self, path: str) -> bytes:
        """Return a member's bytes; raises OSError with the reason."""
        info = self._members[path]
        check_size(info.file_size, _IN)
        content = self._beginning(info, info.file_size)
        if len(content) != info.file_size:
            raise _damaged(f"{len(content)} bytes of {info.file_size}")
        if zlib.crc32(content) != info.CRC:
            raise _damaged("its checksum does not hold")
        return content

    def _head(self, path: str) -> bytes:
        return self._beginning(self._members[path], HEAD_BYTES)

    def _beginning(self, info: zipfile.ZipInfo, size: int) -> bytes:
        """Return a member's first bytes, unpacked step by step: it may hold more than it says."""
        if info.flag_bits & _ENCRYPTED:
            raise OSError(EIO, "encrypted in the archive")
        content = bytearray()
        try:
            with self._opened(info) as member:
                step = _LZMA_STEP if info.compress_type == zipfile.ZIP_LZMA else _STEP
                while len(content) < size and (part := member.read(min(step, size))):
                    content += part
        except _ZIP_FAILURES as error:
            raise _damaged(error) from error
        except OSError as error:
            if error.errno:  # a file's failure has a number, a decompressor's has none
                raise
            raise _damaged(error) from error
        return bytes(content[:size])

    @contextmanager
    def _opened(self, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        """Open a member, to be unpacked as far as it is read."""
        bzipped = info.compress_type == zipfile.ZIP_BZIP2
        with self._counting:
            member = self._zip.open(_as_stored(info) if bzipped else info)
        try:
            yield cast(IO[bytes], bz2.BZ2File(member)) if bzipped else member
        finally:
            with self._counting:
                member.close()

    def identities(self, paths: Sequence[str]) -> Identities:
        """Return sizes and checksums with the archive's own identity, row by row."""
        members = (self._members[path] for path in paths)
        return same_for_all(self.stamp, [(info.file_size, info.CRC) for info in members])


def _damaged(what: object) -> OSError:
    return OSError(EIO, f"damaged in the archive: {what}")


def _as_stored(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    """Return what lets zipfile hand out a member as it is packed.

    Of bzip2 it unpacks all that it has read at once, and 4 KiB can become 4 GiB.
    """
    stored = copy(info)
    stored.compress_type, stored.file_size = zipfile.ZIP_STORED, info.compress_size
    del stored.CRC
    return stored


class TarFiles(ArchiveFiles):
    """The members of an uncompressed .tar file."""

    def __init__(self, where: str, file: BinaryIO, stamp: Stamp) -> None:
        super().__init__(where, file, stamp)
        self._read_at = _reader(file)
        members = [(slashed(member.name), member) for member in _tar_members(where, file)]
        found, self.odd = by_path(where, members, self._same)
        self._members = {path: _resolved(path, found) for path in found}
        self.names = tuple(self._members)

    def _same(self, one: tarfile.TarInfo, other: tarfile.TarInfo) -> bool:
        if not (one.isreg() and other.isreg()):
            return (one.type, one.linkname) == (other.type, other.linkname)
        contents = (self._read_at(each.offset_data, each.size) for each in (one, other))
        return one.size == other.size and next(contents) == next(contents)

    def _member(self, path: str) -> tarfile.TarInfo:
        member = self._members[path]
        if isinstance(member, str):
            raise OSError(EIO, member)
        return member

    def _head(self, path: str) -> bytes:
        member = self._member(path)
        return self._read_at(member.offset_data, min(member.size, HEAD_BYTES))

    def read(self, path: str) -> bytes:
        """Return a member's bytes; raises OSError with the reason."""
        member = self._member(path)
        check_size(member.size, _IN)
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
        raise _no_archive(where, "tar", file, error) from error
    if rest.strip(b"\0"):
        raise _no_archive(where, "tar", file, f"damaged after {len(members)} files")
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


def _check_unlocked(where: str, members: Sequence[tuple[str, zipfile.ZipInfo]]) -> None:
    """Refuse an archive whose pictures are all encrypted."""
    pictures = [info for name, info in members if is_picture_name(name)]
    if pictures and all(info.flag_bits & _ENCRYPTED for info in pictures):
        raise InputError(
            f"expected an archive without a password, received {where}, whose pictures are "
            f"encrypted: unpack it with its password, and give the folder"
        )


# Texts lie beside pictures, and are none that somebody means.
_TEXTS = (
    "",
    ".txt",
    ".md",
    ".csv",
    ".tsv",
    ".json",
    ".xml",
    ".yaml",
    ".yml",
    ".html",
    ".py",
    ".log",
)
_NIFTI = ".nii.gz"


def refuse_unread(where: str, tree: Tree) -> None:
    """Raise DataError if there is not one picture in a tree, but archives or files not read are."""
    pictures, others = tree.walk(())
    packed = sorted(name for name in others if is_archive_name(name) and _suffix(name) != _NIFTI)
    foreign = (_suffix(name) for name in others if not is_picture_name(name))
    n_of = Counter(suffix for suffix in foreign if suffix not in _TEXTS)
    if pictures:
        return
    if packed:
        raise DataError(
            f"expected pictures in {where}, received archives in it, {named(packed)}, and no "
            f"picture beside them: unpack them, and give the folder or the archive that then has "
            f"the pictures"
        )
    for suffix, n in n_of.most_common(1):
        example = min(name for name in others if _suffix(name) == suffix)
        raise DataError(
            f"expected pictures in {where}, received {counted(n, f'{suffix} file')}, e.g. "
            f"{example}, of a format that is not read here: convert them to PNG, JPEG or TIFF"
        )


def _suffix(name: str) -> str:
    lower = name.lower()
    return _NIFTI if lower.endswith(_NIFTI) else posixpath.splitext(lower)[1]


def _no_archive(where: str, kind: str, file: BinaryIO, reason: object) -> InputError:
    """Say what is wrong with an archive, as far as its first and last bytes tell."""
    try:
        volume = kind == "zip" and _is_volume(file)
        file.seek(0)
        other = foreign_kind(file.read(HEAD_BYTES))
    except OSError:  # which may be what went wrong
        volume, other = False, None
    way_out = "make or fetch it again"
    if volume:
        reason = "it is one of several volumes"
        way_out = "unpack all of them together, and give the folder"
    elif other is not None and other.lower() != kind:
        reason = f"by its content it is {other}"
        way_out = "unpack it, and give the folder" if other != "HTML" else "fetch it again"
    return InputError(
        f"expected a .{kind} file, received {where}, which cannot be read as one ({reason}): "
        f"{way_out}"
    )


_END, _END_BYTES = b"PK\x05\x06", 22 + (1 << 16)


def _is_volume(file: BinaryIO) -> bool:
    """Say whether the record that ends a .zip file has another number than the first volume's."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - _END_BYTES))
    tail = file.read()
    at = tail.rfind(_END)
    number = tail[at + 4 : at + 6] if at >= 0 else b""
    return number not in (b"", b"\0\0", b"\xff\xff")
