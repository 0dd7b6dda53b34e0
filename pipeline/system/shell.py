"""Commands that can be pasted into a shell."""

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pipeline.system.visible import is_odd

_WRITTEN = {"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def quoted(text: str) -> str:
    r"""Quote one word for a shell; what cannot be seen is written out, as bash and zsh read it.

    >>> quoted("my pictures"), quoted("two\nlines"), quoted("it's")
    ("'my pictures'", "$'two\\nlines'", "'it'\"'\"'s'")
    """
    if not is_odd(text):
        return shlex.quote(text)
    return "$'" + "".join(map(_written, text)) + "'"


def _written(sign: str) -> str:
    if sign in _WRITTEN:
        return _WRITTEN[sign]
    if not is_odd(sign):
        return sign
    return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))


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
        if value is True:
            words.append(f"--{flag}")
        elif str(value).startswith("-"):  # or it would be a flag of its own
            words.append(f"--{flag}={value}")
        else:
            words += [f"--{flag}", str(value)]
    return words
