"""What a file says, as the types it should have: JSON that anybody may have written.

Nothing is read that is larger or deeper than any file of ours. A value of another type than its
dataclass or TypedDict says is refused, with the path of its key: nothing else asks what a value is.
"""

import json
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from pipeline.system.files import read_file

MOST_BYTES = 64 << 20
MOST_DEPTH = 64
MOST_NUMBER = 10**15
"""No count, figure or seed is greater; sums and squares of such numbers are still finite."""

_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_HALVES = re.compile(rb"\\u[dD]")
_OTHER_SIGNS = bytes(set(range(256)) - set(b"[]{}"))
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


Share = Annotated[float, -1e-9, 1 + 1e-9]  # the ends of intervals are rounded
Count = Annotated[int, 0, MOST_NUMBER]
Some = Annotated[int, 1, MOST_NUMBER]
"""Numbers whose range is part of their type."""


class MisreadError(ValueError):
    """A value is missing or of another type than it should have.

    Args:
        what: What was expected and received, with ``{}`` where the path of the key belongs.
        keys: Where in the file, from outside in.
    """

    def __init__(self, what: str, *keys: Any) -> None:
        self.what, self.keys = what, keys
        path = ".".join(map(str, keys))
        super().__init__(what.replace("{}", f"'{path}'" if path else "the whole", 1))

    def under(self, key: Any) -> "MisreadError":
        """Return the same, of what lies under a key."""
        return MisreadError(self.what, key, *self.keys)


def read_json(path: Path, most: int = MOST_BYTES) -> Any:
    """Return the value of a JSON file; raises OSError, and ValueError as `parse_json`."""
    return parse_json(read_file(path, most))


def parse_json(data: bytes, *, constants: bool = False, depth: int = MOST_DEPTH) -> Any:
    """Return the value of JSON in UTF-8.

    Args:
        data: The file.
        constants: Whether NaN and infinity are read as null; else they are refused.
        depth: How deep lists and objects may lie in each other.

    Raises:
        ValueError: It is no JSON, is deeper than any of ours, or says a key twice.
    """
    deep = 0
    for sign in _TEXTS.sub(b"", data).translate(None, _OTHER_SIGNS):
        deep += 1 if sign in b"[{" else -1
        if deep > depth:
            raise ValueError(f"lists in lists, more than {depth} deep")
    value = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_once,
        parse_constant=(lambda name: None) if constants else _refuse,
        parse_float=_finite,
    )
    if _HALVES.search(data):  # half a sign is no text, unless it stands for a byte of a file's name
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for key, one in pairs:
        if key in value:
            raise ValueError(f"{key[:40]!r} twice")
        value[key] = one
    return value


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _refuse(text[:20])


def _refuse(text: str) -> float:
    raise ValueError(f"{text}, which is no finite number")


def typed(kind: Any, value: Any) -> Any:
    """Return a JSON value as a type: a dataclass, TypedDict, sequence, mapping or plain type.

    A dataclass with ``from_dict`` reads itself. Keys that a type does not have are left out, and
    those that are not there have the type's default.

    Raises:
        MisreadError: It is something else.
    """
    if kind is Any or kind is Path:  # the one who reads says where it is
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        read, (least, most) = typed(arguments[0], value), arguments[1:]
        return _expect(read, least <= read <= most, f"a number from {least} to {most}")
    if origin in (Union, types.UnionType):
        some = [one for one in arguments if one is not types.NoneType]
        return None if value is None and len(some) < len(arguments) else typed(some[0], value)
    if origin is Literal:
        return _expect(value, any(value == one for one in arguments), f"one of {arguments}")
    if origin is tuple or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return _sequence(arguments, value, origin is tuple)
    if origin is not None and issubclass(origin, Mapping):
        _expect(value, isinstance(value, Mapping), "an object")
        return {key: _below(arguments[1], key, one) for key, one in value.items()}
    if is_typeddict(kind) or is_dataclass(kind):
        reader = getattr(kind, "from_dict", None)
        return record(kind, value) if reader is None else reader(_mapping(value))
    return _plain(kind, value)


def record(kind: Any, value: Any) -> Any:
    """Return a JSON object as a dataclass or TypedDict, read field by field; see `typed`."""
    given, read = _mapping(value), {}
    for name, (hint, needed) in _fields(kind).items():
        if name in given:
            read[name] = _below(hint, name, given[name])
        elif needed:
            raise MisreadError("{} is missing", name)
    return kind(**read)


@cache
def _fields(kind: Any) -> Mapping[str, tuple[Any, bool]]:
    """Return type and need of each field of a dataclass or TypedDict."""
    hints = get_type_hints(kind, include_extras=True)
    if is_typeddict(kind):
        needed = kind.__required_keys__
        plain = {n: get_args(h)[0] if get_origin(h) is NotRequired else h for n, h in hints.items()}
        return {name: (hint, name in needed) for name, hint in plain.items()}
    return {
        one.name: (hints[one.name], one.default is MISSING and one.default_factory is MISSING)
        for one in fields(kind)
    }


def _below(kind: Any, key: Any, value: Any) -> Any:
    try:
        return typed(kind, value)
    except MisreadError as error:
        raise error.under(key) from error
    except KeyError as error:
        raise MisreadError("{} is missing", key, *error.args) from error
    except (TypeError, ValueError) as error:
        raise MisreadError(f"{{}}: {error}", key) from error


def _sequence(kinds: Sequence[Any], value: Any, is_tuple: bool) -> Any:
    _expect(value, isinstance(value, list | tuple), "a list")
    if is_tuple and kinds[-1] is not Ellipsis:
        _expect(value, len(value) == len(kinds), f"{len(kinds)} values")
        return tuple(_below(kind, i, value[i]) for i, kind in enumerate(kinds))
    read = [_below(kinds[0], i, one) for i, one in enumerate(value)]
    return tuple(read) if is_tuple else read


def _plain(kind: Any, value: Any) -> Any:
    name = _NAMES[kind]
    if kind is float and type(value) is int:
        return float(_expect(value, abs(value) <= MOST_NUMBER, name))
    right = type(value) is kind and (kind is bool or _is_plain(value))
    return _expect(value, right, name)


def _is_plain(value: str | float) -> bool:
    return "\0" not in value if isinstance(value, str) else abs(value) <= MOST_NUMBER


def _mapping(value: Any) -> Any:
    return _expect(value, isinstance(value, Mapping), "an object")


def _expect(value: Any, right: bool, expected: str) -> Any:
    if not right:
        shown = repr(value) if not isinstance(value, int) or abs(value) <= MOST_NUMBER else "more"
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise MisreadError(f"expected {expected} as {{}}, received {shown}")
    return value
