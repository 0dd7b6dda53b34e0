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
from dataclasses import dataclass, fields
from errno import ENOENT
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.config import USUAL, DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.archives import ArchiveFiles, TarFiles, ZipFiles, refuse_unread
from pipeline.images.files import (
    OUTSIDE,
    Files,
    ListedFiles,
    LocalFiles,
    leads_out,
    not_readable,
    read_file,
)
from pipeline.images.folders import read_folders
from pipeline.images.identity import NO_STAMP, Identities, Stamp, stacked, stamp_of_stat
from pipeline.images.layout import ROWS, check_layout
from pipeline.images.location import FOLDER, MANIFESTS, ZIP, Location, archive_kind, locate
from pipeline.images.readings import LISTED as LIST
from pipeline.images.readings import Reading
from pipeline.images.remote import RemoteFiles, open_remote
from pipeline.images.tables.folders import SHARD, TablePart, tables_in
from pipeline.images.tables.manifest import TableRow
from pipeline.images.tables.parquet import ParquetFiles, open_columns, read_parquet
from pipeline.images.tables.scan import FoundTable, refuse_settings, scan_table, scan_tables
from pipeline.images.walk import Listing, LocalTree, NamedTree, Tree
from pipeline.system.files import expanded
from pipeline.system.units import counted, named

_OF_POOLS = ("path_column", "root", "seed")
"""Settings that mean something without labels; the seed draws more than splits."""


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


def scan(
    location: str | Path,
    config: DataConfig = USUAL,
    *,
    confined: bool = False,
    labelled: bool = True,
) -> Source:
    """List the labelled pictures of a location.

    Args:
        location: A folder, archive, manifest, or URL of one.
        config: How to read it; what it leaves out is read off what is there.
        confined: Whether to leave out what links and tables have elsewhere.
        labelled: Whether labels, splits and groups are read; else all pictures are taken as they
            lie, with texts without meaning for labels.

    Returns:
        The pictures with labels and given splits, rows ordered by path.

    Raises:
        InputError: If the location is missing or cannot be listed.
        DataError: If nothing can be learnt from what is there; the message says how to mend it.
    """
    place = locate(location)
    if not labelled:
        _refuse_labels(config)
    if place.kind in MANIFESTS:
        table = scan_table(place, config, labelled=labelled)
        return _from_table(place, table, config, confined, labelled)
    local = place.kind == FOLDER and not place.remote
    loose = local and not labelled and LocalTree(place.path).walk(())[0]
    if local and not loose and (tables := _tables_of(place)):
        table = scan_tables(place, tables, config, labelled=labelled)
        return _from_table(place, table, config, confined, labelled)
    refuse_settings(place.given, config, table=False)
    assemble = _assemble if labelled else _assemble_pool
    if local:
        return assemble(place, LocalFiles(place.path), LocalTree(place.path, confined), config)
    files = RemoteFiles(place) if place.kind == FOLDER else open_archive(place)
    tree = NamedTree(files.names, files.odd, files.is_picture)
    return assemble(place, files, tree, config)


def _refuse_labels(config: DataConfig) -> None:
    """Raise InputError where a setting says something of labels, splits or groups."""
    for field in fields(DataConfig):
        name, value = field.name, getattr(config, field.name)
        if name not in _OF_POOLS and value != field.default:
            raise InputError(
                f"expected no {name} with pictures that are taken without labels, received "
                f"{name}={value!r}: leave it out"
            )


def _assemble_pool(place: Location, files: Files, tree: Tree, config: DataConfig) -> Source:
    """Take all pictures as they lie."""
    found, others = tree.walk(())
    if not found:
        refuse_unread(place.given, tree)
        raise DataError(f"expected pictures in {place.given}, received none: check the path")
    return pictures_at(place.text, files, sorted(found), place.name, sorted(others))


def pictures_at(
    location: str,
    files: Files,
    paths: Sequence[str],
    name: str = "",
    ignored: Sequence[str] = (),
) -> Source:
    """Return pictures of a place without labels, splits and groups, as a source."""
    rows = [(path, "", None, None) for path in paths]
    return _source((location, name), files, rows, Reading(LIST), ignored)


def _source(
    place: tuple[str, str],
    files: Files,
    rows: Iterable[tuple[str, str, str | None, str | None]],
    reading: Reading,
    ignored: Sequence[str] = (),
    unreadable: dict[str, str] | None = None,
) -> Source:
    """Return rows of path, label, split and group, ordered by path, as a source.

    The place is its text and its short name.
    """
    paths, labels, splits, groups = list(zip(*rows, strict=True)) or [()] * 4
    return Source(
        location=place[0],
        name=place[1],
        files=files,
        paths=paths,
        labels=labels,
        splits=splits,
        groups=groups if any(groups) else None,
        ignored=tuple(ignored),
        reading=reading,
        unreadable=unreadable or {},
    )


def _tables_of(place: Location) -> list[TablePart]:
    """Return the tables that a folder is made of; refuse pictures inside and beside them."""
    tables = tables_in(place.path)
    if not tables or not tables[0].path.lower().endswith(SHARD):
        return tables
    if pictures := LocalTree(place.path).walk(())[0]:
        if not any(read_parquet(str(place.path / part.path)).pictures for part in tables):
            return []
        raise InputError(
            f"more than one reading fits {place.given}: there are tables with pictures inside, "
            f"{named([part.path for part in tables])}, and {counted(len(pictures), 'picture')} in "
            f"folders, e.g. {pictures[0]}; give a table by its own path, or move the tables out of "
            f"the folder"
        )
    return tables


def open_archive(place: Location) -> ArchiveFiles:
    """Open a .zip or .tar file; raises InputError where it cannot be read in place."""
    kind: type[ArchiveFiles] = ZipFiles if place.kind == ZIP else TarFiles
    file, stamp = open_remote(place) if place.remote else _open_local(place.path)
    try:
        files = kind(place.given, file, stamp)
        files.where = place.url  # to be opened again on another machine
        return files
    except BaseException:
        file.close()
        raise


class PlacedFiles(Files):
    """Local files by their whole paths; in an archive, its path and the picture's in it."""

    waits = False

    def __init__(self) -> None:
        self._archives: dict[Path, ArchiveFiles] = {}

    def read(self, path: str) -> bytes:
        """Return a picture's bytes; raises OSError, and InputError for an archive that is none."""
        try:
            return read_file(path)
        except NotADirectoryError:
            archive = next(parent for parent in Path(path).parents if parent.is_file())
            if archive_kind(archive) is None:
                raise
        files = self._archives.get(archive)
        if files is None:
            files = self._archives[archive] = open_archive(locate(archive))
        within = Path(path).relative_to(archive).as_posix()
        if within not in files.names:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        return files.read(within)

    def identities(self, paths: Sequence[str]) -> Identities:
        """Say nothing of them: they are read anew."""
        return stacked([NO_STAMP] * len(paths))


def _open_local(path: Path) -> tuple[BinaryIO, Stamp]:
    now = time.time_ns()
    try:
        file = path.open("rb")
    except OSError as error:
        raise not_readable(path, error) from error
    return file, stamp_of_stat(os.fstat(file.fileno()), now)


def _from_table(
    place: Location, found: FoundTable, config: DataConfig, confined: bool, labelled: bool
) -> Source:
    rows, unreadable = found.rows, found.unreadable
    if confined and isinstance(found.files, ListedFiles):
        root = found.files.root
        unreadable |= {row.path: OUTSIDE for row in rows if leads_out(root, root / row.path)}
    if labelled:
        check_layout(place.given, _by_class(rows), ROWS, config.min_per_class)
    told = [row[1:] for row in rows]
    where = (place.text, place.name)
    return _source(where, found.files, told, found.reading, unreadable=unreadable)


def _by_class(rows: Iterable[TableRow]) -> list[Listing]:
    paths: dict[tuple[str, str | None], list[str]] = {}
    for row in rows:
        paths.setdefault((row.label, row.split), []).append(row.path)
    return [Listing(label, split, tuple(those), ()) for (label, split), those in paths.items()]


def _assemble(place: Location, files: Files, tree: Tree, config: DataConfig) -> Source:
    found, reading = read_folders(place.given, tree, config, files.read)
    rows = [(path, part.label, part.split, part.group) for part in found for path in part.pictures]
    rows.sort(key=itemgetter(0))
    ignored = sorted(path for part in found for path in part.ignored)
    return _source((place.text, place.name), files, rows, reading, ignored)


LOCAL, LISTED, REMOTE, ARCHIVE, INSIDE = "local", "listed", "remote", "archive", "inside"

OPEN_ARCHIVES = 4


def sent_files(files: Files, paths: Sequence[str]) -> dict[str, Any]:
    """Return plain values from which `opened_files` opens a source's files that will be read.

    They name places: whoever opens them must reach the same folder, archive or URL. Raises
    InputError if they are in this process only.
    """
    if isinstance(files, ListedFiles):
        return {"kind": LISTED, "where": _absolute(files.root), "rows": files.rows_of(paths)}
    if isinstance(files, LocalFiles):
        return {"kind": LOCAL, "where": _absolute(files.root)}
    if isinstance(files, ParquetFiles):
        places = [(_absolute(where), *rest) for where, *rest in files.places]
        return {"kind": INSIDE, "where": places, "rows": files.rows_of(paths)}
    if isinstance(files, RemoteFiles):
        return {"kind": REMOTE, "where": files.where, "names": files.names_of(paths)}
    if isinstance(files, ArchiveFiles):
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
        return RemoteFiles.named(Location(where, where, where, where, FOLDER, True), sent["names"])
    if kind == INSIDE:
        return ParquetFiles(
            open_columns(where), {name: tuple(at) for name, at in sent["rows"].items()}
        )
    return _archive(where, sent["stamp"])


@lru_cache(OPEN_ARCHIVES)
def _archive(where: str, stamp: str) -> Files:
    """Open an archive, or go on with it while it is the same: its table of contents takes time."""
    return open_archive(locate(where))


def _absolute(place: str | Path) -> str:
    text = str(place)
    return text if "://" in text else os.path.abspath(expanded(text))
