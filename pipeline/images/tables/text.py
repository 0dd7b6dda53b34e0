"""Tables as text: their encoding, their separator, their first row."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from pipeline.errors import InputError
from pipeline.images.location import CSV
from pipeline.images.names import is_picture_name
from pipeline.images.tables.annotations import table_hint
from pipeline.system.units import named

SEPARATORS = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SPREADSHEET_LINE = re.compile(r"sep=([,;|\t])\r?\n", re.IGNORECASE)
_FIRST_ROW = 2
"""Rows are numbered as a spreadsheet numbers them; the names of the columns are row 1."""
_N_TRIED = 100
_HEAD = 1 << 17
"""Characters from which the separator is told."""

TextRow = Sequence[str]


@dataclass(frozen=True)
class TableContent:
    """A table as it was read, before anything is known of its columns.

    Args:
        header: Names of its k columns, as they are written.
        records: n rows of k values.
        numbers: n row numbers in the file.
        folders: n folders that paths are relative to, as prefixes with ``/``; None where all are
            relative to one root.
        pictures: Columns that hold pictures themselves; their values are names for these.
        named_classes: Columns whose file says that they hold classes.
    """

    header: Sequence[str]
    records: Sequence[TextRow]
    numbers: Sequence[int]
    folders: Sequence[str] | None = None
    pictures: Collection[int] = ()
    named_classes: Collection[int] = ()

    def column(self, at: int) -> list[str]:
        """Return the values of a column, row by row."""
        return [record[at].strip() for record in self.records]

    def distinct(self, at: int, most: int) -> list[str]:
        """Return a column's different values that are not empty, as they come; few above most."""
        seen: dict[str, None] = {}
        for record in self.records:
            if value := record[at].strip():
                seen[value] = None
                if len(seen) > most:
                    break
        return list(seen)


def read_text(where: str, kind: str, content: bytes) -> TableContent:
    """Read a table whose values are separated by a comma, a tab, a semicolon or a bar.

    Args:
        where: The table, as the user named it.
        kind: What its suffix says; decides the separator where two fit.
        content: Its bytes.

    Raises:
        InputError: It is no such table.
    """
    text = _decoded(where, content)
    said = _SPREADSHEET_LINE.match(text)
    separators = [said[1]] if said else sorted(SEPARATORS, key=lambda one: one != _usual(kind))
    start = said.end() if said else 0
    text = text[start:]
    head = text if len(text) <= _HEAD else text[: text.rfind("\n", 0, _HEAD) + 1]
    separator = max(separators, key=lambda one: _fit(head, one))
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header, *records = list(lines) or [[]]
    except csv.Error as error:
        raise InputError(
            f"expected a table in {where}, received what is none ({error}): mend its quotes"
        ) from error
    first = _FIRST_ROW + (1 if said else 0)
    numbers = [number for number, row in enumerate(records, first) if any(map(str.strip, row))]
    rows = [records[number - first] for number in numbers]
    table = TableContent(header, rows, numbers)
    _check_lengths(where, table, separator)
    _check_header(where, table)
    return table


def _usual(kind: str) -> str:
    return "," if kind == CSV else "\t"


def _decoded(where: str, content: bytes) -> str:
    encoding = next((name for bom, name in _BOMS.items() if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"expected UTF-8 text in {where}, received another encoding (byte {error.start}): save "
            "it as UTF-8"
        ) from error
    if "\0" in text.partition("\n")[0]:
        raise InputError(
            f"expected UTF-8 text in {where}, received NUL characters in its first line, as UTF-16 "
            "has them: save it as UTF-8"
        )
    return text


def _fit(text: str, separator: str) -> tuple[bool, bool]:
    """Return how well a separator fits the first rows: several columns, and as many in each."""
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [row for row in islice(lines, _N_TRIED) if any(map(str.strip, row))]
    except csv.Error:
        return False, False
    widths = {len(row) for row in rows}
    several = bool(rows) and len(rows[0]) > 1
    return several and len(widths) == 1, several


def _check_lengths(where: str, table: TableContent, separator: str) -> None:
    n_columns = len(table.header)
    for number, record in zip(table.numbers, table.records, strict=True):
        if len(record) != n_columns:
            raise InputError(
                f"expected {n_columns} values in row {number} of {where}, received {len(record)}: "
                f"put quotes around values that hold {SEPARATORS[separator]}, which separates them"
            )


def _check_header(where: str, table: TableContent) -> None:
    """Refuse a first row that is a picture already, and a table of one column."""
    header = [name.strip() for name in table.header]
    if not header:
        raise InputError(
            f"expected the columns path and label (split and group if wanted) in {where}, received "
            "none: name the columns in the first row"
        )
    if len(header) == 1:
        lines = [header[0], *(record[0] for record in table.records[:9])]
        raise InputError(
            f"expected columns with a comma, semicolon, tab or bar between them in {where}, "
            f"received the one column {header[0][:60]!r}: "
            + (table_hint(lines) or "write a path and a label in every row")
        )
    if any(map(is_picture_name, header)):
        raise headless(where, header)


def headless(where: str, header: Sequence[str]) -> InputError:
    """Return the error for a table that begins with a picture instead of names."""
    path = next((at for at, name in enumerate(header) if is_picture_name(name)), 0)
    names = [f"column{at}" for at in range(1, len(header) + 1)]
    names[path], names[path + 1 if path + 1 < len(header) else 0] = "path", "label"
    return InputError(
        f"expected the names of the columns in the first row of {where}, received "
        f"{named(header)}: put a row of names above it, such as {','.join(names[:8])}"
    )


def begins_with_a_row(table: TableContent) -> bool:
    """Say whether a cell of the first row comes again as a value of its column."""
    return any(
        name.strip() and any(record[at].strip() == name.strip() for record in table.records)
        for at, name in enumerate(table.header)
    )


def joined(where: str, parts: Sequence[tuple[str, str | None, TableContent]]) -> TableContent:
    """Put tables of the same columns together.

    Args:
        where: What holds them, as the user named it.
        parts: Of each table the prefix of its paths, the word for its split or None, and its
            content. These words make a last column ``split``, unless the tables have one.

    Raises:
        InputError: They have different columns, or a split of their own beside their files'.
    """
    first = parts[0][2]
    names = [name.strip() for name in first.header]
    for prefix, _, table in parts:
        others = [name.strip() for name in table.header]
        if sorted(others) != sorted(names):
            raise InputError(
                f"expected tables of the same columns in {where}, received {named(names)} in "
                f"{parts[0][0].rstrip('/')} and {named(others)} in {prefix.rstrip('/')}: give one "
                "of them by its file"
            )
    with_split = any(split for _, split, _ in parts) and "split" not in map(str.lower, names)
    records: list[TextRow] = []
    folders: list[str] = []
    for prefix, split, table in parts:
        order = _order(names, [name.strip() for name in table.header])
        extra = [split or ""] if with_split else []
        records += [[*(record[at] for at in order), *extra] for record in table.records]
        folders += [prefix] * len(table.records)
    numbers = [number for *_, table in parts for number in table.numbers]
    header = [*names, *(["split"] if with_split else [])]
    return replace(first, header=header, records=records, numbers=numbers, folders=folders)


def _order(names: Sequence[str], header: Sequence[str]) -> list[int]:
    """Return where each of some columns stands in a header that has them in another order."""
    return (
        list(range(len(names))) if list(header) == list(names) else list(map(header.index, names))
    )
