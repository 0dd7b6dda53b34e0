"""CSV for spreadsheets: they run a cell that begins like a formula, whoever wrote it.

A text that begins so gets an apostrophe in front, and one that begins with apostrophes and then so
gets one more: what was written is read back to the last sign. Figures are left as they are.
"""

import csv
import re
from collections.abc import Iterable, Iterator

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_WRITTEN = re.compile(f"'{_FORMULA.pattern}")


def cell(text: str) -> str:
    r"""Return a text as a cell that no spreadsheet runs.

    >>> cell("=1+2"), cell("'=1"), cell("cats/1.jpg")
    ("'=1+2", "''=1", 'cats/1.jpg')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def read_cell(text: str) -> str:
    """Return the text that `cell` wrote."""
    return text[1:] if _WRITTEN.match(text) else text


class CellRows(Iterator[list[str]]):
    """Rows of CSV whose texts were written with `cell`; stands where ``csv.reader`` does.

    Args:
        lines: The file.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._rows = csv.reader(lines)

    def __next__(self) -> list[str]:
        """Return the texts of the next row."""
        return [read_cell(text) for text in next(self._rows)]

    @property
    def line_num(self) -> int:
        """Lines that were read."""
        return self._rows.line_num
