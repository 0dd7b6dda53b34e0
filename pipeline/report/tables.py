"""The tables whose cells are coloured: who is called what, and which layers suit which head.

Their limits, shades and orders are those of the figures in a run's folder.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.evaluate.plots.confusion import MOST_NAMED, SHORT, most_confused, shade, shares_of
from pipeline.evaluate.plots.search import Grid, Tried, grid_of, measured
from pipeline.runs import CLASSIFY, RunFolder, search_of
from pipeline.system.visible import visible

MOST_PAIRS = 200
"""Pairs of classes whose pictures can be opened, where there are too many for a matrix."""


def confusion_view(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> dict[str, Any]:
    """Return the cells of `FinalTest.confusion`, which open the pictures behind them."""
    confusion = np.asarray(counts)
    names, shares = [visible(name) for name in classes], shares_of(confusion)

    def cell(given: int, called: int) -> dict[str, Any]:
        share, right = float(shares[given, called]), given == called
        where = {"given": given, "called": called, "count": int(confusion[given, called])}
        return {**where, "share": share, "kind": shade(share, right)}

    if len(classes) > MOST_NAMED:
        pairs = [
            cell(*pair) | {"name": names[pair[0]], "taken_for": names[pair[1]]}
            for pair in most_confused(confusion)[:MOST_PAIRS]
        ]
        return {"matrix": None, "pairs": pairs, "names": names, "upright": False}
    numbers, supports = range(len(names)), confusion.sum(1).tolist()
    rows = [
        {"name": names[row], "support": supports[row], "cells": [cell(row, j) for j in numbers]}
        for row in numbers
    ]
    return {"matrix": rows, "pairs": [], "names": names, "upright": max(map(len, names)) > SHORT}


def heatmap_view(runs: Sequence[RunFolder]) -> dict[str, Any] | None:
    """Return cells of the best accuracy of each layer with each head; None if there are none.

    Of runs that a search chose, the search's own figures count: those of the runs are corrected for
    choosing among many and would stand beside others that are not.
    """
    bases = {_base_of(run) for run in runs}
    found = [
        one
        for run in runs
        if run.kind == CLASSIFY
        for one in _tried(run, f"{_base_of(run)}: " if len(bases) > 1 else "")
    ]
    if not found:
        return None
    tried = [one for one, _ in found]
    grid, best = grid_of(tried), max(tried, key=lambda one: one.accuracy)
    return {
        "what": grid.what,
        "columns": [visible(name) for name in grid.columns],
        "rows": [
            {"name": visible(row), "cells": [_cell(one, grid) for one in cells]}
            for row, cells in zip(grid.rows, grid.cells, strict=True)
        ],
        "n_more": grid.n_more,
        "n_tried": len(found),
        "n_searched": sum(searched for _, searched in found),
        "best": {
            "row": visible(best.layers),
            "head": visible(best.head),
            "accuracy": best.accuracy,
        },
        "single": len(grid.rows) == len(grid.columns) == 1,
    }


def _cell(one: Tried | None, grid: Grid) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "accuracy": one.accuracy,
        "step": grid.step(one),
        "head": visible(one.head),
        "best": one is grid.best,
    }


def _tried(run: RunFolder, base: str) -> Iterator[tuple[Tried, bool]]:
    """Yield candidates, and whether a search tried them or they are runs of their own."""
    searched, accuracy = measured(search_of(run), base), run.selection.accuracy
    yield from ((one, True) for one in searched)
    if not searched and accuracy is not None:
        preparation = str(run.params.get("prepare", ""))
        yield Tried(base + "+".join(run.layers), preparation, run.head, accuracy), False


def _base_of(run: RunFolder) -> str:
    return f"{run.recipe.named(run.weights)} at {run.recipe.image_size} px"
