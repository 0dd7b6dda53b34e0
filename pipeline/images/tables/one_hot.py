"""One label for a picture: as a 1 in one of several columns, and never several in a cell."""

from collections.abc import Iterable, Sequence

from pipeline.errors import DataError, InputError
from pipeline.images.tables.text import TableContent
from pipeline.system.units import named

_YES = frozenset(("1", "1.0", "true", "yes"))
_NO = frozenset(("0", "0.0", "false", "no"))


def is_yes(value: str) -> bool | None:
    """Say what a value of a column of yes and no means; None if it is neither."""
    plain = value.strip().lower()
    return True if plain in _YES else False if plain in _NO else None


def zero_one_columns(table: TableContent, among: Iterable[int]) -> list[int]:
    """Return those of some columns that hold 0 and 1 in every row."""
    return [
        at
        for at in among
        if table.records and all(is_yes(record[at]) is not None for record in table.records)
    ]


def as_labels(where: str, table: TableContent, columns: Sequence[int]) -> list[str]:
    """Return the name of the column that holds the 1 of each row.

    Raises:
        InputError: There are no two columns of 0 and 1.
        DataError: A row has no 1, or several.
    """
    names = [table.header[at].strip() for at in columns]
    if len(columns) < 2:
        raise InputError(
            f"expected columns of 0 and 1 in {where}, with a 1 for the label of each row, received "
            f"{named(names) or 'none'}: say which column holds the labels with --label-column NAME"
        )
    labels = []
    for number, record in zip(table.numbers, table.records, strict=True):
        marked = [name for name, at in zip(names, columns, strict=True) if is_yes(record[at])]
        if len(marked) != 1:
            raise DataError(
                f"expected one label for a picture, received a 1 in {named(marked) or 'none'} of "
                f"{named(names)} in row {number} of {where}: a picture here has one label, so "
                "leave one 1 in the row, or remove it, or name a column of labels with "
                "--label-column NAME"
            )
        labels += marked
    return labels


def check_one_label(where: str, table: TableContent, labels: Sequence[str]) -> None:
    """Refuse labels that are several labels, such as ``cat|dog`` beside ``cat`` and ``dog``.

    Raises:
        DataError: There is one.
    """
    known = set(labels)
    for label in sorted(known):
        for mark in "|;,":
            parts = [part.strip() for part in label.split(mark)]
            if len(parts) > 1 and known.issuperset(parts):
                raise DataError(
                    f"expected one label for a picture, received {label!r} in row "
                    f"{table.numbers[list(labels).index(label)]} of {where}, where "
                    f"{named(parts)} are labels as well: a picture here has one label, so keep "
                    f"one of them, or write it without {mark!r} if it is a class of its own"
                )


def is_one_hot(table: TableContent, columns: Sequence[int]) -> bool:
    """Say whether there are two columns or more with one 1 in every row."""
    return len(columns) > 1 and all(
        sum(is_yes(record[at]) is True for at in columns) == 1 for record in table.records
    )
