"""How good each layer is with each head, from the runs and from what searches tried."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import RunError
from pipeline.report.names import visible
from pipeline.runs import CLASSIFY, RunFolder

MOST_ROWS = 40
STEPS = 10
"""Shades of a cell; the style sheet has a readable colour of text for each."""


@dataclass(frozen=True)
class Tried:
    """One measured candidate.

    Args:
        row: The layers, with the base where a table has several.
        column: The head without its parameters.
        accuracy: On pictures unseen, inside train.
        head: The head with its parameters.
        searched: Whether a search tried it, or it is a run of its own.
    """

    row: str
    column: str
    accuracy: float
    head: str
    searched: bool


def heatmap_view(runs: Sequence[RunFolder]) -> dict[str, Any] | None:
    """Return cells of the best accuracy of each layer with each head; None if there are none.

    Of runs that a search chose, the search's own figures count: those of the runs are corrected for
    choosing among many and would stand beside others that are not.
    """
    tried = [one for run in runs if run.kind == CLASSIFY for one in _tried(run, runs)]
    if not tried:
        return None
    best: dict[tuple[str, str], Tried] = {}
    for one in tried:
        known = best.get((one.row, one.column))
        if known is None or one.accuracy > known.accuracy:
            best[one.row, one.column] = one
    ranked = sorted(best.values(), key=lambda one: -one.accuracy)
    rows = list(dict.fromkeys(one.row for one in ranked))
    columns = list(dict.fromkeys(one.column for one in ranked))
    low, high = ranked[-1].accuracy, ranked[0].accuracy
    return {
        "columns": [visible(name) for name in columns],
        "rows": [
            {
                "name": visible(row),
                "cells": [_cell(best.get((row, column)), low, ranked[0]) for column in columns],
            }
            for row in rows[:MOST_ROWS]
        ],
        "n_more": max(0, len(rows) - MOST_ROWS),
        "n_tried": len(tried),
        "n_searched": sum(one.searched for one in tried),
        "best": {
            "row": visible(rows[0]),
            "column": columns[0],
            "head": visible(ranked[0].head),
            "accuracy": high,
        },
        "single": len(best) == 1,
    }


def _cell(one: Tried | None, low: float, best: Tried) -> dict[str, Any] | None:
    if one is None:
        return None
    high = best.accuracy
    share = 1.0 if high - low < 1e-9 else (one.accuracy - low) / (high - low)
    return {
        "accuracy": one.accuracy,
        "step": min(STEPS - 1, int(share * STEPS)),
        "head": visible(one.head),
        "best": one is best,
    }


def _tried(run: RunFolder, runs: Sequence[RunFolder]) -> Iterator[Tried]:
    base = _base_of(run) if len({_base_of(other) for other in runs}) > 1 else ""
    searched = read_search(run)
    for one in searched:
        yield _one(base, one["layers"], one["head"], one["accuracy"], True)
    if not searched and run.selection.accuracy is not None:
        yield _one(base, run.layers, run.head, run.selection.accuracy, False)


def _one(base: str, layers: Sequence[str], head: str, accuracy: float, searched: bool) -> Tried:
    row = f"{base}: {'+'.join(layers)}" if base else "+".join(layers)
    return Tried(row, head.partition("(")[0], float(accuracy), head, searched)


def _base_of(run: RunFolder) -> str:
    return f"{run.recipe.backbone} at {run.recipe.image_size} px"


def read_search(run: RunFolder) -> list[dict[str, Any]]:
    """Return what a search tried of a run's head; nothing where there was none.

    Raises:
        RunError: The file is damaged.
    """
    path = run.path / "search.json"
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected what a search tried in {path}, which cannot be read ({error}); remove it, "
            f"or search again with `pipeline classify --tune`"
        ) from error
    return [one for one in value if one.get("accuracy") is not None]
