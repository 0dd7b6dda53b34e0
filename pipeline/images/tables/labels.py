"""One label for a picture: as a 1 in one of several columns, and never several in a cell.

What other rows say decides: ``Golden Retriever`` is one label, ``cat dog`` is two where ``cat`` and
``dog`` are labels as well.
"""

import re
import shlex
from collections import Counter
from collections.abc import Collection, Sequence

from pipeline.errors import DataError, InputError
from pipeline.images.tables.column_names import ONE_HOT
from pipeline.images.tables.content import TableColumn, is_number
from pipeline.system.units import named

_MISSING = frozenset(("", "nan", "<na>", "null"))
_MISSING_SO = frozenset(("None", "NA", "NaT", "#N/A"))
"""In other letters they are words: none, Na."""
# Spreadsheets' and programs' words where there is none, which may be names of groups.
_UNFILLED = re.compile(
    r"(?i:[nk][./] ?[ad]\.?|keine angaben?|[+-]?nan(\(ind\))?|[+-]?1\.#(ind|qnan)|[<(]null[>)])"
    r"|#(N/?[AD]( N/A)?|NV|[¡¿]?[A-ZÀ-Þ]+(/0)?[!?])"
)
_NO_WORDS = re.compile(r"-+|\?+|\.+|[–—…]|[/*]")
_SYMBOLS = re.compile(r"[\W_]+")
_MOST_NUMBERS = 12
"""More numbers than these that are not whole are measured, rather than grades."""
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_LISTED = re.compile(r"[\[({].*[\])}]")
_SURE_MARKS = ("[]", "|", ";")
_MARKS = (*_SURE_MARKS, ",", "+", "/", "&", " and ", " ")
"""All but the sure ones stand in names as well."""


def is_missing(value: str) -> bool:
    """Say whether a value is what programs write where there is none."""
    return value in _MISSING_SO or value.lower() in _MISSING


def missing_labels(labels: Collection[str]) -> set[str]:
    """Return those of some labels that stand for none; signs alone do not where + is one too.

    >>> sorted(missing_labels(["cat", "n/a", "?", "na"])), missing_labels(["+", "-", "unknown"])
    (['?', 'n/a'], set())
    """
    signs = set(filter(_SYMBOLS.fullmatch, labels))
    found = {one for one in labels if is_missing(one) or _UNFILLED.fullmatch(one)}
    signs -= found
    return found | (signs if all(map(_NO_WORDS.fullmatch, signs)) else set())


def check_no_measure(where: str, labels: TableColumn) -> None:
    """Raise InputError for labels that seem to be measured: many numbers that are not whole."""
    numbers = [one.replace(",", ".") for one in labels.counts]
    many = len(numbers) > min(_MOST_NUMBERS, len(labels.values) / 2)
    if labels.classes or not many or not all(map(is_number, numbers)):
        return
    if all(float(number) % 1 == 0 for number in numbers):
        return
    raise InputError(
        f"expected classes in the column {labels.name!r} of {where}, received {len(numbers)} "
        f"numbers such as {named(list(labels.counts))}, as something measured has: write a word "
        f"for each range into a column of its own, or say --label-column "
        f"{shlex.quote(labels.name)} if every number is a class"
    )


def is_one_hot(columns: Sequence[TableColumn]) -> bool:
    """Say whether columns of yes and no are two or more, with one yes in every row."""
    marks = [column.marks for column in columns if column.marks]
    return len(marks) > 1 and all(sum(row) == 1 for row in zip(*marks, strict=True))


def one_hot(where: str, numbers: Sequence[int], columns: Sequence[TableColumn]) -> TableColumn:
    """Return as a column the name of the column that holds the 1 of each row.

    Raises:
        InputError: There are no two columns of 0 and 1.
        DataError: A row has no 1, or several.
    """
    names = [column.name for column in columns]
    if len(columns) < 2:
        raise InputError(
            f"expected columns of 0 and 1 in {where}, with a 1 for the label of each row, received "
            f"{named(names) or 'none'}: say which column holds the labels with --label-column NAME"
        )
    labels = []
    rows = zip(*(column.marks or () for column in columns), strict=True)
    for number, row in zip(numbers, rows, strict=True):
        marked = [name for name, mark in zip(names, row, strict=True) if mark]
        if len(marked) != 1:
            raise DataError(
                f"expected one label for a picture, received a 1 in {named(marked) or 'none'} of "
                f"{named(names)} in row {number} of {where}: a picture here has one label, so "
                "leave one 1 in the row, or remove it, or name a column of labels with "
                "--label-column NAME"
            )
        labels += marked
    return TableColumn(ONE_HOT, labels, classes=True)


def check_one_label(where: str, numbers: Sequence[int], labels: TableColumn) -> None:
    """Raise DataError for labels that are several: ``cat dog`` beside ``cat`` and ``dog``."""
    found = None if labels.classes else several_labels(labels.counts)
    if found:
        label, parts = found
        raise DataError(
            f"expected one label for a picture, received {label!r} in row "
            f"{numbers[labels.values.index(label)]} of {where}, where {named(parts)} are labels as "
            "well: a picture here has one label, so keep one of them, or write it with _ between "
            "its words if it is a class of its own"
        )


def several_labels(labels: Collection[str]) -> tuple[str, Sequence[str]] | None:
    """Return a label that is several labels, by what the others are, and which; None if none is.

    Between ``|``, ``;`` or brackets one part has to come again, or stand in quotes. Between what
    names have too, every part has to be a label itself; or few parts make many labels.

    >>> several_labels(["cat", "dog", "cat dog"]), several_labels(["red cat", "red dog", "n/a"])
    (('cat dog', ('cat', 'dog')), None)
    """
    for mark in _MARKS:
        apart = {label: parts for label in labels if len(parts := _parts(label, mark)) > 1}
        places: dict[str, Counter[int]] = {}
        for label in labels if apart else ():
            for at, part in enumerate(_parts(label, mark)):
                places.setdefault(part, Counter())[at] += 1
        few = len({part for parts in apart.values() for part in parts}) <= len(apart)
        for label, parts in apart.items():
            again = [places[part].total() > 1 for part in parts]
            anywhere = few and all(again) and any(len(places[part]) > 1 for part in parts)
            sure = any(again) or (mark == "[]" and label[1] in "'\"")
            certain = (sure and mark in _SURE_MARKS) or all(part in labels for part in parts)
            if (certain or anywhere) and len(set(parts)) == len(parts):
                return label, parts
    return None


def _parts(label: str, mark: str) -> tuple[str, ...]:
    if mark == "[]":
        if not _LISTED.fullmatch(label):
            return (label,)
        quoted = [one or other for one, other in _QUOTED.findall(label)]
        return tuple(quoted or map(str.strip, label[1:-1].split(",")))
    return tuple(part for one in label.split(mark) if (part := one.strip()))
