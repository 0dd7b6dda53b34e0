"""What says the splits: a column of words, columns of yes and no, or the folders of the paths."""

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from pipeline.errors import InputError
from pipeline.images.splitwords import split_named, splits_named, splits_within
from pipeline.images.tables.column_names import NONE, SPLIT, says, split_of_yes
from pipeline.images.tables.content import TableColumn
from pipeline.images.tables.labels import is_one_hot, one_hot
from pipeline.system.units import named

_MOST_SPLITS = 12
_N_TRIED = 200
_MARKS = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class SplitColumn:
    """What says the splits.

    Args:
        column: The words, row by row; those of a path are under the name of its column.
        splits: What its values mean; values that are no splits are not there.
    """

    column: TableColumn
    splits: Mapping[str, str]


def split_column(column: TableColumn) -> SplitColumn:
    """Return what the values of a column mean."""
    yes = split_of_yes(column.name)
    if yes is None or column.marks is None:
        return SplitColumn(column, splits_named(column.counts))
    no = "train" if yes != "train" else "test"
    marks = dict(zip(column.values, column.marks, strict=True))
    return SplitColumn(column, {value: yes if mark else no for value, mark in marks.items()})


def choose_split(
    where: str,
    numbers: Sequence[int],
    columns: Sequence[TableColumn],
    levels: Collection[TableColumn],
    labels: TableColumn,
) -> SplitColumn | None:
    """Return what says the splits; None where nothing does.

    Args:
        where: The table, as the user named it.
        numbers: Its n row numbers.
        columns: Columns that have no other role.
        levels: What the paths say, as `path_levels` returns it.
        labels: The labels. What follows from them, such as a folder for each, is no split.

    Raises:
        InputError: Several may be it, or one may or may not.
    """
    found: list[SplitColumn] = []
    odd: list[TableColumn] = []
    hot = [one for one in columns if one.marks and split_of_yes(one.name)]
    if is_one_hot(hot):
        meant = {one.name: split_of_yes(one.name) or "" for one in hot}
        found.append(SplitColumn(one_hot(where, numbers, hot), meant))
        columns = [one for one in columns if one not in hot]
    for column in (*columns, *levels):
        if column.pictures or not 0 < len(column.counts) <= _MOST_SPLITS:
            continue
        one = split_column(column)
        means = {one.splits.get(value) for value in column.counts}
        if column in levels and "" in column.values:
            means.add(None)
        if None in means and _may_be_split(column, labels):
            odd.append(column)
        elif None not in means and (len(means) > 1 or column not in levels):
            found.append(one)
    if odd or any(_splits(one) != _splits(found[0]) for one in found[1:]):
        raise _question(where, [one.column for one in found], odd)
    return found[0] if found else None


def _may_be_split(column: TableColumn, labels: TableColumn) -> bool:
    """Say whether a column whose values are not all splits may be meant as the split."""
    if says(SPLIT, column.name) or split_of_yes(column.name):
        return len(set(column.values)) > 1
    if len(set(splits_within(column.counts).values())) > 1:
        return not column.divides_as(labels)
    return any(map(split_named, column.counts)) and not column.is_part_of(labels)


def _splits(one: SplitColumn) -> list[str | None]:
    return [one.splits.get(value) for value in one.column.values]


def path_levels(name: str, paths: Sequence[str]) -> Iterator[TableColumn]:
    """Yield what may say the splits in the paths: their folders at each level, the files' names.

    Args:
        name: The column that holds the paths.
        paths: n paths, as they mean files.
    """
    folders = [posixpath.dirname(path) for path in paths]
    parts = {folder: folder.split("/") for folder in set(folders)}
    for level in zip_longest(*parts.values(), fillvalue=""):
        if len(set(level)) <= _MOST_SPLITS + 1:
            part = dict(zip(parts, level, strict=True))
            yield TableColumn(name, [part[folder] for folder in folders])
    if len(set(map(_words, paths[:_N_TRIED]))) <= _MOST_SPLITS:
        yield TableColumn(name, list(map(_words, paths)))


def _words(path: str) -> str:
    return _MARKS.sub(" ", posixpath.splitext(posixpath.basename(path))[0]).strip()


def _question(where: str, found: Sequence[TableColumn], odd: Sequence[TableColumn]) -> InputError:
    seen = "; ".join(f"{one.name!r} with {named(one.counts)}" for one in (*found, *odd))
    names = list(dict.fromkeys(one.name for one in found))
    flags = " or ".join(f"--split-column {shlex.quote(name)}" for name in names)
    ways = [f"say {flags}"] if names else []
    if odd or len(names) < len(found):
        ways = [*(ways if odd else ()), "write train, validation or test into a column split"]
    return InputError(
        f"expected one column of splits in {where} whose values are train, validation and test, "
        f"received {seen}: {', or '.join(ways)}, or say --split-column {NONE}, and the split is "
        "drawn"
    )
