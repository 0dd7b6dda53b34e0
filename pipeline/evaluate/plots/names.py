"""Names of classes and files as figures and pages can show them."""

import re
from collections import Counter
from collections.abc import Sequence

LONGEST = 24
ELLIPSIS = "…"
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_FIRST_PICTURE, _DELETE = 0x2400, "\u2421"


def visible(name: str) -> str:
    r"""Return a name in which every sign can be seen, and that can be written as UTF-8 and as XML.

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


def is_odd(sign: str) -> bool:
    """Return whether a sign has to be made visible."""
    return _ODD.match(sign) is not None


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Return names that can be seen and fit, still all different.

    Names that begin and end alike would become one by shortening, and get their number.

    Args:
        names: Any texts, also names of files that are not Unicode.
        longest: Most characters of a name.

    Example:
        >>> shown(["cat", "a very long name that nobody can read in a figure"], 16)
        ['cat', 'a very lo…figure']
    """
    texts = [shortened(visible(name), longest) for name in names]
    counts = Counter(texts)
    return [
        shortened(f"{number}: {visible(name)}", longest) if counts[text] > 1 else text
        for number, (name, text) in enumerate(zip(names, texts, strict=True))
    ]


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of a text: names of classes differ at their ends as well."""
    if len(text) <= longest:
        return text
    last = (longest - 1) * 2 // 5
    return text[: longest - 1 - last] + ELLIPSIS + text[-last:]
