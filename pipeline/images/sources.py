"""Find labelled pictures, and say what is wrong with a source of them.

A source is a folder ``ROOT/{train,validation|valid|val,test}/<class>/…`` or ``ROOT/<class>/…``;
folders whose file names hold the labels (``cat.0.jpg``), with or without split folders; a .zip or
.tar file of any of these; a .csv, .tsv or .parquet file of paths and labels; or an fsspec URL of
any of these. Folders inside a class folder belong to the class. Pictures are told by suffix, none
is opened here; one in a format that cannot be decoded still counts, so that it is reported later
with its reason instead of vanishing now.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.config import USUAL, DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.archives import TarFiles, ZipFiles
from pipeline.images.files import Files, ListedFiles, LocalFiles
from pipeline.images.folders import FolderScan, unwrapped
from pipeline.images.identity import Stamp, stamp_of_stat
from pipeline.images.layout import ROWS, check_layout
from pipeline.images.location import FOLDER, MANIFESTS, ZIP, Location, locate
from pipeline.images.manifest import TableRow, read_manifest, why_unusable
from pipeline.images.readings import BY_FOLDER, BY_TABLE, Reading
from pipeline.images.remote import RemoteFiles, open_remote, read_remote
from pipeline.images.walk import Listing, LocalTree, NamedTree


@dataclass(frozen=True)
class Source:
    """The labelled pictures of one location; rows are ordered by path.

    Args:
        location: Where they are: a resolved absolute path, or a URL.
        name: Short name of that place.
        files: What reads them.
        paths: n paths relative to the location, with ``/``, sorted; a manifest's may be absolute.
        labels: n class names, row by row.
        splits: n times ``"train"``, ``"validation"``, ``"test"``, or None where no split is given.
        groups: n names of groups that must stay whole, None for a picture of its own; or None.
        ignored: What lies there and is not used, sorted; folders end in ``/``.
        reading: How it was read.
        unreadable: Reasons, by path, why some of ``paths`` cannot be read, as far as known.
    """

    location: str
    name: str
    files: Files
    paths: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str | None, ...]
    groups: tuple[str | None, ...] | None
    ignored: tuple[str, ...]
    reading: Reading
    unreadable: dict[str, str]


def scan(location: str | Path, config: DataConfig = USUAL) -> Source:
    """List the labelled pictures of a location.

    Args:
        location: A folder, archive, manifest, or URL of one.
        config: How to read it; what it leaves out is read off what is there.

    Returns:
        The pictures with labels and given splits, rows ordered by path.

    Raises:
        InputError: If the location is missing or cannot be listed.
        DataError: If nothing can be learnt from what is there; the message says how to mend it.
    """
    place = locate(location)
    if place.kind in MANIFESTS:
        return _scan_manifest(place, config)
    if place.kind == FOLDER and not place.remote:
        scanned = FolderScan(place.given, LocalTree(place.path))
        found = scanned.found(config.label_pattern, config.min_per_class)
        return _assemble(place, LocalFiles(place.path), found)
    files = RemoteFiles(place) if place.kind == FOLDER else open_archive(place)
    tree = NamedTree(files.names, files.odd)
    base = unwrapped(tree, config.label_pattern) if place.kind != FOLDER else ()
    scanned = FolderScan(place.given, tree, base)
    found = scanned.found(config.label_pattern, config.min_per_class)
    above = tree.list_folder(())[1] if base else Listing("", None, (), ())
    return _assemble(place, files, [*found, Listing("", None, (), above.ignored)])


def open_archive(place: Location) -> ZipFiles | TarFiles:
    """Open a .zip or .tar file; raises InputError where it cannot be read in place."""
    kind = ZipFiles if place.kind == ZIP else TarFiles
    file, stamp = open_remote(place) if place.remote else _open_local(place.path)
    try:
        return kind(place.given, file, stamp)
    except BaseException:
        file.close()
        raise


def _open_local(path: Path) -> tuple[BinaryIO, Stamp]:
    now = time.time_ns()
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    return file, stamp_of_stat(os.fstat(file.fileno()), now)


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot read {path}: {error.strerror}; make it readable")


def _scan_manifest(place: Location, config: DataConfig) -> Source:
    if config.label_pattern is not None:
        raise InputError(
            f"expected no label_pattern with {place.given}, whose rows hold the labels; received "
            f"label_pattern={config.label_pattern!r}: leave it out"
        )
    rows = sorted(_read_rows(place), key=lambda row: row.path)
    check_layout(place.given, _by_class(rows), ROWS, config.min_per_class)
    numbers = {row.path: row.number for row in rows}
    groups = tuple(row.group for row in rows)
    return Source(
        location=place.text,
        name=place.name,
        files=RemoteFiles(place, listed=False)
        if place.remote
        else ListedFiles(place.path.parent, numbers),
        paths=tuple(row.path for row in rows),
        labels=tuple(row.label for row in rows),
        splits=tuple(row.split for row in rows),
        groups=groups if any(groups) else None,
        ignored=(),
        reading=Reading(BY_TABLE),
        unreadable={
            row.path: f"{reason} (row {row.number})"
            for row in rows
            if (reason := why_unusable(row.path))
        },
    )


def _read_rows(place: Location) -> list[TableRow]:
    if place.remote:
        content, folder = read_remote(place), None
    else:
        folder = str(place.path.resolve().parent)
        try:
            content = place.path.read_bytes()
        except OSError as error:
            raise _unreadable(place.path, error) from error
    rows = read_manifest(place.given, place.kind, content, folder)
    if not rows:
        raise DataError(f"expected rows of pictures in {place.given}, received none: add some")
    return rows


def _by_class(rows: Iterable[TableRow]) -> list[Listing]:
    paths: dict[tuple[str, str | None], list[str]] = {}
    for row in rows:
        paths.setdefault((row.label, row.split), []).append(row.path)
    return [Listing(label, split, tuple(those), ()) for (label, split), those in paths.items()]


def _assemble(place: Location, files: Files, found: Iterable[Listing]) -> Source:
    found = list(found)
    rows = sorted((path, part.label, part.split) for part in found for path in part.pictures)
    return Source(
        location=place.text,
        name=place.name,
        files=files,
        paths=tuple(path for path, _, _ in rows),
        labels=tuple(label for _, label, _ in rows),
        splits=tuple(split for _, _, split in rows),
        groups=None,
        ignored=tuple(sorted(path for part in found for path in part.ignored)),
        reading=Reading(BY_FOLDER),
        unreadable={},
    )


LOCAL, LISTED, REMOTE, ARCHIVE = "local", "listed", "remote", "archive"

OPEN_ARCHIVES = 4


def sent_files(files: Files, paths: Sequence[str]) -> dict[str, Any]:
    """Return plain values from which `opened_files` opens some of a source's files anywhere.

    They name places: whoever opens them must reach the same folder, archive or URL.

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
