"""Whether more pictures would help."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.plots.canvas import COLOURS, QUIET, drawn, finish

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
