"""Keyword arguments into the config dataclasses, which stay the only home of defaults."""

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from numbers import Integral, Real
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from pipeline.errors import InputError, UnknownNameError

Config = TypeVar("Config")
Function = TypeVar("Function", bound=Callable[..., Any])

_EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "True or False"}


def filled(kind: type[Config], settings: Mapping[str, Any], caller: str) -> Config:
    """Fill a config dataclass with keyword arguments.

    A list of texts is joined with commas (``layers=["top", "block5"]``), paths may be texts.

    Args:
        kind: One of `pipeline.config`.
        settings: Values by field name; fields that are left out have the dataclass' defaults.
        caller: The public function, for the sentence when a name is unknown.

    Raises:
        UnknownNameError: No field has that name; the message names the nearest.
        InputError: A value is of another type or out of range.
    """
    hints = get_type_hints(kind)
    for name in settings:
        if name not in hints:
            known = f"known: {', '.join(hints)}"
            raise UnknownNameError(f"setting of {caller}", name, hints, known)
    values = {name: _typed(name, value, hints[name]) for name, value in settings.items()}
    return kind(**values)


def _typed(name: str, value: Any, hint: Any) -> Any:
    """Return a value in the type of its field, without guessing: ``"5"`` is no number."""
    kinds = get_args(hint) or (hint,)
    if value is None and NoneType in kinds:
        return None
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    if kind is Path and isinstance(value, str | os.PathLike):
        return Path(value)
    if kind is str and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return ",".join(value)
    number = {int: Integral, float: Real}.get(kind)
    if number is not None and isinstance(value, number) and not isinstance(value, bool):
        return kind(value)
    if number is None and kind is not Path and isinstance(value, kind):
        return value
    expected = _EXPECTED.get(kind, "a path") + (" or None" if NoneType in kinds else "")
    raise InputError(f"expected {name} as {expected}, received {name}={value!r}")


def takes(kind: type, *left_out: str) -> Callable[[Function], Function]:
    """Show a dataclass' fields as keyword arguments in a function's signature.

    Args:
        kind: The dataclass that the function's ``**settings`` fill.
        left_out: Fields that the function takes otherwise.
    """
    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in fields(kind)
        if field.name not in left_out
    ]

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        shown = signature.replace(parameters=[*own, *parameters])
        function.__signature__ = shown  # type: ignore[attr-defined]
        return function

    return show
