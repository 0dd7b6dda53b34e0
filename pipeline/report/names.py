"""Names of classes and files as a page can show them."""

import re
import unicodedata

_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_FIRST_PICTURE, _DELETE = 0x2400, "\u2421"


def visible(name: str) -> str:
    r"""Return a name in which every sign can be seen, and that can be written as UTF-8.

    Names of files need not be text: bytes that are none come out as ``\xff``, control characters
    as their pictures.

    >>> visible("two\nlines"), visible(b"caf\xe9".decode("utf-8", "surrogateescape"))
    ('two␊lines', 'caf\\xe9')
    """
    return _ODD.sub(lambda match: _shown(match[0]), name)


def _shown(sign: str) -> str:
    code = ord(sign)
    if code < 0x20:
        return chr(_FIRST_PICTURE + code)
    if code == 0x7F:
        return _DELETE
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}"


def is_plain(text: str) -> bool:
    """Return whether a text looks the same to a reader and to a program: no hidden signs."""
    return not any(_ODD.match(c) or unicodedata.category(c) in ("Cf", "Zl", "Zp") for c in text)
