"""Files of a source in another process: what to send of them, and how to open them there.

What is sent are plain values that name places; the bytes are read where they are wanted. Whoever
opens them must reach the same folder, archive or URL.
"""

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.images.archives import TarFiles, ZipFiles
from pipeline.images.location import FOLDER, Location, locate
from pipeline.images.reading import Files, ListedFiles, LocalFiles
from pipeline.images.remote import RemoteFiles
from pipeline.images.sources import open_archive

LOCAL, LISTED, REMOTE, ARCHIVE = "local", "listed", "remote", "archive"
OPEN_ARCHIVES = 4


def sent_files(files: Files, paths: Sequence[str]) -> dict[str, Any]:
    """Return plain values from which `opened_files` opens some of a source's files anywhere.

    Args:
        files: The files of a source.
        paths: Those that will be read.

    Raises:
        InputError: They are in this process only.
    """
    if isinstance(files, ListedFiles):
        return {"kind": LISTED, "where": _absolute(files.root), "rows": files.rows_of(paths)}
    if isinstance(files, LocalFiles):
        return {"kind": LOCAL, "where": _absolute(files.root)}
    if isinstance(files, RemoteFiles):
        return {"kind": REMOTE, "where": files.where, "names": files.names_of(paths)}
    if isinstance(files, ZipFiles | TarFiles):
        return {"kind": ARCHIVE, "where": _absolute(files.where), "stamp": str(files.stamp)}
    raise InputError(
        f"expected pictures in a folder, an archive or behind a URL for --cluster, received "
        f"{type(files).__name__.lstrip('_')} in the memory of this program; leave --cluster out"
    )


def opened_files(sent: Mapping[str, Any]) -> Files:
    """Open what `sent_files` described.

    Raises:
        InputError: The archive or the file system cannot be opened from here.
    """
    kind, where = sent["kind"], sent["where"]
    if kind == LISTED:
        return ListedFiles(Path(where), sent["rows"])
    if kind == LOCAL:
        return LocalFiles(Path(where))
    if kind == REMOTE:
        return RemoteFiles.named(Location(where, where, where, FOLDER, True), sent["names"])
    return _archive(where, sent["stamp"])


@lru_cache(OPEN_ARCHIVES)
def _archive(where: str, stamp: str) -> Files:
    """Open an archive, or go on with it while it is the same: its table of contents takes time."""
    return open_archive(locate(where))


def _absolute(place: str | Path) -> str:
    text = str(place)
    return text if "://" in text else os.path.abspath(os.path.expanduser(text))
