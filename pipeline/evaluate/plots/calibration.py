"""Whether probabilities mean what they say, and how sure they are."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.evaluate.calibration import Reliability, ReliabilityPoint
from pipeline.evaluate.counts import proportion
from pipeline.evaluate.plots.svg import Chart, even_ticks, titled, write_figure

N_BARS = 20


def plot_calibration(
    points: Sequence[ReliabilityPoint],
    confidence: np.ndarray,
    wrong: np.ndarray,
    split: str,
    path: Path,
) -> None:
    """Draw the reliability diagram, and beside it how sure the predictions are.

    Confidence (n,) is that of what each picture was called, ``wrong`` (n,) bool whether wrongly.
    """
    charts = calibration_chart(points), confidence_chart(confidence, wrong)
    blocks = [chart.block() for chart in charts]
    write_figure(path, titled("Calibration", split, len(confidence)), blocks)


def calibration_chart(points: Sequence[ReliabilityPoint]) -> Chart:
    """Draw the reliability diagram.

    A point stands for a group of pictures of about the same confidence, as many in each group; its
    bar is Wilson's 95 % interval. Bars that meet the diagonal are what calibration looks like on so
    few pictures.
    """
    intervals = [proportion(point.accuracy, point.n).ci95 for point in points]
    low = floor_of([point.confidence for point in points] + [below for below, _ in intervals])
    ticks = even_ticks(low, 1.0)
    chart = Chart((low, 1.0), (low, 1.0), "confidence", "accuracy").ticks(ticks, ticks)
    chart.line([(low, low), (1.0, 1.0)], "quiet dashed")
    for point, (below, above) in zip(points, intervals, strict=True):
        chart.whisker(point.confidence, below, above, "c0 thin")
    for point in points:
        told = f"{point.n} pictures: confidence {point.confidence:.3f}, right {point.accuracy:.3f}"
        chart.mark(point.confidence, point.accuracy, "f0", 4, told)
    error = Reliability(tuple(points)).error
    return chart.tell(
        f"Reliability diagram of {len(points)} groups; expected calibration error {error:.3f}. "
        f"The figures are in the table below.",
        f"expected calibration error {error:.3f} (dashed: none)",
    )


def confidence_chart(
    confidence: np.ndarray, wrong: np.ndarray, threshold: float | None = None
) -> Chart:
    """Draw how many pictures are called with which confidence, right ones and wrong ones.

    Confidence (n,) is that of what each picture was called, ``wrong`` (n,) bool whether wrongly;
    the threshold is the lowest that is answered, if there is one.
    """
    sure = np.minimum(confidence, 1.0)
    low = floor_of(sure)
    edges = np.linspace(low, 1.0, N_BARS + 1)
    everything, bad = np.histogram(sure, edges)[0], np.histogram(sure[wrong], edges)[0]
    top = float(everything.max())
    chart = Chart((low, 1.0), (0.0, top * 1.05), "confidence", "pictures")
    chart.ticks(even_ticks(low, 1.0), even_ticks(0.0, top, 5))
    for place, (n, n_bad) in enumerate(zip(everything.tolist(), bad.tolist(), strict=True)):
        begin, end = edges[place : place + 2].tolist()
        told = f"{begin:.2f} to {end:.2f}: {n} pictures, {n_bad} of them wrong"
        if n:
            chart.bar((begin, end), n, "f5", told)
        if n_bad:
            chart.bar((begin, end), n_bad, "f1", told)
    if threshold is not None and low <= threshold <= 1:
        chart.rule(threshold, "quiet dashed")
    return chart.tell(
        f"Confidence of {len(sure)} pictures, {int(wrong.sum())} of them called wrongly; the "
        f"lowest is {float(sure.min()):.2f}",
        "pictures by confidence (orange: wrong)",
    )


def typical_chart(counts: Sequence[int], least: float) -> Chart:
    """Draw how many pictures are how typical; as many in every bar where they are like train.

    Bars are of one width from 0 to 1. Below ``least`` a picture is called none of the classes.
    """
    edges, top, n = np.linspace(0, 1, len(counts) + 1).tolist(), max(counts), sum(counts)
    chart = Chart((0.0, 1.0), (0.0, max(top, 1) * 1.05), "typical of train", "pictures")
    chart.ticks(even_ticks(0.0, 1.0), even_ticks(0.0, float(max(top, 1)), 5))
    for begin, end, count in zip(edges[:-1], edges[1:], counts, strict=True):
        if count:
            chart.bar((begin, end), count, "f5", f"{begin:.2f} to {end:.2f}: {count} pictures")
    chart.line([(0.0, n / len(counts)), (1.0, n / len(counts))], "quiet dashed")
    chart.rule(least, "quiet dashed")
    return chart.tell(
        f"How typical {n} pictures are of the training pictures",
        "pictures by how typical they are (dashed: as many in every bar, and the least)",
    )


def floor_of(values: Sequence[float] | np.ndarray) -> float:
    """Return a round number at or below all shares, with room to the right of it."""
    return max(0.0, math.floor(min(0.8, float(np.min(values))) * 10) / 10)
