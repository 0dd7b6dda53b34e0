r"""CSV for spreadsheets: they run a cell that begins like a formula, whoever wrote it.

A text that begins so gets an apostrophe in front, and one that begins with apostrophes and then so
gets one more: what was written is read back to the last sign. Figures are left as they are.

Names of files need not be text. In tables for people a byte that is none is written as ``\xe9``, as
spreadsheets would lose the byte; it is one again where only that is the name of something.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

_BEGINS = r"[=+\-@\t\r\n＝＋－＠]"
_FORMULA = re.compile(f"'*{_BEGINS}")
_WRITTEN = re.compile(f"'{_FORMULA.pattern}")
_BARE = re.compile(_BEGINS)
_BYTE, _BYTE_WRITTEN = re.compile("[\udc80-\udcff]"), re.compile(r"\\x([89a-f][0-9a-f])")


def plain(text: str) -> str:
    r"""Return a name as a file in UTF-8 can hold it.

    >>> plain("caf\udce9.jpg"), plain("café.jpg")
    ('caf\\xe9.jpg', 'café.jpg')
    """
    return _BYTE.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)


def named_as(text: str, is_there: Callable[[str], object]) -> str:
    r"""Return what `plain` made of a name, or a name as it is, whichever there is.

    >>> named_as(r"caf\xe9.jpg", {"caf\udce9.jpg"}.__contains__)
    'caf\udce9.jpg'
    """
    if "\\x" not in text or is_there(text):
        return text
    name = _BYTE_WRITTEN.sub(lambda byte: chr(0xDC00 + int(byte[1], 16)), text)
    return name if is_there(name) else text


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
