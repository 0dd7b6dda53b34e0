"""What tells, without reading a file, that it is still the one that was read before.

A file whose size, times and inode are unchanged has not changed, unless it was rewritten within
one tick of the file system's clock after it was looked at. So what changed shortly before it was
looked at is not settled, and what is not settled is not trusted: the rule by which git trusts its
index. Clocks tick coarsely (2 s on FAT), and those of other machines run differently.
"""

import hashlib
import os
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

LOCAL_SETTLE_NS = 2 * 10**9
REMOTE_SETTLE_NS = 3600 * 10**9
_LARGEST = 2**63 - 1

_ETAGS = ("ETag", "etag", "e_tag", "Content-MD5", "md5Hash", "md5", "checksum")
_TIMES = ("mtime", "modified", "LastModified", "last_modified", "updated", "Last-Modified")


@dataclass(frozen=True, eq=False)
class Identities:
    """Identities of n files, row by row.

    Args:
        values: int64 (n, k); the first column is the size in bytes.
        settled: bool (n,), whether equal values prove equal content.
    """

    values: np.ndarray
    settled: np.ndarray


class Stamp(NamedTuple):
    """The identity of one file: numbers, the size first, and whether they are settled."""

    values: tuple[int, ...]
    settled: bool


NO_STAMP = Stamp((0, 0, 0, 0), False)


def stamp_of_stat(status: os.stat_result, now: int) -> Stamp:
    """Return a local file's identity by its stat, and the clock in nanoseconds read before that."""
    changed = max(status.st_mtime_ns, status.st_ctime_ns)
    return Stamp(_values(status), changed < now - LOCAL_SETTLE_NS)


def _values(status: os.stat_result) -> tuple[int, ...]:
    times = (min(status.st_mtime_ns, _LARGEST), min(status.st_ctime_ns, _LARGEST))
    return (status.st_size, *times, status.st_ino & _LARGEST)


def local_identities(paths: Iterable[str]) -> Identities:
    """Return identities of local files; of one that is not there it is never settled."""
    now = time.time_ns()
    values: list[int] = []
    missing: list[int] = []
    for row, path in enumerate(paths):
        try:
            values += _values(os.stat(path))
        except (OSError, ValueError):
            values += NO_STAMP.values
            missing.append(row)
    found = np.array(values, np.int64).reshape(-1, 4)
    settled = found[:, 1:3].max(axis=1) < now - LOCAL_SETTLE_NS
    settled[missing] = False
    return Identities(found, settled)


def stamp_of_info(info: Mapping[str, Any], now: int) -> Stamp:
    """Return a remote file's identity from fsspec's dict, and the clock in nanoseconds read before.

    A strong entity tag or a checksum settles it; a time does once it is an hour old. Where there
    is neither, nothing does.
    """
    size = info.get("size")
    tag = next((str(info[key]) for key in _ETAGS if info.get(key)), "")
    when = next((_nanoseconds(info[key]) for key in _TIMES if info.get(key)), None)
    # A weak tag only says that two contents mean the same.
    strong = bool(tag) and not tag.startswith("W/")
    old = when is not None and when < now - REMOTE_SETTLE_NS
    settled = isinstance(size, int) and (strong or old)
    tag_numbers = struct.unpack_from(">2q", hashlib.sha256(tag.encode()).digest())
    return Stamp((int(size or 0), when or 0, *tag_numbers), settled)


def same_for_all(stamp: Stamp, own: Sequence[tuple[int, int]]) -> Identities:
    """Return identities of the members of a file, each with its size and, say, its checksum."""
    values = np.empty((len(own), 2 + len(stamp.values)), np.int64)
    values[:, :2] = np.array(own, np.int64).reshape(-1, 2)
    values[:, 2:] = stamp.values
    return Identities(values, np.full(len(own), stamp.settled))


def stacked(stamps: Sequence[Stamp]) -> Identities:
    """Return the identities of several files, row by row."""
    values = np.array([stamp.values for stamp in stamps], np.int64).reshape(-1, 4)
    return Identities(values, np.array([stamp.settled for stamp in stamps], bool))


def _nanoseconds(value: Any) -> int | None:
    """Return a time as nanoseconds since 1970; None for what is no time."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1e9)
    if isinstance(value, int | float):
        return int(value * 1e9)
    try:
        return int(datetime.fromisoformat(str(value)).timestamp() * 1e9)
    except ValueError:
        return None
