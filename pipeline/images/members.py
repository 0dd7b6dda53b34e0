"""What the names inside an archive mean: paths, in whatever way they were written."""

import logging
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from typing import TypeVar

from pipeline.errors import InputError
from pipeline.images.names import inner_path, is_clutter, is_picture_name, may_be_picture_name
from pipeline.system.units import counted, named

logger = logging.getLogger(__name__)

_UTF_8 = 0x800

Member = TypeVar("Member")


def by_path(
    where: str, members: Iterable[tuple[str, Member]], same: Callable[[Member, Member], bool]
) -> tuple[dict[str, Member], tuple[str, ...]]:
    """Return the members by the paths that their names mean, and the names that lead outside.

    Raises:
        InputError: Two pictures of different contents have one path.
    """
    found: dict[str, Member] = {}
    odd, copies, different = [], 0, dict[str, None]()
    for name, member in members:
        path = inner_path(name)
        if path is None:
            odd.append(name)
            continue
        if path in found and _counts(path):
            if same(found[path], member):
                copies += 1
            else:
                different[path] = None
        found[path] = member
    if different:
        raise InputError(
            f"expected every name once in {where}, received {named(different)} more than once with "
            f"different contents: unpack it, keep those that are meant, and pack them again"
        )
    if copies:
        logger.warning(
            "%s in %s again under a name that was there before, with the same content: each counts "
            "once",
            f"{counted(copies, 'file')} {'is' if copies == 1 else 'are'}",
            where,
        )
    return found, tuple(odd)


def _counts(path: str) -> bool:
    """Say whether it matters what is at a path."""
    name_says = is_picture_name(path) or may_be_picture_name(path)
    return name_says and not any(map(is_clutter, path.split("/")))


def slashed(name: str) -> str:
    """Write a path as archives should: some made on Windows have the other slash."""
    return name.replace("\\", "/")


def zip_members(where: str, infos: Iterable[zipfile.ZipInfo]) -> list[tuple[str, zipfile.ZipInfo]]:
    """Return all but folders by their names, and tell where these are a guess."""
    members, guessed = [], []
    for info in infos:
        known = _unicode_name(info)
        name = known or info.filename
        if known is None:
            guessed.append(name)
        # In code pages of two bytes a character, one of them may be that of the other slash.
        if known is not None or "/" not in name:
            name = slashed(name)
        if not name.endswith("/"):
            members.append((name, info))
    if guessed:
        logger.warning(
            "%s does not say how its names are written, and they are not UTF-8, e.g. %r: they are "
            "read as the code page 437, so that classes may have odd names; pack it again with "
            "UTF-8 names",
            where,
            guessed[0],
        )
    return members


_UNICODE_PATH = 0x7075


def _unicode_name(info: zipfile.ZipInfo) -> str | None:
    """Return the name of a member; None if it is written in a code page that nobody names."""
    if info.flag_bits & _UTF_8 or info.filename.isascii():
        return info.filename
    raw = info.orig_filename.encode("cp437")
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        # A version, the CRC-32 of the name that this one replaces, the name.
        if kind == _UNICODE_PATH and body[1:5] == struct.pack("<I", zlib.crc32(raw)):
            raw = body[5:]
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
