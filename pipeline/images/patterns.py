"""Read labels off file names such as ``cat.0.jpg``, by a pattern."""

import posixpath
import re
from collections.abc import Callable, Iterable, Sequence

from pipeline.errors import InputError
from pipeline.images.walk import Listing

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
    return _labeller(expression)


def _labeller(expression: re.Pattern[str]) -> Labeller:
    return lambda stem: match[1] if (match := expression.fullmatch(stem)) else None


def label_as_numbered(pictures: Sequence[SplitPath]) -> list[Listing] | None:
    """Label pictures that are all named LABEL.NUMBER, with two labels or more; None if not so."""
    found = label_pictures(pictures, _labeller(_NUMBERED))
    if isinstance(found, str) or len({part.label for part in found}) < 2:
        return None
    return found


def label_pictures(pictures: Iterable[SplitPath], label_of: Labeller) -> list[Listing] | str:
    """Return the pictures by label and split, or the first path that has no label."""
    by_class: dict[tuple[str, str | None], list[str]] = {}
    for split, path in pictures:
        label = label_of(posixpath.splitext(posixpath.basename(path))[0])
        if label is None:
            return path
        by_class.setdefault((label, split), []).append(path)
    return [Listing(label, split, tuple(paths), ()) for (label, split), paths in by_class.items()]
