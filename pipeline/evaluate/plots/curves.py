"""Whether probabilities mean what they say.

How fine-tuning went.

Whether more pictures would help.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate import proportion
from pipeline.evaluate.plots.canvas import COLOURS, QUIET, drawn, finish, titled

N_BARS = 25

LEAST_SPAN = 0.2


def plot_calibration(
    metrics_test: Mapping[str, Any], path: Path, confidences: np.ndarray | None = None
) -> None:
    """Draw the reliability diagram, and below it how sure the predictions are.

    A point stands for a group of pictures of about the same confidence, as many in each group; its
    bar is Wilson's 95 % interval. Bars that meet the diagonal are what calibration looks
    like on so few pictures. The axes begin where the lowest group or bar is.

    Args:
        metrics_test: ``split``, ``n``, ``calibration_error`` and ``reliability`` as in
            ``metrics.json``.
        path: Of the file, ``.svg`` or ``.png``.
        confidences: (n,) probability of what each picture was called, for the histogram; without
            them every group stands at its mean.
    """
    points, n = metrics_test["reliability"], metrics_test["n"]
    groups = np.array([[p["n"], p["confidence"], p["accuracy"]] for p in points], float).T
    title = titled("Calibration", metrics_test["split"], n)
    with drawn(path, title, 4.6, 5.6) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        low = _draw_groups(upper, *groups)
        error = metrics_test["calibration_error"]
        title = f"expected calibration error {error:.3f} (dashed: none)"
        finish(upper, "", "accuracy", title)
        values, counts = (groups[1], groups[0]) if confidences is None else (confidences, None)
        edges = np.linspace(min(low, float(np.min(values))), 1, N_BARS + 1)
        lower.hist(np.minimum(values, 1), edges, weights=counts, color=COLOURS[5])
        finish(lower, "confidence: probability of what was called", "pictures")
        margin = 0.02 * (1 - edges[0])
        lower.set_xlim(edges[0] - margin, 1 + margin)


def _draw_groups(axes: Any, n: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray) -> float:
    """Draw groups with their intervals and the diagonal; return where the axes begin."""
    within = [proportion(*one).ci95 for one in zip(accuracy.tolist(), n.tolist(), strict=True)]
    below, above = np.array(within).T
    low = min(float(np.min([confidence, below])), 1 - LEAST_SPAN)
    low = max(0.0, np.floor(low * 20) / 20)
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle="--", linewidth=1)
    errors = np.stack([accuracy - below, above - accuracy])
    axes.errorbar(confidence, accuracy, errors, fmt="o", color=COLOURS[0], markersize=4)
    margin = 0.02 * (1 - low)
    axes.set_ylim(low - margin, 1 + margin)
    return low


def plot_history(
    rows: Sequence[Mapping[str, Any]], path: Path, kept: int, n: int | None = None
) -> None:
    """Draw loss and accuracy of each epoch, on train and validation, and mark the kept epoch.

    Args:
        rows: Of ``history.csv``, as numbers or as text: ``epoch``, ``train_loss``,
            ``train_accuracy``, ``validation_loss``, ``validation_accuracy``. Epoch 0 has no
            training figures.
        path: Of the file, ``.svg`` or ``.png``.
        kept: Number of the epoch whose weights were kept.
        n: Validation pictures, for the title.
    """
    epochs = _numbers(rows, "epoch")
    count = "" if n is None else f", n = {n:,}"
    title = f"Fine-tuning on train and validation{count}, kept epoch {kept}"
    with drawn(path, title, 9, 3.8) as figure:
        for axes, figures in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for split, marker, colour in (
                ("train", "s", COLOURS[1]),
                ("validation", "o", COLOURS[0]),
            ):
                values = _numbers(rows, f"{split}_{figures}")
                axes.plot(epochs, values, f"{marker}-", color=colour, markersize=4, label=split)
            axes.axvline(kept, color=QUIET, linestyle="--", linewidth=1, label="kept")
            axes.xaxis.get_major_locator().set_params(integer=True)
            finish(axes, "epoch", figures)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _numbers(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """Return a column (epochs,) of numbers, NaN where there is none."""
    values = [row[column] for row in rows]
    return np.array([np.nan if value in (None, "") else float(value) for value in values])


CHARACTERS_A_LINE = 78


def plot_learning_curve(curve: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy on pictures held out of train against the number trained on.

    Dots are the folds, the line their mean, the band its 95 % interval.

    Args:
        curve: From `learning_curve.describe`: ``points`` and ``sentence``.
        path: Of the file, ``.svg`` or ``.png``.
    """
    import textwrap

    points = curve["points"]
    n = [point["n"] for point in points]
    low, high = np.array([point["ci95"] for point in points], float).T
    title = f"Learning curve on train, cross-validated, n up to {n[-1]:,}"
    with drawn(path, title, 6.2, 4.4) as figure:
        axes = figure.subplots()
        axes.fill_between(n, low, high, color=COLOURS[5], alpha=0.3, linewidth=0)
        for point in points:
            folds = point["accuracies"]
            axes.plot([point["n"]] * len(folds), folds, "o", color=QUIET, markersize=3, alpha=0.6)
        axes.plot(n, [point["accuracy"] for point in points], "o-", color=COLOURS[0])
        axes.set_xscale("log", base=2)
        axes.set_xticks(n, [f"{count:,}" for count in n])
        axes.minorticks_off()
        sentence = "\n".join(textwrap.wrap(curve["sentence"], CHARACTERS_A_LINE))
        finish(axes, "training pictures", "accuracy", sentence)
        axes.title.set_fontsize(8)
