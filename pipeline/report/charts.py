"""The charts of one run, drawn from the figures that its folder holds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.evaluate import proportion
from pipeline.report.names import visible
from pipeline.report.predictions import RunPredictions
from pipeline.report.svg import Chart, even_ticks
from pipeline.runs import FinalTest

N_BARS = 20
MOST_CURVES = 8
MOST_POINTS = 160


def calibration_chart(test: FinalTest) -> Markup:
    """Draw the reliability diagram: groups of pictures with Wilson's intervals."""
    points = test.reliability
    intervals = [proportion(p.accuracy, p.n).ci95 for p in points]
    low = _floor(min([p.confidence for p in points] + [below for below, _ in intervals]))
    ticks = even_ticks(low, 1.0)
    chart = Chart((low, 1.0), (low, 1.0), "confidence", "accuracy").ticks(ticks, ticks)
    chart.line([(low, low), (1.0, 1.0)], "quiet dashed")
    for p, (below, above) in zip(points, intervals, strict=True):
        chart.whisker(p.confidence, below, above, "c0 thin")
    for p in points:
        told = f"{p.n} pictures: confidence {p.confidence:.3f}, right {p.accuracy:.3f}"
        chart.mark(p.confidence, p.accuracy, "f0", 4, told)
    error = test.calibration_error
    return chart.svg(
        f"Reliability diagram of {len(points)} groups; expected calibration error {error:.3f}. "
        f"The figures are in the table below."
    )


def confidence_chart(predictions: RunPredictions, threshold: float | None) -> Markup:
    """Draw how many pictures are called with which confidence, right ones and wrong ones."""
    sure = np.minimum(predictions.confidence, 1.0)
    low = _floor(float(sure.min()))
    edges = np.linspace(low, 1.0, N_BARS + 1)
    everything = np.histogram(sure, edges)[0]
    wrong = np.histogram(sure[predictions.wrong], edges)[0]
    top = float(everything.max())
    ends = (low, 1.0), (0.0, top * 1.05)
    chart = Chart(*ends, "confidence", "pictures").ticks(
        even_ticks(low, 1.0), even_ticks(0.0, top, 5)
    )
    for begin, end, n, bad in zip(edges[:-1], edges[1:], everything, wrong, strict=True):
        told = f"{begin:.2f} to {end:.2f}: {n} pictures, {bad} of them wrong"
        if n:
            chart.bar(float(begin), float(end), float(n), "f5", told)
        if bad:
            chart.bar(float(begin), float(end), float(bad), "f1", told)
    if threshold is not None and low <= threshold <= 1:
        chart.rule(threshold, "quiet dashed")
    return chart.svg(
        f"Confidence of {len(predictions)} pictures, {int(predictions.wrong.sum())} of them called "
        f"wrongly; the lowest is {float(sure.min()):.2f}"
    )


def ranking_charts(predictions: RunPredictions) -> dict[str, Any] | None:
    """Draw ROC and precision-recall curves: of two classes the second, else the hardest ones."""
    from pipeline.evaluate.plots.ranking import class_curves

    curves = class_curves(predictions.probabilities, predictions.labels)
    if not curves:
        return None
    hardest = sorted(curves, key=lambda curve: (curve.precision, curve.number))[:MOST_CURVES]
    unit = even_ticks(0.0, 1.0)
    roc = Chart((0, 1), (0, 1), "false positive rate", "true positive rate").ticks(unit, unit)
    roc.line([(0, 0), (1, 1)], "quiet dashed")
    pr = Chart((0, 1), (0, 1), "recall", "precision").ticks(unit, unit)
    for place, curve in reversed(list(enumerate(hardest))):
        kind = f"c{place % 6}" + (" dashed" if place >= 6 else "")
        roc.line(_thinned(curve.roc.T), kind)
        pr.line(_thinned(_stepped(curve.pr)), kind)
    return {
        "roc": roc.svg("ROC curves; the areas are in the list below"),
        "pr": pr.svg("Precision-recall curves; the average precisions are in the list below"),
        "legend": [
            {
                "colour": place % 6,
                "dashed": place >= 6,
                "name": visible(predictions.classes[curve.number]),
                "area": curve.area,
                "precision": curve.precision,
            }
            for place, curve in enumerate(hardest)
        ],
        "n_more": len(curves) - len(hardest),
    }


def _stepped(curve: np.ndarray) -> np.ndarray:
    """Let precision hold from the recall before: (m, 2)."""
    recall, precision = curve
    corners = np.stack([np.repeat(recall, 2)[:-1], np.repeat(precision, 2)[1:]])
    return corners.T


def _thinned(points: np.ndarray) -> list[tuple[float, float]]:
    """Leave out points that lie within a pixel or two of their neighbours; ends stay."""
    rounded = np.round(points, 3)
    differs = np.append(True, (rounded[1:] != rounded[:-1]).any(1))
    kept = rounded[differs]
    step = max(1, len(kept) // MOST_POINTS)
    places = np.unique(np.append(np.arange(0, len(kept), step), len(kept) - 1))
    return [(float(x), float(y)) for x, y in kept[places]]


def learning_chart(curve: Mapping[str, Any]) -> Markup:
    """Draw accuracy on pictures held out of train against how many were learnt from."""
    points = curve["points"]
    ns = [math.log2(p["n"]) for p in points]
    lows, highs = zip(*(p["ci95"] for p in points), strict=True)
    low, high = _floor(min(lows)), min(1.0, math.ceil(max(highs) * 20) / 20)
    ends = (ns[0] - 0.1, ns[-1] + 0.1 + (len(ns) == 1)), (low, high)
    chart = Chart(*ends, "training pictures", "accuracy")
    texts = [(at, f"{p['n']:,}") for at, p in zip(ns, points, strict=True)]
    chart.ticks(texts, even_ticks(low, high))
    chart.band(list(zip(ns, lows, strict=True)), list(zip(ns, highs, strict=True)))
    chart.line([(at, p["accuracy"]) for at, p in zip(ns, points, strict=True)], "c0")
    for at, p in zip(ns, points, strict=True):
        chart.mark(at, p["accuracy"], "f0", 3.5, f"{p['n']:,} pictures: {p['accuracy']:.4f}")
    return chart.svg(f"Learning curve. {curve['sentence']}")


def epoch_charts(epochs: Sequence[Mapping[str, Any]]) -> dict[str, Markup]:
    """Draw loss and accuracy of each epoch on train and validation, and mark the kept epoch."""
    kept = min(epochs, key=lambda epoch: epoch["validation_loss"])["epoch"]
    return {name: _epoch_chart(epochs, name, kept) for name in ("loss", "accuracy")}


def _epoch_chart(epochs: Sequence[Mapping[str, Any]], name: str, kept: int) -> Markup:
    series = {split: _series(epochs, f"{split}_{name}") for split in ("train", "validation")}
    values = [value for points in series.values() for _, value in points]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05
    low, high = max(0.0, low - margin), high + margin
    if name == "accuracy":
        high = min(1.0, high)
    last = max(e["epoch"] for e in epochs)
    steps = [(float(n), str(n)) for n in range(0, last + 1, max(1, -(-last // 10)))]
    chart = Chart((0, max(last, 1)), (low, high), "epoch", name).ticks(steps, even_ticks(low, high))
    chart.rule(kept, "quiet dashed")
    for kind, points in zip((1, 0), series.values(), strict=True):
        chart.line(points, f"c{kind}")
        for at, value in points:
            chart.mark(at, value, f"f{kind}", 3, f"epoch {at}: {value:.4f}")
    said = "; ".join(
        f"{split} from {points[0][1]:.4f} to {points[-1][1]:.4f}"
        for split, points in series.items()
        if points
    )
    return chart.svg(f"{name} by epoch: {said}; kept is epoch {kept}")


def _series(epochs: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [(epoch["epoch"], epoch[name]) for epoch in epochs if epoch[name] is not None]


def _floor(value: float) -> float:
    """Return a round number at or below a share, with room to the right of it."""
    return max(0.0, math.floor(min(value, 0.8) * 10) / 10)
