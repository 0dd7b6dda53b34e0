"""What says the splits: a column of words, columns of yes and no, or the folders of the paths."""

import posixpath
import re
import shlex
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from pipeline.errors import InputError
from pipeline.images.splitwords import split_named, splits_within
from pipeline.images.tables.column_names import AMOUNT, NONE, SPLIT, says, split_of_yes
from pipeline.images.tables.content import MOST_SPLITS, TableColumn
from pipeline.images.tables.labels import is_one_hot, one_hot
from pipeline.system.units import named

_N_TRIED = 200
_NO_WORDS = re.compile(r"[\W\d_]+")


def choose_split(
    where: str,
    numbers: Sequence[int],
    columns: Sequence[TableColumn],
    levels: Collection[TableColumn],
    labels: TableColumn,
) -> TableColumn | None:
    """Return what says the splits among columns without a role and `path_levels`; None if nothing.

    What follows from the labels, such as a folder for each, is no split.

    Raises:
        InputError: Several may be it, or one may or may not.
    """
    found: list[TableColumn] = []
    odd: list[TableColumn] = []
    hot = [one for one in columns if one.marks and split_of_yes(one.name)]
    if is_one_hot(hot):
        called = [replace(one, name=split_of_yes(one.name) or "") for one in hot]
        columns = [one for one in columns if one not in hot] + [one_hot(where, numbers, called)]
    for column in (*columns, *levels):
        if column.pictures or not column.has_few_values:
            continue
        said = column.values if column in levels else column.counts
        means = set(map(column.splits.get, said))
        if None in means and _may_be_split(column, labels):
            odd.append(column)
        elif None not in means and (len(means) > 1 or column not in levels):
            found.append(column)
    if odd or any(_splits(one) != _splits(found[0]) for one in found[1:]):
        raise _question(where, found, odd)
    return found[0] if found else None


def _may_be_split(column: TableColumn, labels: TableColumn) -> bool:
    """Say whether a column whose values are not all splits may be meant as the split."""
    if says(SPLIT, column.name) or split_of_yes(column.name):
        return len(set(column.values)) > 1
    if says(AMOUNT, column.name) and column.in_words:
        return not labels.is_part_of(column)
    if len(set(splits_within(column.counts).values())) > 1:
        return not column.divides_as(labels)
    return any(map(split_named, column.counts)) and not column.is_part_of(labels)


def _splits(column: TableColumn) -> list[str | None]:
    return list(map(column.splits.get, column.values))


def path_levels(name: str, paths: Sequence[str]) -> Iterator[TableColumn]:
    """Yield what may say the splits in a column of paths: folders at each level, names of files."""
    folders = [path.rpartition("/")[0] for path in paths]
    parts = {folder: folder.split("/") for folder in set(folders)}
    for level in range(max(map(len, parts.values()))):
        part = {folder: "".join(those[level : level + 1]) for folder, those in parts.items()}
        if len(set(part.values())) <= MOST_SPLITS + 1:
            yield TableColumn(name, [part[folder] for folder in folders])
    tried = set(map(_words, paths[:: max(1, len(paths) // _N_TRIED)]))
    if tried != {""} and len(tried) <= MOST_SPLITS:
        yield TableColumn(name, list(map(_words, paths)))


def _words(path: str) -> str:
    return _NO_WORDS.sub(" ", posixpath.splitext(posixpath.basename(path))[0]).strip()


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
