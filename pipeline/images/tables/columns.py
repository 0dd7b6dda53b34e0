"""Which columns of a table say path, label, split and group; where two may, ask.

A name that is typed, or one of ``path``, ``label``, ``split``, ``group``, is taken. Otherwise a
column is taken where it is the only one that fits, by its name and by what is in it.
"""

import re
import shlex
from collections.abc import Callable, Collection, Sequence
from itertools import islice

from pipeline.config import DataConfig
from pipeline.errors import InputError, UnclearError, UnknownNameError
from pipeline.images.tables.column_names import (
    ATTRIBUTE,
    BEING,
    GROUP,
    LABEL,
    MOST_NAMED,
    NONE,
    ONE_HOT,
    PATH,
    PROPERTY,
    ROLES,
    SPLIT,
    is_unnamed,
    plain_name,
    says,
    split_of_yes,
)
from pipeline.images.tables.content import TableColumn, TableContent, is_number
from pipeline.images.tables.labels import is_one_hot, one_hot
from pipeline.images.tables.split_columns import choose_split, path_levels
from pipeline.images.tables.text import headless
from pipeline.system.units import named

FindFiles = Callable[[Collection[str]], Sequence[str] | None]
"""Returns the files that all of some paths mean, one each; None where one of them means none."""
_N_TRIED = 20
_HAS_DIGIT = re.compile(r"\d")


class ColumnChoice:
    """Chooses the columns of one table, in the order of its methods: what has a role is no other's.

    ``fits`` looks for files; None where that cannot be done here. Raises InputError if a name that
    was typed is unknown, or one column has two roles.
    """

    def __init__(
        self, where: str, table: TableContent, config: DataConfig, fits: FindFiles | None
    ) -> None:
        self._where, self._table, self._config, self._fits = where, table, config, fits
        self._roles: dict[str, TableColumn] = {}
        self._hot: Sequence[TableColumn] = ()
        for role in ROLES:
            if said := self._said(role):
                self._refuse_second(role, said)
                self._roles[role] = said

    def _said(self, role: str) -> TableColumn | None:
        """Return the column that was named for a role, or has its name."""
        name = getattr(self._config, f"{role}_column")
        columns = self._table.columns
        for written in (str.strip, plain_name) if name else (str.lower,):
            found = [one for one in columns if written(one.name) == written(name or role)]
            if len(found) > 1 and written is not plain_name:
                raise InputError(
                    f"expected one column {name or role} in {self._where}, received several: keep "
                    "one"
                )
            if len(found) == 1:
                return found[0]
        if name is None or (role, name) in ((LABEL, ONE_HOT), (SPLIT, NONE), (GROUP, NONE)):
            return None
        names = [one.name for one in columns]
        hint = f"{self._where} has {named(names, MOST_NAMED)}"
        raise UnknownNameError("column", name, names, hint)

    def _refuse_second(self, role: str, column: TableColumn) -> None:
        for other, one in self._roles.items():
            if one is column and {other, role} != {PATH, SPLIT}:
                raise InputError(
                    f"expected a column of {self._where} to have one role, received "
                    f"{column.name!r} as {other} and as {role}: name another with "
                    f"--{other}-column or --{role}-column"
                    + (f" ({NONE} where there is none)" if role in (SPLIT, GROUP) else "")
                )

    def _others(self, *free: str) -> list[TableColumn]:
        """Return the columns that have no role yet, but for some roles."""
        taken = [*self._hot, *(one for role, one in self._roles.items() if role not in free)]
        return [one for one in self._table.columns if one not in taken]

    def path(self) -> TableColumn:
        """Return the column of paths, or of pictures; raises InputError where it is unclear."""
        if PATH not in self._roles:
            # The splits may be said by the paths.
            free = [one for one in self._others(SPLIT) if not is_unnamed(one.name) or one.pictures]
            inside = [one for one in free if one.pictures]
            candidates = [one for one in inside or free if says(PATH, one.name)]
            if inside:
                candidates = candidates if len(candidates) == 1 else inside
            else:
                candidates += [one for one in free if one.names_pictures]
                candidates = self._with_files([one for one in free if one in candidates], free)
            for one in self._roles.values() if not candidates else ():
                if says(PATH, one.name):
                    self._refuse_second(PATH, one)
            self._roles[PATH] = self._one(PATH, candidates, free)
        return self._roles[PATH]

    def _with_files(
        self, candidates: list[TableColumn], free: Sequence[TableColumn]
    ) -> list[TableColumn]:
        """Return the candidates whose values are files; others that are, where none is."""
        if self._fits is None or (len(candidates) == 1 and candidates[0].names_pictures):
            return candidates
        others = [one for one in free if not says(LABEL, one.name) and one not in candidates]
        tried = list(filter(self._has_files, candidates)) or list(filter(self._has_files, others))
        if len(tried) < 2:
            return tried or candidates
        meant = [self._fits(one.values) for one in tried]
        alike = all(files is not None and files == meant[0] for files in meant)
        return tried[:1] if alike else tried

    def _has_files(self, column: TableColumn) -> bool:
        values = list(islice(filter(None, column.values), _N_TRIED))
        return bool(values) and self._fits is not None and self._fits(values) is not None

    def label(self) -> TableColumn:
        """Return the column of labels, or one that is made of columns of 0 and 1.

        Raises:
            InputError: It is unclear.
            DataError: A row has several labels, or none.
        """
        if LABEL not in self._roles:
            free = [one for one in self._others() if not is_unnamed(one.name)]
            candidates = self._called_so(free)
            marks = _marks([one for one in free if one not in candidates])
            typed = self._config.label_column == ONE_HOT
            if typed or is_one_hot(marks) or (not candidates and len(marks) > 1):
                made = one_hot(self._where, self._table.numbers, marks)
                if typed or not candidates:
                    candidates, self._hot = [made], marks
                elif len(candidates) > 1 or not candidates[0].divides_as(made):
                    candidates.append(made)
            self._roles[LABEL] = self._one(LABEL, candidates, free)
        return self._roles[LABEL]

    def _called_so(self, free: Sequence[TableColumn]) -> list[TableColumn]:
        """Return the columns that may be the labels, by their names and what is in them."""
        named_so = [one for one in free if one.classes or says(LABEL, one.name)]
        if not named_so and any(
            one.name in filter(None, one.values) for one in self._table.columns
        ):
            raise headless(self._where, [one.name for one in self._table.columns])
        candidates = _classes([one for one in named_so if not one.pictures])
        if candidates and all(says(ATTRIBUTE, one.name) for one in candidates):
            others = [one for one in free if one not in named_so and one.in_words]
            return candidates + [one for one in others if _may_be_better(one, candidates[0])]
        return candidates or [one for one in free if len(free) == 1 and one.in_words]

    def split(self, paths: Sequence[str]) -> TableColumn | None:
        """Return what says the splits; raises InputError where that is unclear.

        Args:
            paths: n paths, as they mean files.
        """
        path, said = self._roles[PATH], self._roles.get(SPLIT)
        if self._config.split_column == NONE:
            return None
        if said is not None and said is not path:
            return said
        others = self._others() if said is None else []
        levels = list(path_levels(path.name, paths))
        chosen = choose_split(self._where, self._table.numbers, others, levels, self._roles[LABEL])
        if chosen is not None:
            self._roles[SPLIT] = chosen
        elif said is not None:
            raise InputError(
                f"expected splits in the folders or names of {path.name!r} in {self._where}, "
                f"received none: say --split-column {NONE}, and the split is drawn"
            )
        return chosen

    def group(self) -> TableColumn | None:
        """Return the column of groups; raises InputError where one may be it."""
        if GROUP in self._roles or self._config.group_column == NONE:
            return self._roles.get(GROUP)
        asked = [one.name for one in self._others() if _is_group(one) and one.comes_again]
        if not asked:
            return None
        ways = [self._flag(GROUP, name) for name in asked[:MOST_NAMED]]
        raise InputError(
            f"expected to be told whether pictures of one {asked[0]!r} in {self._where} stay "
            f"together, so that none is in train and test both: say {' or '.join(ways)}, or "
            f"--group-column {NONE} if pictures are drawn one by one"
        )

    def _one(
        self, role: str, candidates: Sequence[TableColumn], free: Sequence[TableColumn]
    ) -> TableColumn:
        """Return the only candidate; raise the question for one, or that there is none."""
        names = [one.name for one in candidates]
        if len(names) == 1:
            return candidates[0]
        if names:
            ways = " or ".join(self._flag(role, name) for name in names[:MOST_NAMED])
            hot = f" ({ONE_HOT}: the column with a 1)" if candidates[-1].name == ONE_HOT else ""
            raise InputError(
                f"expected one column of {role}s in {self._where}, received "
                f"{named(names, MOST_NAMED)}{hot}: say which with {ways}"
            )
        header = named([one.name for one in self._table.columns], MOST_NAMED)
        if role == LABEL and len(self._table.columns) == 1:
            raise UnclearError(
                f"expected the columns path and label in {self._where}, received the one column "
                f"{self._table.columns[0].name!r}: write a path and a label in every row",
                is_pool=True,
            )
        raise InputError(
            f"expected the columns path and label (split and group if wanted) in {self._where}, "
            f"received {header}: name the column of {role}s {role!r}, or say which it is with "
            f"{self._flag(role, free[0].name if len(free) == 1 else 'NAME')}"
        )

    @staticmethod
    def _flag(role: str, name: str) -> str:
        return f"--{role}-column {shlex.quote(name)}"


def _may_be_better(column: TableColumn, label: TableColumn) -> bool:
    """Say whether a column of words may be the labels, rather than one of a doubtful name."""
    splits = column.has_few_values and column.counts.keys() <= column.splits.keys()
    other = splits or column.marks or says(GROUP, column.name) or says(SPLIT, column.name)
    return not other and not column.divides_as(label)


def _marks(free: Sequence[TableColumn]) -> list[TableColumn]:
    """Return the columns of 0 and 1 that stand for classes."""
    marks = [one for one in free if one.marks and not _is_group(one)]
    plain = [one for one in marks if split_of_yes(one.name) is None]
    # A class may be called train.
    return marks if len(plain) == len(marks) - 1 and is_one_hot(marks) else plain


def _is_group(column: TableColumn) -> bool:
    """Say whether a column names what pictures are of, not whether such a thing is on them."""
    if column.marks and (says(PROPERTY, column.name) or says(BEING, column.name)):
        return False
    numbered = says(BEING, column.name) and all(map(_HAS_DIGIT.search, column.counts))
    return numbered or says(GROUP, column.name)


def _classes(candidates: list[TableColumn]) -> list[TableColumn]:
    """Return the candidates that can be classes; of two that say the same, the one in words."""
    if len(candidates) < 2:
        return candidates
    candidates = [one for one in candidates if one.comes_again] or candidates
    same = all(one.divides_as(candidates[0]) for one in candidates[1:])
    words = [one for one in candidates if not all(map(is_number, one.counts))]
    return words if same and len(words) == 1 else candidates
