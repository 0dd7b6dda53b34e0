"""Which classes are taken for which."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate.plots.canvas import COLOURS, SEQUENTIAL, drawn, finish, say, shown, titled

MOST_NUMBERED, MOST_NAMED = 20, 40
"""Classes up to which cells have numbers, and up to which rows have names."""

MOST_CELLS = 250
"""Rows of a matrix without names: smaller cells than that would not be seen."""

N_PAIRS = 20
WITH_SHARES = 6


def plot_confusion(metrics_test: Mapping[str, Any], classes: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix: a row per given class, colours by its share, numbers by count.

    Above 40 classes nobody can read a name: the matrix shows blocks and stripes only, and the most
    confused pairs stand beside it by name.

    Args:
        metrics_test: ``split``, ``n``, ``accuracy`` and ``confusion`` (k, k) as in
            ``metrics.json``.
        classes: k names.
        path: Of the file, ``.svg`` or ``.png``.
    """
    confusion = np.asarray(metrics_test["confusion"])
    title = titled("Confusion", metrics_test["split"], metrics_test["n"])
    value = metrics_test["accuracy"]["value"]
    title += f", accuracy {value:.3f}"
    if len(classes) > MOST_NAMED:
        _draw_large(confusion, classes, title, path)
    else:
        _draw_named(confusion, classes, title, path)


def _shares(confusion: np.ndarray) -> np.ndarray:
    """Return the rows of counts (k, k) as shares; a class without pictures has a row of zeros."""
    return confusion / np.maximum(confusion.sum(1, keepdims=True), 1)


def _draw_named(confusion: np.ndarray, classes: Sequence[str], title: str, path: Path) -> None:
    names, k = shown(classes), len(classes)
    side = max(2.2, (0.42 if k <= MOST_NUMBERED else 0.24) * k)
    margin = 0.075 * max(map(len, names)) + 0.5
    upright = k > 4 or max(map(len, names)) > 12
    height = side + 0.7 + (margin if upright else 0.5)
    with drawn(path, title, max(side + margin + 1.3, 4.6), height) as figure:
        axes = figure.subplots()
        shares = _shares(confusion)
        image = axes.imshow(
            shares, SEQUENTIAL, vmin=0, vmax=1, interpolation="none", extent=(0, k, k, 0)
        )
        axes.set_xticks(np.arange(k + 1), minor=True)
        axes.set_yticks(np.arange(k + 1), minor=True)
        axes.grid(which="minor", color="white", linewidth=0.5)
        places = np.arange(k) + 0.5
        axes.set_xticks(places, names, rotation=90 if upright else 0)
        axes.set_yticks(places, names)
        axes.tick_params(length=0, which="both")
        axes.spines[:].set_visible(False)
        axes.set(xlabel="called", ylabel="given")
        figure.colorbar(image, ax=axes, label="share of the given class", shrink=0.8)
        if k <= MOST_NUMBERED:
            _write_counts(axes, confusion, shares)


def _write_counts(axes: Any, confusion: np.ndarray, shares: np.ndarray) -> None:
    """Write counts into cells; empty ones stay empty, so that mistakes stand out."""
    for row, column in np.argwhere(confusion).tolist():
        share = shares[row, column]
        text = f"{confusion[row, column]:,}"
        if len(confusion) <= WITH_SHARES:
            text += f"\n{share:.1%}"
        colour = "white" if share > 0.55 else "black"
        where = (column + 0.5, row + 0.5)
        axes.annotate(text, where, ha="center", va="center", color=colour, fontsize=7.5)


def _draw_large(confusion: np.ndarray, classes: Sequence[str], title: str, path: Path) -> None:
    from matplotlib.colors import PowerNorm

    with drawn(path, title, 11, 5.2) as figure:
        both: Any = figure.subfigures(1, 2, width_ratios=(1, 1.15))
        left, right = both
        axes = left.subplots()
        # The root of the share: else a class that is called wrongly 3 times in 100 leaves no trace.
        image = axes.imshow(
            merged(_shares(confusion)),
            SEQUENTIAL,
            PowerNorm(0.5, 0, 1),
            interpolation="none",
            extent=(0, len(classes), len(classes), 0),
        )
        axes.set(xlabel="called (number of the class)", ylabel="given (number of the class)")
        axes.spines[:].set_visible(True)
        left.colorbar(image, ax=axes, label="share of the given class", shrink=0.8)
        _draw_pairs(right, confusion, classes)


def merged(shares: np.ndarray) -> np.ndarray:
    """Return the highest of neighbouring cells (k, k), so that at most `MOST_CELLS` rows are left.

    The mean of cells would let a mistake among many classes fade away.
    """
    step = -(-len(shares) // MOST_CELLS)
    starts = np.arange(0, len(shares), step)
    return np.maximum.reduceat(np.maximum.reduceat(shares, starts, axis=0), starts, axis=1)


def _draw_pairs(figure: Any, confusion: np.ndarray, classes: Sequence[str]) -> None:
    """Draw the pairs with most mistakes as bars; of equals, those with the higher share first."""
    wrong = confusion - np.diag(np.diagonal(confusion))
    given, called = np.nonzero(wrong)
    if not len(given):
        say(figure, "every picture is called right")
        return
    counts, shares = wrong[given, called], _shares(confusion)[given, called]
    order = np.lexsort((called, given, -shares, -counts))[:N_PAIRS]
    names, axes = shown(classes), figure.subplots()
    places = np.arange(len(order))
    axes.barh(places, counts[order], color=COLOURS[0], height=0.7)
    labels = [f"{names[given[i]]} → {names[called[i]]}" for i in order]
    axes.set_yticks(places, labels, fontsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.set(ylim=(max(len(order), 6) - 0.4, -0.6), xlim=(0, counts.max() * 1.15))
    axes.xaxis.get_major_locator().set_params(integer=True)
    for place, i in zip(places, order, strict=True):
        axes.annotate(
            f"{shares[i]:.0%}",
            (counts[i], place),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    finish(axes, "pictures", "")
    axes.set_title("most confused pairs, with the share of the given class", loc="right")
    axes.grid(False, axis="y")
