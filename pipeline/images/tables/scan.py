"""Read a table of pictures: its columns, the files that its paths mean, its reading."""

import os
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from pipeline.config import DataConfig
from pipeline.config.data import COLUMNS, LEVELS
from pipeline.errors import DataError, InputError
from pipeline.images.files import Files, ListedFiles, not_readable
from pipeline.images.layout import check_spelling
from pipeline.images.location import FOLDER, JSON, PARQUET, Location, locate, resolve_location
from pipeline.images.names import is_picture_name
from pipeline.images.readings import BY_TABLE, Reading
from pipeline.images.remote import RemoteFiles, read_remote
from pipeline.images.tables.annotations import json_hint
from pipeline.images.tables.column_names import GROUP, LABEL, PATH, SPLIT
from pipeline.images.tables.columns import ColumnChoice
from pipeline.images.tables.content import TableColumn, TableContent, joined
from pipeline.images.tables.folders import TablePart
from pipeline.images.tables.labels import check_no_measure, check_one_label
from pipeline.images.tables.manifest import TableRow, check_filled, table_rows, why_unusable
from pipeline.images.tables.parquet import ParquetFiles, PictureColumn, read_parquet
from pipeline.images.tables.paths import PathFinder
from pipeline.images.tables.text import read_text
from pipeline.system.units import named

N_EXAMPLES = 3
_MOST_NEAREST = 100
_MOST_ROOTS = 10


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


def scan_table(place: Location, config: DataConfig, *, labelled: bool = True) -> FoundTable:
    """Read the table at a location.

    Raises:
        InputError: It cannot be read as a table, or its columns or paths are unclear.
        DataError: A row says nothing, or says otherwise than another one.
    """
    refuse_settings(place.given, config, table=True)
    table = _content(place)
    return _found(place, table, {"": place.url}, config, labelled)


def scan_tables(
    place: Location, parts: Sequence[TablePart], config: DataConfig, *, labelled: bool = True
) -> FoundTable:
    """Read the tables that a folder is made of, as one.

    Raises:
        InputError: As `scan_table`; or they do not fit together.
        DataError: As `scan_table`.
    """
    refuse_settings(place.given, config, table=True)
    places = {part.prefix: str(place.path / part.path) for part in parts}
    contents = [_content(locate(path)) for path in places.values()]
    return _found(place, joined(place.given, parts, contents), places, config, labelled)


def _content(place: Location) -> TableContent:
    if place.kind == PARQUET:
        return read_parquet(place.url)
    if place.remote:
        content = read_remote(place)
    else:
        try:
            content = place.path.read_bytes()
        except OSError as error:
            raise not_readable(place.path, error) from error
    if place.kind == JSON:
        raise InputError(
            f"expected a table of paths and labels, received {place.given}, which is JSON: "
            f"{json_hint(content)}"
        )
    return read_text(place.given, place.kind, content)


def _found(
    place: Location,
    table: TableContent,
    shards: Mapping[str, str],
    config: DataConfig,
    labelled: bool,
) -> FoundTable:
    where, numbers = place.given, table.numbers
    if not numbers:
        raise DataError(f"expected rows of pictures in {where}, received none: add some")
    root = _root(place, config)
    finder = PathFinder(root) if "://" not in root else None
    look = finder.files_of if finder and table.folders is None else None
    choice = ColumnChoice(where, table, config, look)
    path, label = choice.path(), choice.label() if labelled else _no_label(numbers)
    check_filled(where, numbers, path, label)
    check_one_label(where, numbers, label)
    if config.label_column is None:
        check_no_measure(where, label)
    unreadable: dict[str, str] = {}
    if path.pictures and config.root is not None:
        raise InputError(
            f"expected no root with {where}, which holds the pictures themselves; received "
            f"root={config.root!r}: leave it out"
        )
    if path.pictures:
        paths, files = _inside(table, path, shards)
    else:
        typed = config.root is not None
        paths, files, unreadable = _located(where, table, path, label, finder or root, typed)
    split, group = (choice.split(paths), choice.group()) if labelled else (None, None)
    if group:
        check_spelling(where, "groups", group.counts)
    rows = table_rows(where, numbers, paths, label.values, split, group)
    names = {PATH: path, LABEL: label, SPLIT: split, GROUP: group}
    reading = Reading(
        BY_TABLE,
        splits=split.splits if split else {},
        columns={role: one.name for role, one in names.items() if one and not one.made},
    )
    return FoundTable(sorted(rows, key=attrgetter("path")), files, reading, unreadable)


def _no_label(numbers: Sequence[int]) -> TableColumn:
    """Return a column that says nothing, for pictures whose labels are not asked for."""
    return TableColumn(LABEL, [PATH] * len(numbers), made=True)


def _inside(
    table: TableContent, path: TableColumn, shards: Mapping[str, str]
) -> tuple[list[str], Files]:
    """Return the names of the pictures that lie in the tables themselves, and what reads them."""
    folders = table.folders or [""] * len(table.numbers)
    paths = list(map(str.__add__, folders, path.values))
    at = {folder: number for number, folder in enumerate(shards)}
    rows = zip(map(at.__getitem__, folders), table.numbers, strict=True)
    columns = [PictureColumn(shard, path.name) for shard in shards.values()]
    return paths, ParquetFiles(columns, dict(zip(paths, rows, strict=True)))


def _located(
    where: str,
    table: TableContent,
    path: TableColumn,
    label: TableColumn,
    root: PathFinder | str,
    typed: bool,
) -> tuple[list[str], Files, dict[str, str]]:
    """Return the files that the paths of a table mean, what reads them, and why some have none.

    Where the root was typed, one picture that is there is enough.
    """
    folders = table.folders or [""] * len(table.numbers)
    tidy = root.tidied if isinstance(root, PathFinder) else _tidied_remotely
    paths = list(map(tidy, path.values, folders))
    numbers = _numbered(paths, table.numbers)
    reasons: dict[str, str] = {}
    if isinstance(root, PathFinder):
        meant, lost = root.found(numbers)
        lost = {one: lost[one] for one in sorted(lost, key=numbers.__getitem__)}
        if several := {one: fits for one, fits in lost.items() if len(fits) > 1}:
            labels_differ = len(set(zip(paths, label.values, strict=True))) > len(numbers)
            raise _ambiguous(where, root, several, numbers, labels_differ)
        if lost and len(lost) >= len(numbers) * (1 if typed else 0.5):
            raise _not_there(where, root, lost, numbers, path.name)
        for at, (one, fits) in enumerate(lost.items()):
            near = root.nearest(one) if at < _MOST_NEAREST and not fits else None
            told = f"; nearest: {near}" if near else f"; {fits[0]} is another row's" if fits else ""
            reasons[one] = f"No such file or directory{told}"
        paths = [meant.get(one, one) for one in paths]
        numbers = _numbered(paths, table.numbers)
    reasons |= {one: why for one in numbers if (why := why_unusable(one))}
    unreadable = {one: f"{why} (row {numbers[one]})" for one, why in reasons.items()}
    if isinstance(root, PathFinder):
        return paths, ListedFiles(Path(root.root), numbers), unreadable
    # The place of a file in the folder, which need not be there.
    return paths, RemoteFiles(locate(f"{root.rstrip('/')}/_"), listed=False), unreadable


def _numbered(paths: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
    """Return the first row of each path."""
    return dict(zip(reversed(paths), reversed(numbers), strict=True))


def _root(place: Location, config: DataConfig) -> str:
    """Return the folder or URL that paths are relative to."""
    if config.root is None:
        if place.remote:
            return place.url.rpartition("/")[0]
        return os.path.realpath(place.path if place.kind == FOLDER else place.path.parent)
    resolved = resolve_location(config.root)
    root = config.root if "://" in resolved else resolved
    if "://" not in root and not os.path.isdir(root):
        raise InputError(
            f"expected a folder that the paths of {place.given} are relative to, received "
            f"root={config.root!r}, which is none: check the path"
        )
    return root


def _tidied_remotely(path: str, folder: str) -> str:
    return path if "://" in path else posixpath.normpath(folder + path)


def _not_there(
    where: str,
    finder: PathFinder,
    lost: Mapping[str, Sequence[str]],
    numbers: Mapping[str, int],
    column: str,
) -> InputError:
    first = list(lost)[:N_EXAMPLES]
    pictures = [file for file in finder.files if is_picture_name(file)]
    there = f"there is no picture below {finder.root}"
    if lost[first[0]]:
        there = f"several paths would mean {lost[first[0]][0]}"
    elif pictures:
        nearest = next(filter(None, map(finder.nearest, first)), pictures[0])
        there = f"what is there is called {nearest}"
    some = len(lost) < len(numbers)
    without = f"leave these rows out with --root {shlex.quote(str(finder.root))}, " if some else ""
    return InputError(
        f"expected the pictures of {where} below {finder.root}, but {len(lost)} of {len(numbers)} "
        f"are not there, e.g. {', '.join(f'{one!r} (row {numbers[one]})' for one in first)}; "
        f"{there}: say where they are with --root {shlex.quote(finder.elsewhere(first) or 'DIR')}, "
        f"{without}or mend the column {column!r}"
    )


def _ambiguous(
    where: str,
    finder: PathFinder,
    several: Mapping[str, Sequence[str]],
    numbers: Mapping[str, int],
    labels_differ: bool,
) -> InputError:
    """Return the question for the files of paths; a root is offered where it decides them all."""
    path, fits = next(iter(several.items()))
    folders = list(dict.fromkeys(map(posixpath.dirname, fits)))
    way_out = f"write the folders into the paths, such as {fits[0]}"
    if len(folders) < len(fits):
        way_out = "write names with their suffix into the table"
    elif not labels_differ:
        roots = [str(Path(finder.root, folder)) for folder in folders[:_MOST_ROOTS]]
        roots = [root for root in roots if PathFinder(root).files_of(numbers) is not None]
        ways = " or ".join(f"--root {shlex.quote(root)}" for root in roots[:N_EXAMPLES])
        way_out = f"say which folder they are in with {ways}, or {way_out}" if roots else way_out
    return InputError(
        f"expected one file for each path of {where}, but several fit {len(several)} of "
        f"{len(numbers)}, e.g. {named(fits)} for {path!r} (row {numbers[path]}): {way_out}"
    )
