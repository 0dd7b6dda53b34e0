"""Whether probabilities mean what they say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.evaluate import proportion
from pipeline.plots.canvas import COLOURS, QUIET, drawn, finish, titled

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
