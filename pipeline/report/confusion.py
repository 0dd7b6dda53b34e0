"""The confusion matrix as a table whose cells open the pictures behind them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.report.names import visible

MOST_CLASSES = 40
"""Classes up to which there is a matrix; of more, the most confused pairs are listed."""
MOST_PAIRS = 200
STEPS = 10
SHORT = 4
"""Letters of a name that still fit above a column as they are."""


def confusion_view(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> dict[str, Any]:
    """Return the cells of a run's confusion matrix.

    Args:
        counts: `FinalTest.confusion`.
        classes: k names.
    """
    confusion = np.asarray(counts)
    names = [visible(name) for name in classes]
    supports = confusion.sum(1)
    shares = confusion / np.maximum(supports, 1)[:, None]
    if len(classes) > MOST_CLASSES:
        pairs = _pairs(confusion, shares, names)
        return {"matrix": None, "pairs": pairs, "names": names, "upright": False}
    rows = [
        {
            "name": names[given],
            "support": int(supports[given]),
            "cells": [
                _cell(given, called, int(confusion[given, called]), float(shares[given, called]))
                for called in range(len(names))
            ],
        }
        for given in range(len(names))
    ]
    upright = max(map(len, names)) > SHORT
    return {"matrix": rows, "pairs": [], "names": names, "upright": upright}


def _cell(given: int, called: int, count: int, share: float) -> dict[str, Any]:
    # The root of the share of a mistake: else one in a hundred would leave no trace.
    strength = share if given == called else share**0.5
    step = min(STEPS - 1, int(strength * STEPS))
    return {
        "given": given,
        "called": called,
        "count": count,
        "share": share,
        "kind": f"{'right' if given == called else 'wrong'}{step}",
    }


def _pairs(confusion: np.ndarray, shares: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return cells by falling count: the mistakes, then what is right of the worst classes."""
    wrong = confusion - np.diag(np.diagonal(confusion))
    given, called = np.nonzero(wrong)
    order = np.lexsort((called, given, -shares[given, called], -wrong[given, called]))
    cells = [(int(given[i]), int(called[i])) for i in order[:MOST_PAIRS]]
    return [
        _cell(row, column, int(confusion[row, column]), float(shares[row, column]))
        | {"name": names[row], "taken_for": names[column]}
        for row, column in cells
    ]
