"""Read a table of pictures: its columns, the files that its paths mean, its reading."""

import os
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.config import DataConfig
from pipeline.config.data import COLUMNS, LEVELS
from pipeline.errors import DataError, InputError
from pipeline.images.files import Files, ListedFiles
from pipeline.images.location import FOLDER, JSON, PARQUET, Location, locate, resolve_location
from pipeline.images.names import is_picture_name
from pipeline.images.readings import BY_TABLE, Reading
from pipeline.images.remote import RemoteFiles, read_remote
from pipeline.images.tables.annotations import json_hint
from pipeline.images.tables.column_names import GROUP, LABEL, ONE_HOT, PATH, SPLIT
from pipeline.images.tables.columns import ColumnChoice, Columns
from pipeline.images.tables.folders import TablePart
from pipeline.images.tables.manifest import TableRow, distinct_rows, table_rows, why_unusable
from pipeline.images.tables.parquet import ParquetFiles, PictureColumn, read_parquet
from pipeline.images.tables.paths import Lost, PathFinder
from pipeline.images.tables.text import TableContent, joined, read_text
from pipeline.system.units import named

N_EXAMPLES = 3
_MOST_NEAREST = 100


@dataclass(frozen=True)
class FoundTable:
    """What a table says.

    Args:
        rows: Its pictures, one a path, sorted by path.
        files: What reads them.
        reading: How it was read.
        unreadable: Reasons, by path, why some of them cannot be read.
    """

    rows: Sequence[TableRow]
    files: Files
    reading: Reading
    unreadable: dict[str, str]


def refuse_settings(where: str, config: DataConfig, *, table: bool) -> None:
    """Refuse settings of tables for anything else, and of folders for tables.

    Raises:
        InputError: One is given; it would be ignored.
    """
    foreign = ("label_pattern", *LEVELS, "only") if table else (*COLUMNS, "root")
    why = "whose rows hold the labels" if table else "which is no table"
    for name in foreign:
        if (value := getattr(config, name)) is not None:
            raise InputError(
                f"expected no {name} with {where}, {why}; received {name}={value!r}: leave it out"
            )


def scan_table(place: Location, config: DataConfig) -> FoundTable:
    """Read the table at a location.

    Raises:
        InputError: It cannot be read as a table, or its columns or paths are unclear.
        DataError: A row says nothing, or says otherwise than another one.
    """
    refuse_settings(place.given, config, table=True)
    table = _content(place)
    return _found(place, table, {"": place.url}, config)


def scan_tables(place: Location, parts: Sequence[TablePart], config: DataConfig) -> FoundTable:
    """Read the tables that a folder is made of, as one.

    Raises:
        InputError: As `scan_table`; or they do not fit together.
        DataError: As `scan_table`.
    """
    refuse_settings(place.given, config, table=True)
    places = {part.prefix: str(place.path / part.path) for part in parts}
    contents = [_content(locate(path)) for path in places.values()]
    read = [(part.prefix, part.split, one) for part, one in zip(parts, contents, strict=True)]
    table = joined(place.given, read)
    found = _found(place, table, places, config)
    if len(table.header) == len(contents[0].header):
        return found
    # The column of splits is made of the names of the tables.
    named_so = {role: name for role, name in found.reading.columns.items() if role != SPLIT}
    return replace(found, reading=replace(found.reading, columns=named_so))


def _content(place: Location) -> TableContent:
    if place.kind == PARQUET:
        return read_parquet(place.url)
    if place.remote:
        content = read_remote(place)
    else:
        try:
            content = place.path.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot read {place.path}: {error.strerror}; make it readable"
            ) from error
    if place.kind == JSON:
        raise InputError(
            f"expected a table of paths and labels, received {place.given}, which is JSON: "
            f"{json_hint(content)}"
        )
    return read_text(place.given, place.kind, content)


def _found(
    place: Location, table: TableContent, shards: Mapping[str, str], config: DataConfig
) -> FoundTable:
    where = place.given
    if not table.records:
        raise DataError(f"expected rows of pictures in {where}, received none: add some")
    root = _root(place, config)
    finder = PathFinder(root) if "://" not in root else None
    look = finder.files_of if finder and table.folders is None else None
    columns = ColumnChoice(where, table, config, look).columns()
    reading = _reading(table, columns)
    if columns.path in table.pictures:
        if config.root is not None:
            raise InputError(
                f"expected no root with {where}, which holds the pictures themselves; received "
                f"root={config.root!r}: leave it out"
            )
        rows = sorted(table_rows(where, table, columns, str.__add__), key=_by_path)
        return FoundTable(rows, _inside(table, columns, shards), reading, {})
    rows = table_rows(where, table, columns, finder.tidied_in if finder else _tidied_remotely)
    unreadable: dict[str, str] = {}
    if finder:
        rows, unreadable = _with_files(where, finder, rows, reading.columns[PATH])
    rows = sorted(distinct_rows(where, rows), key=_by_path)
    numbers = {row.path: row.number for row in rows}
    for path in filter(why_unusable, numbers):
        unreadable[path] = f"{why_unusable(path)} (row {numbers[path]})"
    files = ListedFiles(Path(root), numbers) if finder else _remote_files(root)
    return FoundTable(rows, files, reading, unreadable)


def _by_path(row: TableRow) -> str:
    return row.path


def _inside(table: TableContent, columns: Columns, shards: Mapping[str, str]) -> ParquetFiles:
    """Return the pictures that lie in the tables themselves, whose paths are known by prefix."""
    column = table.header[columns.path]
    folders = table.folders or [""] * len(table.records)
    at = {folder: number for number, folder in enumerate(shards)}
    rows = {
        folder + record[columns.path]: (at[folder], number)
        for record, folder, number in zip(table.records, folders, table.numbers, strict=True)
    }
    return ParquetFiles([PictureColumn(shard, column) for shard in shards.values()], rows)


def _root(place: Location, config: DataConfig) -> str:
    """Return the folder or URL that paths are relative to."""
    if config.root is None:
        if place.remote:
            return place.url.rpartition("/")[0]
        return os.path.realpath(place.path if place.kind == FOLDER else place.path.parent)
    root = locate_root(config.root)
    if "://" not in root and not os.path.isdir(root):
        raise InputError(
            f"expected a folder that the paths of {place.given} are relative to, received "
            f"root={config.root!r}, which is none: check the path"
        )
    return root


def locate_root(root: str) -> str:
    """Return a root of paths in one way: the absolute path of a folder, or a URL as it is."""
    resolved = resolve_location(root)
    return root if "://" in resolved else resolved


def _remote_files(root: str) -> RemoteFiles:
    # The place of a file in the folder, which need not be there.
    return RemoteFiles(locate(f"{root.rstrip('/')}/_"), listed=False)


def _tidied_remotely(folder: str, path: str) -> str:
    return path if "://" in path else posixpath.normpath(folder + path)


def _with_files(
    where: str, finder: PathFinder, rows: list[TableRow], column: str
) -> tuple[list[TableRow], dict[str, str]]:
    """Let rows name the files that they mean; return them, and why some have none."""
    numbers = {row.path: row.number for row in reversed(rows)}
    meant, lost = finder.found(numbers)
    lost.sort(key=lambda one: numbers[one.path])
    near = {one.path: finder.nearest(one.path) for one in lost[:_MOST_NEAREST] if one.is_gone}
    lost = [replace(one, nearest=near.get(one.path)) for one in lost]
    several = [one for one in lost if one.fits]
    if several:
        raise _ambiguous(where, finder, several, numbers)
    if lost and 2 * len(lost) >= len(numbers):
        raise _not_there(where, finder, lost, numbers, column)
    if meant:
        rows = [replace(row, path=meant[row.path]) if row.path in meant else row for row in rows]
    return rows, {one.path: f"{one.reason} (row {numbers[one.path]})" for one in lost}


def _not_there(
    where: str, finder: PathFinder, lost: Sequence[Lost], numbers: Mapping[str, int], column: str
) -> InputError:
    examples = [f"{one.path!r} (row {numbers[one.path]})" for one in lost[:N_EXAMPLES]]
    pictures = [file for file in finder.files if is_picture_name(file)]
    there = f"there is no picture below {finder.root}"
    if lost[0].taken:
        there = f"several paths would mean {lost[0].taken}"
    elif pictures:
        nearest = next((one.nearest for one in lost if one.nearest), pictures[0])
        there = f"what is there is called {nearest}"
    root = finder.elsewhere([one.path for one in lost[:N_EXAMPLES]]) or "DIR"
    return InputError(
        f"expected the pictures of {where} below {finder.root}, but {len(lost)} of {len(numbers)} "
        f"are not there, e.g. {', '.join(examples)}; {there}: say where they are with --root "
        f"{shlex.quote(root)}, or mend the column {column!r}"
    )


def _ambiguous(
    where: str, finder: PathFinder, several: Sequence[Lost], numbers: Mapping[str, int]
) -> InputError:
    first = several[0]
    roots = [str(Path(finder.root, file).parent) for file in first.fits[:N_EXAMPLES]]
    ways = " or ".join(f"--root {shlex.quote(root)}" for root in dict.fromkeys(roots))
    way_out = f"say which folder they are in with {ways}, or write the folder into the paths"
    if len(set(roots)) < len(roots):
        way_out = "write names with their suffix into the table"
    return InputError(
        f"expected one file for each path of {where}, but several fit {len(several)} of "
        f"{len(numbers)}, e.g. {named(first.fits)} for {first.path!r} (row {numbers[first.path]}): "
        f"{way_out}"
    )


def _reading(table: TableContent, columns: Columns) -> Reading:
    header = [name.strip() for name in table.header]
    names: dict[str, str | None] = {
        PATH: header[columns.path],
        LABEL: ONE_HOT if columns.label is None else header[columns.label],
        SPLIT: header[columns.split.at] if columns.split else None,
        GROUP: None if columns.group is None else header[columns.group],
    }
    splits = columns.split.splits if columns.split else {}
    return Reading(
        BY_TABLE, splits=splits, columns={role: name for role, name in names.items() if name}
    )
