"""How fine-tuning went."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.plots.canvas import COLOURS, QUIET, drawn, finish


def plot_history(rows: Sequence[Mapping[str, Any]], path: Path, n: int | None = None) -> None:
    """Draw loss and accuracy of each epoch, on train and validation, and mark the kept epoch.

    Args:
        rows: Of ``history.csv``, as numbers or as text: ``epoch``, ``train_loss``,
            ``train_accuracy``, ``validation_loss``, ``validation_accuracy``. Epoch 0 has no
            training figures. Kept is the lowest validation loss, the first of equals.
        path: Of the file, ``.svg`` or ``.png``.
        n: Validation pictures, for the title.
    """
    epochs = _numbers(rows, "epoch")
    kept = int(np.nanargmin(_numbers(rows, "validation_loss")))
    count = "" if n is None else f", n = {n:,}"
    title = f"Fine-tuning on train and validation{count}, kept epoch {epochs[kept]:.0f}"
    with drawn(path, title, 9, 3.8) as figure:
        for axes, figures in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
            for split, marker, colour in (
                ("train", "s", COLOURS[1]),
                ("validation", "o", COLOURS[0]),
            ):
                values = _numbers(rows, f"{split}_{figures}")
                axes.plot(epochs, values, f"{marker}-", color=colour, markersize=4, label=split)
            axes.axvline(epochs[kept], color=QUIET, linestyle="--", linewidth=1, label="kept")
            axes.xaxis.get_major_locator().set_params(integer=True)
            finish(axes, "epoch", figures)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _numbers(rows: Sequence[Mapping[str, Any]], column: str) -> np.ndarray:
    """Return a column (epochs,) of numbers, NaN where there is none."""
    values = [row[column] for row in rows]
    return np.array([np.nan if value in (None, "") else float(value) for value in values])
