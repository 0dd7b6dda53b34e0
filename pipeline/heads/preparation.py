"""How features are prepared before a head, and the texts that choose it: ``sqrt-l2,pca(128)``."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InputError, UnknownNameError
from pipeline.heads.rowwise import ROWWISE

DEFAULT_PREPARATION = "standard"
DEFAULT_SHARE = 0.99
"""Of the variance, kept by a bare ``pca``."""

PARTS = (*ROWWISE[1:], "standard", "pca")
_PART = re.compile(r"([\w-]+)(?:\((.*)\))?")
_WAY_OUT = "write for example 'standard', 'sqrt-l2', 'pca(128)' or 'sqrt-l2,pca(0.99)'"


@dataclass(frozen=True)
class Preparation:
    """Up to three parts, in this order; only the first is not affine.

    Args:
        rowwise: ``none``, ``l2`` (each row to unit length) or ``sqrt-l2`` (of signed square roots).
        standardise: Whether every feature gets mean 0 and variance 1. If not, one factor for all
            features brings their mean variance to 1: lengths and angles stay what they are, and the
            C or alpha of a head means the same as with standardised features.
        pca: How many principal components are kept, or from 0 to 1 the share of the variance that
            they keep; None for all features. They are not whitened.
    """

    rowwise: str = "none"
    standardise: bool = True
    pca: int | float | None = None

    def blocks(self, widths: Sequence[int] | None) -> tuple[int, ...]:
        """Return the widths of cuts side by side where they matter: where rows get a length."""
        return () if self.rowwise == "none" else tuple(widths or ())

    def __str__(self) -> str:
        """Canonical text: equal preparations have equal text."""
        first = [self.rowwise] if self.rowwise != "none" else []
        # What stands first is standardised by itself, unless that is a length.
        told = self.standardise and (bool(first) or self.pca is None)
        last = [f"pca({self.pca!r})"] if self.pca is not None else []
        return ",".join([*first, *(["standard"] if told else []), *last])


def parse_preparation(text: Any) -> Preparation:
    """Read ``standard``, ``l2``, ``sqrt-l2``, ``pca``, ``pca(K)``, ``pca(SHARE)``, or several.

    Several are joined by commas in the order length, ``standard``, ``pca``. ``pca`` alone
    standardises first; after a length nothing is standardised unless ``standard`` is written.

    Raises:
        UnknownNameError: A part has no such name.
        InputError: Anything else about the text.

    Example:
        >>> parse_preparation("pca(128)")
        Preparation(rowwise='none', standardise=True, pca=128)
        >>> str(parse_preparation("sqrt-l2, pca(0.9)"))
        'sqrt-l2,pca(0.9)'
    """
    if not isinstance(text, str):
        raise _bad(text, "it is no text")
    parts = [_part(part.strip(), text) for part in text.split(",")]
    names = [name for name, _ in parts]
    stages = [0 if name in ROWWISE else 1 if name == "standard" else 2 for name in names]
    if stages != sorted(set(stages)):
        raise _bad(text, "its parts go in the order l2 or sqrt-l2, standard, pca, each once")
    rowwise = names[0] if stages[0] == 0 else "none"
    standardise = rowwise == "none" or "standard" in names
    return Preparation(rowwise, standardise, parts[-1][1] if names[-1] == "pca" else None)


def _part(part: str, text: str) -> tuple[str, int | float | None]:
    match = _PART.fullmatch(part)
    if match is None:
        raise _bad(text, f"{part!r} is no part")
    name, inside = match.groups()
    if name not in PARTS:
        raise UnknownNameError("preparation", name, PARTS, _WAY_OUT)
    if name == "pca":
        return name, DEFAULT_SHARE if inside is None else _components(inside, text)
    if inside is not None:
        raise _bad(text, f"{name} takes no brackets")
    return name, None


def _components(inside: str, text: str) -> int | float:
    try:
        value = float(inside) if not inside.strip().isdecimal() else int(inside)
    except ValueError:
        value = math.nan
    if value > 0 if isinstance(value, int) else 0 < value < 1:
        return value
    raise _bad(text, "pca takes a count of components, or a share of the variance between 0 and 1")


def _bad(text: Any, reason: str) -> InputError:
    return InputError(f"expected a preparation, received prepare={text!r}: {reason}; {_WAY_OUT}")
