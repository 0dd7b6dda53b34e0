"""How features are prepared before a head, and the texts that choose it: ``sqrt-l2,pca(128)``.

What is done to each row by itself, length and root, needs no fitting; but it is not linear, so it
cannot be folded into a Dense layer and stays beside the weights of a head.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from pipeline.errors import InputError, UnknownNameError

ROWWISE = ("none", "l2", "sqrt-l2")

SHORTEST = 1e-6
"""Rows that are shorter than this are divided by it: a row of zeros stays one."""

SOFTENING = 1e-6
"""The root is x / sqrt(|x| + this): its slope at 0 is 1,000 and not infinite, for fine-tuning."""


def apply_rowwise(features: np.ndarray, rowwise: str, blocks: Sequence[int] = ()) -> np.ndarray:
    """Return rows of unit length, of the features or of their signed square roots.

    The root takes weight from the few large values that otherwise decide every distance (Perronnin,
    Sánchez and Mensink 2010, section 3). Several cuts side by side are brought to unit length each
    for itself, else the one with the most channels would drown the others.

    Args:
        features: (n, d) float.
        rowwise: One of `ROWWISE`; ``none`` gives the features back as they are.
        blocks: Widths of the cuts that lie side by side; none means one block of all d.

    Returns:
        (n, d) float32, same row order.
    """
    values: np.ndarray = np.asarray(features, np.float32)
    if rowwise == "none":
        return values
    if rowwise == "sqrt-l2":
        values = values / np.sqrt(np.abs(values) + np.float32(SOFTENING))
    scaled = np.empty_like(values)
    for start, end in spans(blocks, values.shape[1]):
        part = values[:, start:end]
        squared = np.einsum("nd,nd->n", part, part)[:, None]
        scaled[:, start:end] = part / np.sqrt(np.maximum(squared, np.float32(SHORTEST**2)))
    return scaled


def spans(blocks: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Return where each block lies: (start, end) of its columns.

    Raises:
        InputError: The blocks do not add up to the width.
    """
    widths = tuple(blocks) or (width,)
    if sum(widths) != width or min(widths) < 1:
        raise InputError(
            f"expected blocks that add up to the {width} features, received blocks={widths}; "
            f"give the width of each cut, in order"
        )
    return list(pairwise(accumulate(widths, initial=0)))


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
