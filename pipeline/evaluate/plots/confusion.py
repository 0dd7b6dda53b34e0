"""Which classes are taken for which."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipeline.evaluate.plots.svg import (
    DARK,
    LETTER,
    LINE,
    RIGHT_SHADES,
    SQUARE,
    STEPS,
    WRONG_SHADES,
    Block,
    Chart,
    even_ticks,
    rectangle,
    sentence,
    shown,
    step_of,
    text_at,
    titled,
    upright_at,
    write_figure,
)

MOST_NUMBERED, MOST_NAMED = 20, 40
"""Classes up to which cells have numbers, and up to which there is a matrix with names."""

MOST_CELLS = 250
"""Rows of a matrix without names: smaller cells than that would not be seen."""

N_PAIRS = 20
WITH_SHARES = 6
SHORT = 4
"""Letters of a name that still fit below a column as they are."""

BAR = 220


def plot_confusion(confusion: np.ndarray, classes: Sequence[str], split: str, path: Path) -> None:
    """Draw the confusion matrix (k, k): a row per given class, shades by its share, and counts.

    Above 40 classes nobody can read a name: the matrix shows blocks and stripes only, and the most
    confused pairs stand beside it by name.
    """
    n, right = int(confusion.sum()), int(np.trace(confusion))
    title = f"{titled('Confusion', split, n)}, accuracy {right / n:.3f}"
    if len(classes) > MOST_NAMED:
        blocks = [_stripes(confusion), _pairs(confusion, shown(classes))]
    else:
        blocks = [_matrix(confusion, shown(classes)), _shades()]
    write_figure(path, title, blocks)


def shares_of(confusion: np.ndarray) -> np.ndarray:
    """Return the rows of counts (k, k) as shares; a class without pictures has a row of zeros."""
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)


def shade(share: float, right: bool) -> str:
    """Return the class of a cell by its share of the given class.

    Of a mistake it is the root: else a class that is called wrongly once in a hundred would leave
    no trace.
    """
    return f"right{step_of(share)}" if right else f"wrong{step_of(share**0.5)}"


def most_confused(confusion: np.ndarray) -> list[tuple[int, int]]:
    """Return (given, called) of all mistakes, most frequent first; of equals, by higher share."""
    wrong = confusion - np.diag(np.diagonal(confusion))
    given, called = np.nonzero(wrong)
    shares = shares_of(confusion)[given, called]
    order = np.lexsort((called, given, -shares, -wrong[given, called]))
    return [(int(given[i]), int(called[i])) for i in order]


def _matrix(confusion: np.ndarray, names: Sequence[str]) -> Block:
    k, longest = len(names), max(map(len, names))
    side = 60 if k <= WITH_SHARES else 38 if k <= MOST_NUMBERED else 20
    left, size, shares = longest * LETTER + 26, side * k, shares_of(confusion)
    upright = longest * LETTER > side - SHORT
    below = longest * LETTER + 8 if upright else LINE
    parts = [
        _cell(int(confusion[i, j]), float(shares[i, j]), i == j, (left + j * side, i * side), side)
        for i, j in np.ndindex(k, k)
    ]
    if k <= MOST_NUMBERED:
        for i, j in np.argwhere(confusion).tolist():
            middle = (left + (j + 0.5) * side, (i + 0.5) * side)
            parts += _count(int(confusion[i, j]), float(shares[i, j]), i == j, middle, k)
    for i, name in enumerate(names):
        at = (i + 0.5) * side
        parts.append(text_at(left - 6, at, name, "end"))
        x = left + at
        below_cell = text_at(x, size + 10, name, "mid")
        parts.append(upright_at(x, size + 6, name) if upright else below_cell)
    form = '<text class="mid name" transform="translate(10 {}) rotate(-90)">given</text>'
    parts.append(Markup(form).format(size / 2))
    parts.append(text_at(left + size / 2, size + below + LINE, "called", "mid name"))
    return Block(left + size, size + below + 2 * LINE, Markup("").join(parts))


def _cell(
    count: int, share: float, right: bool, corner: tuple[float, float], side: float
) -> Markup:
    """Draw a cell; empty ones stay empty, so that mistakes stand out."""
    kind = shade(share, right) if count else "untried"
    return rectangle(*corner, side - 1, side - 1, kind)


def _count(
    count: int, share: float, right: bool, middle: tuple[float, float], k: int
) -> list[Markup]:
    step = int(shade(share, right)[-1])
    kind = "mid on" if step >= DARK else "mid"
    x, y = middle
    if k > WITH_SHARES:
        return [text_at(x, y, f"{count:,}", kind)]
    return [text_at(x, y - 7, f"{count:,}", kind), text_at(x, y + 8, f"{share:.1%}", kind)]


def _shades() -> Block:
    """Say which colour is which share of the given class."""
    parts, width = [text_at(0, LINE / 2, "share of the given class", "name")], 13
    for place, (what, power) in enumerate((("right", 1), ("wrong", 2))):
        x, top = place * 74.0, 1.5 * LINE
        parts.append(text_at(x, top + LINE / 2, what))
        for step in range(STEPS):
            y = top + LINE + (STEPS - 1 - step) * width
            parts.append(rectangle(x, y, width, width, f"{what}{step}"))
            if step % 3 == 0 or step == STEPS - 1:
                parts.append(
                    text_at(x + width + 4, y + width / 2, f"{(step / STEPS) ** power:.0%}")
                )
    return Block(150, 2.5 * LINE + STEPS * width, Markup("").join(parts))


def _stripes(confusion: np.ndarray) -> Block:
    k = len(confusion)
    ticks = even_ticks(0, k)
    label = "{} (number of the class)".format
    chart = Chart((0, k), (k, 0), label("called"), label("given"), SQUARE)
    chart.ticks(ticks, ticks).picture(_pixels(confusion))
    return chart.tell("", "orange: wrong").block()


def _pixels(confusion: np.ndarray) -> str:
    """Return the matrix as a picture of a pixel per cell, a PNG as a data URI."""
    from PIL import Image

    shares = shares_of(confusion)
    right, wrong = np.diag(np.diagonal(shares)), shares - np.diag(np.diagonal(shares))
    levels = np.zeros_like(merged(shares), np.uint8)
    for first, part in ((1 + STEPS, merged(wrong) ** 0.5), (1, merged(right))):
        steps = np.minimum(STEPS - 1, (part * STEPS).astype(int))
        levels = np.where(part > 0, first + steps, levels).astype(np.uint8)
    image = Image.fromarray(levels, "P")
    image.putpalette(
        bytes.fromhex("".join(("fafafa", *RIGHT_SHADES, *WRONG_SHADES)).replace("#", ""))
    )
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def merged(shares: np.ndarray) -> np.ndarray:
    """Return the highest of neighbouring cells (k, k), so that at most `MOST_CELLS` rows are left.

    The mean of cells would let a mistake among many classes fade away.
    """
    step = -(-len(shares) // MOST_CELLS)
    starts = np.arange(0, len(shares), step)
    return np.maximum.reduceat(np.maximum.reduceat(shares, starts, axis=0), starts, axis=1)


def _pairs(confusion: np.ndarray, names: Sequence[str]) -> Block:
    """Draw the pairs with most mistakes as bars."""
    pairs = most_confused(confusion)[:N_PAIRS]
    if not pairs:
        return sentence("every picture is called right")
    texts = [f"{names[given]} → {names[called]}" for given, called in pairs]
    most, shares = int(confusion[pairs[0]]), shares_of(confusion)
    left, parts = max(map(len, texts)) * LETTER + 6, []
    for place, (pair, text) in enumerate(zip(pairs, texts, strict=True)):
        y, width = (place + 0.5) * LINE, BAR * int(confusion[pair]) / most
        told = f"{confusion[pair]:,} ({shares[pair]:.0%})"
        parts.append(text_at(left - 6, y, text, "end"))
        parts.append(rectangle(left, y - 6, width, 12, "f1"))
        parts.append(text_at(left + width + 5, y, told))
    caption = "most confused pairs: pictures, and their share of the given class"
    return Block(left + BAR + 70, len(pairs) * LINE, Markup("").join(parts), caption)
