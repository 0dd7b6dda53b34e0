"""A table as it was read: columns of texts, before anything is known of what they say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from pipeline.errors import InputError
from pipeline.images.tables.column_names import SPLIT
from pipeline.system.units import named

_YES = frozenset(("1", "1.0", "true", "yes", "y", "t"))
_NO = frozenset(("0", "0.0", "-1", "-1.0", "false", "no", "n", "f"))
_MOST_MARKS = 4
"""Ways to write yes and no in one column."""


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
        said = {one: _yes_or_no(one) for one in islice(self.counts, _MOST_MARKS + 1)}
        if len(said) > _MOST_MARKS or None in said.values() or "" in self.values:
            return None
        return [bool(said[value]) for value in self.values] if said else None

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
        pairs = len(set(zip(self.values, other.values, strict=True)))
        return pairs == len(set(self.values)) == len(set(other.values))

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
    try:
        float(text)
    except ValueError:
        return False
    return True


def joined(where: str, parts: Sequence[tuple[str, str | None, TableContent]]) -> TableContent:
    """Put tables of the same columns, in any order, together.

    Args:
        where: What holds them, as the user named it.
        parts: Of each table the prefix of its paths, the word for its split or None, and its
            content. These words make a last column ``split``, unless the tables have one.

    Raises:
        InputError: They have different columns, or one column twice.
    """
    names = [column.name for column in parts[0][2].columns]
    for prefix, _, table in parts:
        others = [column.name for column in table.columns]
        if sorted(others) != sorted(set(names)):
            raise InputError(
                f"expected tables of the same columns in {where}, each once, received "
                f"{named(names)} in {parts[0][0].rstrip('/')} and {named(others)} in "
                f"{prefix.rstrip('/')}: give one of them by its file"
            )
    by_name = [{column.name: column for column in table.columns} for *_, table in parts]
    columns = [
        replace(one, values=[value for those in by_name for value in those[one.name].values])
        for one in parts[0][2].columns
    ]
    if any(split for _, split, _ in parts) and SPLIT not in map(str.lower, names):
        words = [split or "" for _, split, table in parts for _ in table.numbers]
        columns.append(TableColumn(SPLIT, words, made=True))
    folders = [prefix for prefix, _, table in parts for _ in table.numbers]
    return TableContent(columns, [at for *_, one in parts for at in one.numbers], folders)
