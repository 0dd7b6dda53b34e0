"""The small grammar of names with arguments: ``MobileNet(alpha=0.25)``, ``logistic(C=0.1)``.

Backbones and heads are chosen by such texts. Values are Python literals and nothing else; no name
is ever looked up and no expression evaluated.
"""

import ast
import re
import warnings
from collections.abc import Mapping
from typing import Any

from pipeline.errors import InputError

_CALL = re.compile(r"\s*([A-Za-z_][\w.-]*(?::\w+)?)\s*(?:\((.*)\))?\s*", re.DOTALL)
_OPENING, _CLOSING = "([{", ")]}"


def parse_call(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name(argument=literal, ...)`` into its name and arguments.

    Args:
        text: A bare name, or a name followed by keyword arguments in brackets. A name may be that
            of a class in a module, ``package.module:Class``.

    Returns:
        The name and its arguments in the order written.

    Raises:
        InputError: If the text is anything but a name with keyword arguments that are literals.

    >>> parse_call("logistic(C=0.1)")
    ('logistic', {'C': 0.1})
    >>> parse_call("VGG16")
    ('VGG16', {})
    """
    match = _CALL.fullmatch(text)
    if match is None:
        raise _bad_call(text, "it does not start with a name")
    name, inside = match.groups()
    return name, _parse_arguments(inside or "", text)


def _parse_arguments(inside: str, text: str) -> dict[str, Any]:
    call = _parse_expression(f"f({inside}\n)", text)
    # A text such as "a(x=1)(y=2)" or "a(x=1)+b()" parses, but not as one call of our name.
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        raise _bad_call(text, "the brackets do not hold a plain list of arguments")
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        raise _bad_call(text, "every argument needs a name")
    arguments: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg in arguments:
            raise _bad_call(text, f"{keyword.arg!r} is given twice")
        arguments[str(keyword.arg)] = _literal(keyword.value, text)
    return arguments


def _parse_expression(source: str, text: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            # Odd literals such as "\d" or "1or" make the parser warn; they are refused below or
            # mean what they say.
            warnings.simplefilter("ignore", SyntaxWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            return ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _bad_call(text, "the brackets cannot be read") from error


def _literal(node: ast.expr, text: str) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise _bad_call(text, "values must be literals, with text in quotes") from error


def _bad_call(text: str, reason: str) -> InputError:
    return InputError(
        f"expected a name, or one with arguments as NAME(argument=value), received {text!r}: "
        f"{reason}"
    )


def format_call(name: str, arguments: Mapping[str, Any]) -> str:
    """Write a name and its arguments in the one canonical way: sorted, without blanks after "=".

    >>> format_call("MobileNet", {"depth_multiplier": 2, "alpha": 0.25})
    'MobileNet(alpha=0.25, depth_multiplier=2)'
    """
    if not arguments:
        return name
    inside = ", ".join(f"{key}={arguments[key]!r}" for key in sorted(arguments))
    return f"{name}({inside})"


def split_calls(text: str) -> list[str]:
    """Split a list of calls at the commas that lie outside brackets and quotes.

    Args:
        text: Calls separated by commas.

    Returns:
        The calls in the order written, stripped; each is ready for ``parse_call``.

    Raises:
        InputError: If a call is empty, or brackets or quotes are not balanced.

    >>> split_calls("a, b(x=1, y=2), c")
    ['a', 'b(x=1, y=2)', 'c']
    """
    parts = [text[start:end].strip() for start, end in _spans(text)]
    if not all(parts):
        raise InputError(f"expected names separated by single commas, received {text!r}")
    return parts


def _spans(text: str) -> list[tuple[int, int]]:
    """Return where each call lies: (start, end) of the stretches between top-level commas."""
    spans, start, awaited, quote, escaped = [], 0, [], "", False
    for position, character in enumerate(text):
        if quote:
            if character == quote and not escaped:
                quote = ""
            escaped = character == "\\" and not escaped
        elif character in "'\"":
            quote = character
        elif character in _OPENING:
            awaited.append(_CLOSING[_OPENING.index(character)])
        elif character in _CLOSING:
            if not awaited or awaited.pop() != character:
                raise _unbalanced(text)
        elif character == "," and not awaited:
            spans.append((start, position))
            start = position + 1
    if awaited or quote:
        raise _unbalanced(text)
    return [*spans, (start, len(text))]


def _unbalanced(text: str) -> InputError:
    return InputError(f"expected balanced brackets and quotes, received {text!r}")
