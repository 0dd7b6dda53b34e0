"""Commands that can be pasted into a shell."""

import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pipeline.evaluate.plots.names import is_odd

_WRITTEN = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quoted(text: str) -> str:
    r"""Quote one word for a shell; what cannot be seen is written out, as bash and zsh read it.

    >>> quoted("my pictures"), quoted("two\nlines"), quoted("it's")
    ("'my pictures'", "$'two\\nlines'", "'it'\"'\"'s'")
    """
    if _is_plain(text):
        return shlex.quote(text)
    return "$'" + "".join(map(_written, text)) + "'"


def _written(sign: str) -> str:
    if sign in _WRITTEN:
        return _WRITTEN[sign]
    if _is_plain(sign):
        return sign
    return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))


def _is_plain(text: str) -> bool:
    """Return whether a text looks the same to a reader and to a program: no hidden signs."""
    hidden = ("Cf", "Zl", "Zp")
    return not any(is_odd(sign) or unicodedata.category(sign) in hidden for sign in text)


def command(*words: str) -> str:
    """Join words into a command.

    >>> command("pipeline", "classify", "my pictures")
    "pipeline classify 'my pictures'"
    """
    return " ".join(map(quoted, words))


def flags(settings: Mapping[str, Any], config: type) -> list[str]:
    """Return the flags that give a config these settings; what is at its default is left out.

    Args:
        settings: Values by name of field; a name that the config does not have is left out.
        config: The dataclass that has the defaults.
    """
    words = []
    for field in fields(config):
        value = settings.get(field.name, field.default)
        if value is None or value is False or str(value) == str(field.default):
            continue
        flag = field.name.replace("_", "-")
        words += [f"--{flag}"] if value is True else [f"--{flag}", str(value)]
    return words
