"""CSV for spreadsheets: they run a cell that begins like a formula, whoever wrote it.

A text that begins so gets an apostrophe in front, and one that begins with apostrophes and then so
gets one more: what was written is read back to the last sign. Figures are left as they are.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

_BEGINS = r"[=+\-@\t\r\n＝＋－＠]"
_FORMULA = re.compile(f"'*{_BEGINS}")
_WRITTEN = re.compile(f"'{_FORMULA.pattern}")
_BARE = re.compile(_BEGINS)


def cell(text: str) -> str:
    r"""Return a text as a cell that no spreadsheet runs.

    >>> cell("=1+2"), cell("'=1"), cell("cats/1.jpg")
    ("'=1+2", "''=1", 'cats/1.jpg')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def texts(cells: Sequence[str]) -> list[str]:
    """Return the texts of a column of anybody's table, of which `cell` may have written the cells.

    It did not where a cell begins like a formula: then all are left as they are.

    >>> texts(["'-1", "b"]), texts(["'-1", "-2"])
    (['-1', 'b'], ["'-1", '-2'])
    """
    if not any(map(_WRITTEN.match, cells)) or any(map(_BARE.match, cells)):
        return list(cells)
    return list(map(_text, cells))


def _text(written: str) -> str:
    return written[1:] if _WRITTEN.match(written) else written


class CellRows(Iterator[list[str]]):
    """Rows of CSV whose texts were written with `cell`; stands where ``csv.reader`` does.

    Args:
        lines: The file.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._rows = csv.reader(lines)

    def __next__(self) -> list[str]:
        """Return the texts of the next row."""
        return list(map(_text, next(self._rows)))

    @property
    def line_num(self) -> int:
        """Lines that were read."""
        return self._rows.line_num
