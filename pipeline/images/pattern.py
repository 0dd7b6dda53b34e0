"""Labels that stand in file names: ``cat.0.jpg``, ``IMG_12_dog.png``."""

import os
import re
from collections.abc import Callable, Iterable, Sequence

from pipeline.errors import DataError, InputError
from pipeline.images.tree import Found

LABEL, ANYTHING = "{label}", "{}"
_NUMBERED = re.compile(r"([^.]+)\.[0-9]+")

SplitPath = tuple[str | None, str]
"""The split that a picture is given for, and its path."""
Labeller = Callable[[str], str | None]
"""Finds the label in a file name without its suffix."""


def parse_pattern(pattern: str) -> Labeller:
    """Return what finds labels by a template.

    Each wildcard takes as little as it can, from left to right.

    Args:
        pattern: Text with ``{label}`` once, where the label stands, and ``{}`` for anything;
            whatever else is in it stands for itself.

    Raises:
        InputError: If there is no place for the label, or more than one.

    >>> parse_pattern("{}_{label}")("IMG_dog"), parse_pattern("{label}.{}")("dog")
    ('dog', None)
    """
    if pattern.count(LABEL) != 1:
        raise InputError(
            f"expected {LABEL} once in the pattern of file names, received "
            f'label_pattern={pattern!r}: give e.g. "{LABEL}.{ANYTHING}" for cat.0.jpg'
        )
    wildcards = {LABEL: "(.+?)", ANYTHING: ".*?"}
    pieces = re.split(r"(\{label\}|\{\})", pattern)
    expression = re.compile(
        "".join(wildcards.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL
    )
    return lambda stem: match[1] if (match := expression.fullmatch(stem)) else None


def label_by_pattern(where: str, pattern: str, pictures: Iterable[SplitPath]) -> list[Found]:
    """Label pictures by a template that the user gave.

    Raises:
        InputError: The template has no place for the label.
        DataError: A picture does not fit, or there is none.
    """
    pictures = list(pictures)
    found = _label(pictures, parse_pattern(pattern))
    if isinstance(found, str):
        raise DataError(
            f"expected file names that fit label_pattern={pattern!r} in {where}, received {found}: "
            "rename or move it, or give a pattern that fits all pictures"
        )
    if not pictures:
        raise DataError(f"expected pictures in {where}, received none: check the path")
    return found


def label_as_numbered(pictures: Sequence[SplitPath]) -> list[Found] | None:
    """Label pictures that are all named LABEL.NUMBER, with two labels or more; None if not so."""
    found = _label(pictures, _numbered)
    if isinstance(found, str) or len({part.label for part in found}) < 2:
        return None
    return found


def _numbered(stem: str) -> str | None:
    match = _NUMBERED.fullmatch(stem)
    return match[1] if match else None


def _stem(path: str) -> str:
    return os.path.splitext(path.rpartition("/")[2])[0]


def _label(pictures: Iterable[SplitPath], label_of: Labeller) -> list[Found] | str:
    """Return the pictures by label and split, or the first path that has no label."""
    by_class: dict[tuple[str, str | None], list[str]] = {}
    for split, path in pictures:
        label = label_of(_stem(path))
        if label is None:
            return path
        by_class.setdefault((label, split), []).append(path)
    return [Found(label, split, tuple(paths), ()) for (label, split), paths in by_class.items()]
