"""Which column of a table says the splits, and what its values mean."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import InputError
from pipeline.images.names import SPLIT_NAMES
from pipeline.images.splitwords import split_named, splits_named
from pipeline.images.tables.column_names import MOST_NAMED, NONE, SPLIT, says, split_of_yes
from pipeline.images.tables.one_hot import is_yes
from pipeline.images.tables.text import TableContent
from pipeline.system.units import named

_MOST_SPLITS = 12
_FEW = 3
_SOUNDS_SO = re.compile(r"(?i)train|test|val|dev|hold")


@dataclass(frozen=True)
class SplitColumn:
    """A column that says the splits.

    Args:
        at: Where it stands.
        splits: What its values mean; values that are no splits are not there.
    """

    at: int
    splits: Mapping[str, str]


def choose_split(
    where: str, table: TableContent, among: Sequence[int], known: int | None, *, none: bool
) -> SplitColumn | None:
    """Return the column of splits, where there is one.

    Args:
        where: The table, as the user named it.
        table: What is in it.
        among: Columns that have no other role.
        known: The one that it is, where that was typed or is its name.
        none: Whether it was said that no column is.

    Raises:
        InputError: Several columns may be it, or one may or may not.
    """
    if none:
        return None
    if known is not None:
        return SplitColumn(known, _meant(table, known))
    found: list[SplitColumn] = []
    odd: list[int] = []
    for at in (at for at in among if at not in table.pictures):
        values = table.distinct(at, _MOST_SPLITS)
        meant = _meant(table, at) if 0 < len(values) <= _MOST_SPLITS else {}
        if values and all(value in meant for value in values):
            found.append(SplitColumn(at, meant))
        elif _may_be_split(table.header[at], values):
            odd.append(at)
    if found and not odd and all(_same(table, found[0], other) for other in found[1:]):
        return found[0]
    if found or odd:
        raise _question(where, table, sorted([*(one.at for one in found), *odd]))
    return None


def _meant(table: TableContent, at: int) -> dict[str, str]:
    """Return what the values of a column mean, as far as they are splits."""
    values = table.distinct(at, len(table.records))
    word = split_of_yes(table.header[at])
    if word is not None and all(is_yes(value) is not None for value in values):
        yes = SPLIT_NAMES.get(word) or split_named(word) or "train"
        no = "train" if yes != "train" else "test"
        return {value: yes if is_yes(value) else no for value in values}
    if len(values) > _MOST_SPLITS:
        return {
            value: SPLIT_NAMES[value.lower()] for value in values if value.lower() in SPLIT_NAMES
        }
    return splits_named(values)


def _may_be_split(name: str, values: Sequence[str]) -> bool:
    """Say whether a column whose values are not all splits may be meant as the split."""
    if not 1 < len(values) <= _MOST_SPLITS:
        return False
    several = len(set(splits_named(values).values())) > 1
    called_so = says(SPLIT, name) and len(values) <= _FEW
    return several or called_so or all(map(_SOUNDS_SO.search, values))


def _same(table: TableContent, one: SplitColumn, other: SplitColumn) -> bool:
    return all(
        one.splits.get(record[one.at].strip()) == other.splits.get(record[other.at].strip())
        for record in table.records
    )


def _question(where: str, table: TableContent, columns: Sequence[int]) -> InputError:
    names = [table.header[at].strip() for at in columns]
    values = table.distinct(columns[0], _MOST_SPLITS)
    ways = [f"--split-column {shlex.quote(name)}" for name in names[:MOST_NAMED]]
    return InputError(
        f"expected one column of splits in {where} whose values are train, validation and test, "
        f"received {named(names, MOST_NAMED)}, the first with {named(values)}: say which with "
        f"{' or '.join(ways)} (after writing these values so), or --split-column {NONE}, and the "
        "split is drawn"
    )
