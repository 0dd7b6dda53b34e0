"""Which layer and which preparation or head suit the pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate.plots.canvas import (
    COLOURS,
    QUIET,
    SEQUENTIAL,
    drawn,
    finish,
    say,
    shortened,
    shown,
)

MOST_ROWS, MOST_COLUMNS = 40, 14
LONGEST = 32


def plot_search(
    candidates: Sequence[Mapping[str, Any]], path: Path, by: str = "cross-validated on train"
) -> None:
    """Draw the best accuracy of each layer with each preparation, or with each head.

    Columns are preparations where several were tried, else heads without their parameters. Where
    there are more rows or columns than fit, those with the best candidates stay.

    Args:
        candidates: ``layers`` (list of names), ``preparation``, ``head`` and ``accuracy`` each.
        path: Of the file, ``.svg`` or ``.png``.
        by: Where the accuracies come from.
    """
    kept = [one for one in candidates if np.isfinite(one["accuracy"])]
    title = f"Search, accuracy {by}, {len(candidates):,} candidates"
    if not kept:
        with drawn(path, title, 5, 2) as figure:
            say(figure, "no candidate has an accuracy")
        return
    rows = _kept(kept, _row, MOST_ROWS)
    columns = _kept(kept, column := _column_of(kept), MOST_COLUMNS)
    cells = np.full((len(rows), len(columns)), np.nan)
    for one in kept:
        if _row(one) in rows and column(one) in columns:
            place = rows.index(_row(one)), columns.index(column(one))
            cells[place] = np.fmax(cells[place], one["accuracy"])
    best = max(kept, key=lambda one: float(one["accuracy"]))
    place = rows.index(_row(best)), columns.index(column(best))
    _draw(cells, rows, columns, place, (title, _describe(best)), path)


def _row(candidate: Mapping[str, Any]) -> str:
    return "+".join(candidate["layers"])


def _column_of(candidates: Sequence[Mapping[str, Any]]) -> Any:
    if len({one["preparation"] for one in candidates}) > 1:
        return lambda one: one["preparation"]
    return lambda one: one["head"].partition("(")[0]


def _kept(candidates: Sequence[Mapping[str, Any]], name: Any, most: int) -> list[str]:
    """Return names in the order tried; where there are too many, those of the best candidates."""
    ranked = sorted(candidates, key=lambda one: -one["accuracy"])
    chosen = set(list(dict.fromkeys(map(name, ranked)))[:most])
    return [one for one in dict.fromkeys(map(name, candidates)) if one in chosen]


def _describe(best: Mapping[str, Any]) -> str:
    parts = (_row(best), best["preparation"], best["head"])
    return f"best {best['accuracy']:.4f}: " + ", ".join(shortened(part, 48) for part in parts)


def _draw(
    cells: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    best: tuple[int, int],
    titles: tuple[str, str],
    path: Path,
) -> None:
    """Draw cells (rows, columns) of accuracies, NaN where nothing was tried."""
    from matplotlib.patches import Rectangle

    row_names, column_names = shown(rows, LONGEST), shown(columns, LONGEST)
    width = 0.75 * len(columns) + 0.075 * max(map(len, row_names)) + 1.6
    height = 0.3 * len(rows) + 0.07 * max(map(len, column_names)) + 1.3
    with drawn(path, titles[0], max(width, 5.4), max(height, 2.6)) as figure:
        axes = figure.subplots()
        mesh = axes.pcolormesh(
            np.ma.masked_invalid(cells), cmap=SEQUENTIAL, edgecolors="white", linewidth=0.5
        )
        for row, column in np.ndindex(cells.shape):
            _write(axes, mesh, float(cells[row, column]), row, column)
        axes.add_patch(Rectangle(best[::-1], 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5))
        finish(axes, "", "", titles[1])
        axes.grid(False)
        turned = max(map(len, column_names)) > 9
        axes.set_xticks(np.arange(len(columns)) + 0.5, column_names, rotation=35 * turned)
        if turned:
            for label in axes.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
        axes.set_yticks(np.arange(len(rows)) + 0.5, row_names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_ylim(len(rows), 0)
        figure.colorbar(mesh, ax=axes, label="accuracy")


def _write(axes: Any, mesh: Any, value: float, row: int, column: int) -> None:
    where = (column + 0.5, row + 0.5)
    style = {"ha": "center", "va": "center", "fontsize": 7.5}
    if np.isnan(value):
        axes.annotate("not tried", where, color=QUIET, **{**style, "fontsize": 6})
        return
    dark = mesh.norm(value) > 0.55
    axes.annotate(f"{value:.4f}", where, color="white" if dark else "black", **style)
