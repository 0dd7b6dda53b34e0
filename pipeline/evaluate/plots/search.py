"""Which layers suit the pictures, and with which head or preparation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline.evaluate.plots.svg import (
    DARK,
    LETTER,
    LINE,
    Block,
    rectangle,
    sentence,
    shortened,
    shown,
    step_of,
    text_at,
    upright_at,
    write_figure,
)

MOST_ROWS, MOST_COLUMNS = 40, 14
LONGEST, UPRIGHT = 32, 12
CELL = 24


@dataclass(frozen=True)
class Tried:
    """One candidate that was measured, on pictures unseen, inside train.

    Layers begin with the base where there are several.
    """

    layers: str
    preparation: str
    head: str
    accuracy: float

    @property
    def kind(self) -> str:
        """The head without its parameters."""
        return self.head.partition("(")[0]


def measured(rows: Sequence[Mapping[str, Any]], base: str = "") -> list[Tried]:
    """Return the candidates among rows of ``search.json`` that have an accuracy.

    ``base`` stands before the layers, where several bases are compared.
    """
    return [
        Tried(base + "+".join(row["layers"]), row.get("preparation", ""), row["head"], accuracy)
        for row in rows
        if (accuracy := row["accuracy"]) is not None and math.isfinite(accuracy)
    ]


@dataclass(frozen=True)
class Grid:
    """The best of each input with each head, or with each preparation of one head.

    Args:
        what: What columns are: ``head`` or ``preparation``.
        rows: Inputs, the best first.
        columns: Names, the best first.
        cells: The best candidate of each row and column, None where none was tried.
        best: The best of all.
        low: The lowest accuracy shown.
        n_more: Inputs that are left out.
    """

    what: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[Tried | None, ...], ...]
    best: Tried
    low: float
    n_more: int

    def step(self, one: Tried) -> int:
        """Return the shade of a candidate, from the lowest to the best accuracy shown."""
        span = self.best.accuracy - self.low
        return step_of(1.0 if span < 1e-9 else (one.accuracy - self.low) / span)


def grid_of(candidates: Sequence[Tried]) -> Grid:
    """Arrange at least one candidate: of more rows or columns than fit, the best stay."""
    ranked = sorted(candidates, key=lambda one: -one.accuracy)
    by_head = len({one.kind for one in ranked}) > 1 or len({one.preparation for one in ranked}) < 2
    column = attrgetter("kind" if by_head else "preparation")
    best: dict[tuple[str, str], Tried] = {}
    for one in ranked:
        best.setdefault((one.layers, column(one)), one)
    all_rows = tuple(dict.fromkeys(row for row, _ in best))
    rows = all_rows[:MOST_ROWS]
    columns = tuple(dict.fromkeys(name for row, name in best if row in rows))[:MOST_COLUMNS]
    cells = tuple(tuple(best.get((row, name)) for name in columns) for row in rows)
    low = min(one.accuracy for row in cells for one in row if one is not None)
    what = "head" if by_head else "preparation"
    return Grid(what, rows, columns, cells, ranked[0], low, len(all_rows) - len(rows))


def plot_search(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the best accuracy in ``search.json`` of each input with each head, or preparation."""
    title = f"Search, accuracy cross-validated on train, {len(rows):,} candidates"
    candidates = measured(rows)
    if not candidates:
        write_figure(path, title, [sentence("no candidate has an accuracy")])
        return
    grid = grid_of(candidates)
    best = grid.best
    parts = (shortened(one, 48) for one in (best.layers, best.preparation, best.head))
    write_figure(path, title, [_block(grid)], f"best {best.accuracy:.4f}: {', '.join(parts)}")


def _block(grid: Grid) -> Block:
    rows, columns = shown(grid.rows, LONGEST), shown(grid.columns, LONGEST)
    longest = max(map(len, columns))
    upright = longest > UPRIGHT
    wide = 62.0 if upright else max(62.0, longest * LETTER + 8)
    left, height = max(map(len, rows)) * LETTER + 10, CELL * len(rows)
    below = longest * LETTER + 8 if upright else LINE
    parts = [text_at(left - 6, (i + 0.5) * CELL, name, "end") for i, name in enumerate(rows)]
    for j, name in enumerate(columns):
        x = left + (j + 0.5) * wide
        parts.append(
            upright_at(x, height + 6, name) if upright else text_at(x, height + 10, name, "mid")
        )
    for i, row in enumerate(grid.cells):
        for j, one in enumerate(row):
            parts += _cell(grid, one, (left + j * wide, i * CELL), wide)
    middle = left + wide * len(columns) / 2
    parts.append(text_at(middle, height + below + LINE, grid.what, "mid name"))
    return Block(left + wide * len(columns), height + below + 2 * LINE, Markup("").join(parts))


def _cell(grid: Grid, one: Tried | None, corner: tuple[float, float], wide: float) -> list[Markup]:
    x, y = corner
    middle = (x + wide / 2, y + CELL / 2)
    if one is None:
        box = rectangle(x, y, wide - 1, CELL - 1, "untried")
        return [box, text_at(*middle, "not tried", "mid small")]
    step = grid.step(one)
    parts = [rectangle(x, y, wide - 1, CELL - 1, f"right{step}", one.head)]
    if one is grid.best:
        parts.append(rectangle(x + 1, y + 1, wide - 3, CELL - 3, "best"))
    return [*parts, text_at(*middle, f"{one.accuracy:.4f}", "mid on" if step >= DARK else "mid")]
