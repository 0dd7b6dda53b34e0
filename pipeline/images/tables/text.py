"""Tables as text: their encoding, their separator, their first row."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from itertools import islice

from pipeline.errors import InputError
from pipeline.images.location import CSV
from pipeline.images.names import is_picture_name
from pipeline.images.tables.annotations import table_hint
from pipeline.images.tables.column_names import LABEL, PATH, says
from pipeline.images.tables.content import TableColumn, TableContent
from pipeline.system.cells import texts
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

_ABOVE = re.compile(r"(?:[^\S\n]*(?:#[^\n]*)?\n)+")
"""Empty lines and comments above the names of the columns."""


def read_text(where: str, kind: str, content: bytes) -> TableContent:
    """Read a table whose values are separated by a comma, a tab, a semicolon or a bar.

    Its ``kind``, by the suffix, decides the separator where two fit. Raises InputError if it is no
    such table.
    """
    text, n_above, separators = _from_header(_decoded(where, content), kind)
    head = text if len(text) <= _HEAD else text[: text.rfind("\n", 0, _HEAD) + 1]
    separator = max(separators, key=lambda one: _fit(head, one))
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header, *records = list(lines) or [[]]
    except csv.Error as error:
        raise InputError(
            f"expected a table in {where}, received what is none ({error}): mend its quotes"
        ) from error
    first = _FIRST_ROW + n_above
    numbers = [number for number, row in enumerate(records, first) if any(map(str.strip, row))]
    rows = [records[number - first] for number in numbers]
    _check_header(where, header, rows)
    for number, row in zip(numbers, rows, strict=True):
        if len(row) != len(header):
            raise InputError(
                f"expected {len(header)} values in row {number} of {where}, received {len(row)}: "
                f"put quotes around values that hold {SEPARATORS[separator]}, which separates them"
            )
    columns = [
        TableColumn(name.strip(), texts([row[at].strip() for row in rows]))
        for at, name in enumerate(header)
    ]
    return TableContent(columns, numbers)


def _from_header(text: str, kind: str) -> tuple[str, int, Sequence[str]]:
    """Return a text from its names of columns on, how many lines are above, what may separate it.

    Above may be ``sep=;``, as spreadsheets write it, empty lines and comments; the last comment may
    be the row of names itself.
    """
    usual = "," if kind == CSV else "\t"
    separators: Sequence[str] = sorted(SEPARATORS, key=lambda one: one != usual)
    start = 0
    if said := _SPREADSHEET_LINE.match(text):
        separators, start = [said[1]], said.end()
    if above := _ABOVE.match(text, start):
        last = text.rfind("\n", start, above.end() - 1) + 1
        comment = text[last : above.end()].strip().lstrip("#")
        if _names_columns(comment) and not _names_columns(text[above.end() :].partition("\n")[0]):
            return f"{comment}\n{text[above.end() :]}", text.count("\n", 0, last), separators
        start = above.end()
    return text[start:], text.count("\n", 0, start), separators


def _names_columns(line: str) -> bool:
    cells = re.split("[,;|\t]", line)
    return len(cells) > 1 and any(says(PATH, cell) or says(LABEL, cell) for cell in cells)


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


def _check_header(where: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Refuse a first row that is a picture already, and a table of one column."""
    if not header:
        raise InputError(
            f"expected the columns path and label (split and group if wanted) in {where}, received "
            "none: name the columns in the first row"
        )
    if len(header) == 1 and not says(PATH, header[0]):
        lines = [header[0], *(row[0] for row in rows[:9])]
        raise InputError(
            f"expected columns with a comma, semicolon, tab or bar between them in {where}, "
            f"received the one column {header[0].strip()[:60]!r}: "
            + (table_hint(lines) or "write a path and a label in every row")
        )
    if any(is_picture_name(name.strip()) for name in header):
        raise headless(where, [name.strip() for name in header])


def headless(where: str, header: Sequence[str]) -> InputError:
    """Return the error for a table that begins with a picture instead of names."""
    path = next((at for at, name in enumerate(header) if is_picture_name(name)), 0)
    names = [f"column{at}" for at in range(1, len(header) + 1)]
    names[path], names[path + 1 if path + 1 < len(header) else 0] = "path", "label"
    return InputError(
        f"expected the names of the columns in the first row of {where}, received "
        f"{named(header)}: put a row of names above it, such as {','.join(names[:8])}"
    )
