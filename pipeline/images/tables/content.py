"""A table as it was read: columns of texts, and what each is able to say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline.errors import InputError
from pipeline.images.names import is_picture_name
from pipeline.images.splitwords import splits_named
from pipeline.images.tables.column_names import SPLIT, split_of_yes
from pipeline.images.tables.folders import TablePart
from pipeline.system.units import named

_YES = frozenset(("1", "1.0", "true", "yes", "y", "t"))
_NO = frozenset(("0", "0.0", "-1", "-1.0", "false", "no", "n", "f"))
MOST_SPLITS = 12


@dataclass(frozen=True, eq=False)
class TableColumn:
    """One column of a table.

    Args:
        name: Its name.
        values: n values without blanks around them, row by row; empty where there is none.
        pictures: Whether it holds pictures themselves; the values are names for these.
        classes: Whether the file says that it holds classes.
        made: Whether it is in no file: the names of several tables said it.
    """

    name: str
    values: Sequence[str]
    pictures: bool = False
    classes: bool = False
    made: bool = False

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How often each value comes that is not empty, in the order of their first rows."""
        counts = Counter(self.values)
        del counts[""]
        return counts

    @cached_property
    def marks(self) -> Sequence[bool] | None:
        """What a column of yes and no, or of 1 and 0, says row by row; None of any other."""
        if "" in self.values or not self.has_few_values:
            return None
        said = {one: _yes_or_no(one) for one in self.counts}
        return None if None in said.values() else [bool(said[value]) for value in self.values]

    @cached_property
    def splits(self) -> Mapping[str, str]:
        """What its values mean where it says the splits; values that are no splits are not there.

        A column of yes and no says whether a row is of the split that it is called by.
        """
        yes = split_of_yes(self.name)
        if yes is None or self.marks is None:
            return splits_named(self.counts)
        no = "train" if yes != "train" else "test"
        marks = dict(zip(self.values, self.marks, strict=True))
        return {value: yes if mark else no for value, mark in marks.items()}

    @cached_property
    def has_few_values(self) -> bool:
        """Whether it has a value, and no more of them than a column of splits may have."""
        seen = {""}
        for value in self.values:
            seen.add(value)
            if len(seen) > 1 + MOST_SPLITS:
                return False
        return len(seen) > 1

    @cached_property
    def names_pictures(self) -> bool:
        """Whether every value is the name of a picture, by its suffix."""
        return all(map(is_picture_name, self.values))

    @property
    def comes_again(self) -> bool:
        """Whether it has several values, and one of them in two rows."""
        return len(self.counts) > 1 and max(self.counts.values()) > 1

    @property
    def in_words(self) -> bool:
        """Whether it holds words that come again, as classes do."""
        return self.comes_again and not any(map(is_number, self.counts))

    def divides_as(self, other: "TableColumn") -> bool:
        """Say whether two columns divide the rows alike, under whatever names."""
        return self.is_part_of(other) and other.is_part_of(self)

    def is_part_of(self, other: "TableColumn") -> bool:
        """Say whether each value comes with one value of another column only."""
        return len(set(zip(self.values, other.values, strict=True))) == len(set(self.values))


def _yes_or_no(value: str) -> bool | None:
    plain = value.lower()
    return True if plain in _YES else False if plain in _NO else None


@dataclass(frozen=True)
class TableContent:
    """A table as it was read.

    Args:
        columns: Its columns, with n rows.
        numbers: n row numbers in the file.
        folders: n folders that paths are relative to, as prefixes with ``/``; None where all are
            relative to one root.
    """

    columns: Sequence[TableColumn]
    numbers: Sequence[int]
    folders: Sequence[str] | None = None

    @property
    def pictures(self) -> list[TableColumn]:
        """The columns that hold pictures themselves."""
        return [column for column in self.columns if column.pictures]


def is_number(text: str) -> bool:
    """Say whether a text is one number."""
    with suppress(ValueError):
        float(text)
        return True
    return False


def joined(where: str, parts: Sequence[TablePart], tables: Sequence[TableContent]) -> TableContent:
    """Put tables of the same columns, in any order, together.

    The words for splits, in names of tables or folders, make a last column ``split``, unless the
    tables have one. Raises InputError if they have different columns, or one column twice.
    """
    by_name = [{column.name: column for column in table.columns} for table in tables]
    for part, columns, table in zip(parts, by_name, tables, strict=True):
        if columns.keys() != by_name[0].keys() or len(columns) < len(table.columns):
            raise InputError(
                f"expected tables of the same columns in {where}, each once, received "
                f"{named(by_name[0])} in {parts[0].path} and "
                f"{named([one.name for one in table.columns])} in {part.path}: give one of them by "
                "its file"
            )
    together = [
        replace(one, values=[value for columns in by_name for value in columns[name].values])
        for name, one in by_name[0].items()
    ]
    rows = [part for part, table in zip(parts, tables, strict=True) for _ in table.numbers]
    if any(part.split for part in parts) and SPLIT not in map(str.lower, by_name[0]):
        together.append(TableColumn(SPLIT, [part.split or "" for part in rows], made=True))
    numbers = [number for table in tables for number in table.numbers]
    return TableContent(together, numbers, [part.prefix for part in rows])
