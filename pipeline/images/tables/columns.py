"""Which columns of a table say path, label, split and group; where two may, ask.

A name that is typed, or one of ``path``, ``label``, ``split``, ``group``, is taken. Otherwise a
column is taken where it is the only one that fits, by its name and by what is in it.
"""

import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pipeline.config import DataConfig
from pipeline.errors import InputError, UnknownNameError
from pipeline.images.names import is_picture_name
from pipeline.images.tables.column_names import (
    GROUP,
    LABEL,
    MOST_NAMED,
    NONE,
    ONE_HOT,
    PATH,
    ROLES,
    SPLIT,
    is_unnamed,
    plain_name,
    says,
    split_of_yes,
)
from pipeline.images.tables.one_hot import as_labels, check_one_label, is_one_hot, zero_one_columns
from pipeline.images.tables.split_columns import SplitColumn, choose_split
from pipeline.images.tables.text import TableContent, begins_with_a_row, headless
from pipeline.system.units import named

FindFiles = Callable[[Sequence[str]], Sequence[str] | None]
"""Returns the files that all of some paths mean, one each; None where one of them means none."""


@dataclass(frozen=True)
class Columns:
    """Which column of a table has which role.

    Args:
        path: Of the paths.
        labels: n labels, row by row.
        label: Of the labels; None where a 1 in one of several columns says them.
        split: Of the splits, and what its values mean; None where there is none.
        group: Of the groups; None where there are none.
    """

    path: int
    labels: Sequence[str]
    label: int | None
    split: SplitColumn | None
    group: int | None


class ColumnChoice:
    """Chooses the columns of one table.

    Args:
        where: The table, as the user named it.
        table: What is in it.
        config: What was typed.
        fits: Looks for files; None where that cannot be done here.
    """

    def __init__(
        self, where: str, table: TableContent, config: DataConfig, fits: FindFiles | None
    ) -> None:
        self._where, self._table, self._config, self._fits = where, table, config, fits
        self._names = [name.strip() for name in table.header]

    def columns(self) -> Columns:
        """Return the columns.

        Raises:
            InputError: None fits for path or label, or more than one does; a name is unknown.
            DataError: A row has several labels, or none.
        """
        self._refuse_one_for_two()
        split = self._typed(SPLIT)
        path = self._path(taken=self._known(LABEL, SPLIT, GROUP))
        label, labels = self._label({path, *self._known(SPLIT, GROUP)})
        check_one_label(self._where, self._table, labels)
        taken = {path, *([] if label is None else [label])}
        chosen = choose_split(
            self._where,
            self._table,
            self._others(taken | self._known(GROUP)),
            split if split is not None else self._canonical(SPLIT),
            none=self._config.split_column == NONE,
        )
        group = self._group(taken | ({chosen.at} if chosen else set()))
        return Columns(path, labels, label, chosen, group)

    def _refuse_one_for_two(self) -> None:
        roles: dict[int, str] = {}
        for role in ROLES:
            at = self._typed(role)
            if at is not None and roles.setdefault(at, role) != role:
                raise InputError(
                    f"expected a column of {self._where} to have one role, received "
                    f"{self._names[at]!r} as {roles[at]}_column and {role}_column: name another"
                )

    def _others(self, taken: Iterable[int]) -> list[int]:
        return [at for at in range(len(self._names)) if at not in set(taken)]

    def _typed(self, role: str) -> int | None:
        """Return the column that was named for a role."""
        name = getattr(self._config, f"{role}_column")
        if name is None or (name == NONE and role in (SPLIT, GROUP)):
            return None
        if role == LABEL and name == ONE_HOT and name not in self._names:
            return None
        for same in (str.strip, plain_name):
            found = [at for at, one in enumerate(self._names) if same(one) == same(name)]
            if len(found) == 1:
                return found[0]
        hint = f"{self._where} has {named(self._names, MOST_NAMED)}"
        raise UnknownNameError("column", name, self._names, hint)

    def _canonical(self, role: str) -> int | None:
        """Return the column that has the very name of a role."""
        found = [at for at, name in enumerate(self._names) if name.lower() == role]
        if len(found) > 1:
            raise InputError(
                f"expected one column {role} in {self._where}, received several: keep one"
            )
        return found[0] if found else None

    def _known(self, *roles: str) -> set[int]:
        """Return the columns that have a role for certain."""
        found = []
        for role in roles:
            typed = self._typed(role)
            unset = getattr(self._config, f"{role}_column") is None
            found.append(self._canonical(role) if typed is None and unset else typed)
        return {at for at in found if at is not None}

    def _path(self, taken: set[int]) -> int:
        known = self._known(PATH)
        if known:
            return known.pop()
        inside = [at for at in self._others(taken) if at in self._table.pictures]
        free = inside or [at for at in self._others(taken) if not is_unnamed(self._names[at])]
        candidates = [at for at in free if says(PATH, self._names[at])]
        if inside:
            candidates = candidates if len(candidates) == 1 else inside
        else:
            candidates = sorted({*candidates, *filter(self._holds_pictures, free)})
            candidates = self._with_files(candidates, free)
        if len(candidates) == 1:
            return candidates[0]
        raise self._unclear(PATH, "paths", candidates, free)

    def _holds_pictures(self, at: int) -> bool:
        """Say whether all values of a column are names of pictures."""
        records = self._table.records
        return bool(records) and all(is_picture_name(record[at].strip()) for record in records)

    def _with_files(self, candidates: list[int], free: list[int]) -> list[int]:
        """Return the candidates whose values are files; others that are, where none is."""
        if self._fits is None or not self._table.records:
            return candidates
        if len(candidates) == 1 and self._holds_pictures(candidates[0]):
            return candidates
        tried = [at for at in candidates if self._some_files(at)]
        others = [at for at in free if not says(LABEL, self._names[at]) and at not in candidates]
        tried = tried or [at for at in others if self._some_files(at)]
        if len(tried) < 2:
            return tried or candidates
        meant = [self._fits(self._table.column(at)) for at in tried]
        alike = all(files is not None and files == meant[0] for files in meant)
        return tried[:1] if alike else tried

    def _some_files(self, at: int) -> bool:
        values = self._table.distinct(at, 20)
        return bool(values) and self._fits is not None and self._fits(values) is not None

    def _label(self, taken: set[int]) -> tuple[int | None, Sequence[str]]:
        table = self._table
        typed = self._known(LABEL)
        if typed:
            at = typed.pop()
            return at, table.column(at)
        free = [at for at in self._others(taken) if not is_unnamed(self._names[at])]
        named_so = [at for at in free if at in table.named_classes or says(LABEL, self._names[at])]
        candidates = self._with_classes([at for at in named_so if at not in table.pictures])
        if not named_so and begins_with_a_row(table):
            raise headless(self._where, self._names)
        if not candidates and len(free) == 1 and self._in_words(free[0]):
            candidates = free
        marks = [at for at in zero_one_columns(table, free) if self._may_be_class(at, candidates)]
        if self._config.label_column == ONE_HOT or (not candidates and len(marks) > 1):
            return None, as_labels(self._where, table, marks)
        if candidates and is_one_hot(table, marks):
            return self._beside_one_hot(candidates, as_labels(self._where, table, marks))
        if len(candidates) == 1:
            return candidates[0], table.column(candidates[0])
        raise self._unclear(LABEL, "labels", candidates, free)

    def _may_be_class(self, at: int, candidates: list[int]) -> bool:
        name = self._names[at]
        return at not in candidates and split_of_yes(name) is None and not says(GROUP, name)

    def _with_classes(self, candidates: list[int]) -> list[int]:
        """Return the candidates that can be classes; of two that say the same, the one in words."""
        if len(candidates) < 2:
            return candidates
        n_rows = len(self._table.records)
        able = [at for at in candidates if 1 < len(self._table.distinct(at, n_rows)) < n_rows]
        candidates = able or candidates
        first = self._table.column(candidates[0])
        same = all(same_division(first, self._table.column(at)) for at in candidates[1:])
        words = [at for at in candidates if not all(map(_is_number, self._table.distinct(at, 50)))]
        return words if same and len(words) == 1 else candidates

    def _in_words(self, at: int) -> bool:
        """Say whether a column holds words that come again, as classes do."""
        n_rows = len(self._table.records)
        values = self._table.distinct(at, n_rows)
        return 1 < len(values) < n_rows and not any(map(_is_number, values))

    def _beside_one_hot(
        self, candidates: list[int], hot: Sequence[str]
    ) -> tuple[int | None, Sequence[str]]:
        columns = {at: self._table.column(at) for at in candidates}
        if len(candidates) == 1 and same_division(columns[candidates[0]], hot):
            return candidates[0], columns[candidates[0]]
        ways = [self._flag(LABEL, self._names[at]) for at in candidates]
        raise InputError(
            f"expected one way to say labels in {self._where}, received the column "
            f"{named([self._names[at] for at in candidates])} and a 1 in one of several columns in "
            f"every row: say which with {' or '.join([*ways, f'--label-column {ONE_HOT}'])}"
        )

    def _group(self, taken: set[int]) -> int | None:
        typed = self._typed(GROUP)
        if typed is not None or self._config.group_column == NONE:
            return typed
        canonical = self._canonical(GROUP)
        if canonical is not None:
            return canonical
        asked = [
            at
            for at in self._others(taken)
            if says(GROUP, self._names[at]) and self._comes_again(at)
        ]
        if not asked:
            return None
        ways = [self._flag(GROUP, self._names[at]) for at in asked[:MOST_NAMED]]
        raise InputError(
            f"expected to be told whether pictures of one {self._names[asked[0]]!r} in "
            f"{self._where} stay together, so that none is in train and test both: say "
            f"{' or '.join(ways)}, or --group-column {NONE} if pictures are drawn one by one"
        )

    def _comes_again(self, at: int) -> bool:
        """Say whether a column has several values, and one of them in two rows."""
        seen: set[str] = set()
        again = False
        for record in self._table.records:
            if value := record[at].strip():
                again = again or value in seen
                seen.add(value)
                if again and len(seen) > 1:
                    return True
        return False

    def _unclear(
        self, role: str, things: str, candidates: Sequence[int], free: Sequence[int]
    ) -> InputError:
        """Return the question for a column, or the error that there is none."""
        names = [self._names[at] for at in candidates]
        if len(names) > 1:
            ways = " or ".join(self._flag(role, name) for name in names[:MOST_NAMED])
            return InputError(
                f"expected one column of {things} in {self._where}, received "
                f"{named(names, MOST_NAMED)}: say which with {ways}"
            )
        one = self._names[free[0]] if len(free) == 1 else "NAME"
        return InputError(
            f"expected the columns path and label (split and group if wanted) in {self._where}, "
            f"received {named(self._names, MOST_NAMED) or 'none'}: name the column of {things} "
            f"{role!r}, or say which it is with {self._flag(role, one)}"
        )

    @staticmethod
    def _flag(role: str, name: str) -> str:
        return f"--{role}-column {shlex.quote(name)}"


def same_division(one: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether two columns divide the rows alike, under whatever names.

    >>> same_division(["cat", "dog", "cat"], ["0", "1", "0"])
    True
    """
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
