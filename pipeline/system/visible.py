"""Texts as people see them: names of files and classes can hold signs that do, or hide, something.

Whatever leaves the program for a terminal or a page passes here, where it leaves: in
`pipeline.cli.show`, in the log's handler, in the page of the report.
"""

import json
import re

from pipeline.errors import without_secrets

# Controls, format characters (directions of writing, nothing of any width), what is drawn as
# nothing, halves of signs, and what is no sign. U+200C and U+200D join emoji and letters of some
# scripts: between two of those they stay.
_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff"
)
_JOINERS = r"\u200c\u200d"
_JOINED = rf"[^\x00-\xff\u2000-\u206f{_HIDDEN}]"
_ODD = re.compile(rf"[{_HIDDEN}]|(?<!{_JOINED})[{_JOINERS}]|[{_JOINERS}](?!{_JOINED})")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def visible(text: str) -> str:
    r"""Return a text of one line in which every sign can be seen, and does nothing.

    What cannot be seen is written out. Bytes of a file's name that are no text come out as
    ``\xff``. The rest can be written as UTF-8 and as XML.

    >>> visible("two\nlines"), visible("caf\udce9"), visible("\x1b[31mé猫👩‍👧")
    ('two\\nlines', 'caf\\xe9', '\\x1b[31mé猫👩‍👧')
    """
    return _ODD.sub(lambda match: _written(match[0]), text)


def _written(sign: str) -> str:
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code < 0x100:
        return _SHORT.get(sign, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_odd(text: str) -> bool:
    """Return whether something in a text has to be made visible."""
    return _ODD.search(text) is not None


def told(text: str) -> str:
    """Return a text as it is told to people: visible, and without the passwords of URLs."""
    return visible(without_secrets(text))


def escaped_json(text: str) -> str:
    r"""Return JSON whose texts mean the same, with JSON's own escapes for what cannot be seen.

    >>> escaped_json('"\x9b\u202e"')
    '"\\u009b\\u202e"'
    """
    return _ODD.sub(lambda match: json.dumps(match[0])[1:-1], text)
