"""How fine-tuning went, and whether more pictures would help."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluate.plots.calibration import floor_of
from pipeline.evaluate.plots.svg import Chart, even_ticks, legend, write_figure

MOST_STEPS = 10
SPLITS = {"train": 1, "validation": 0}
"""Numbers of their colours."""


def plot_history(
    epochs: Sequence[Mapping[str, Any]],
    kept: int | None,
    n: int,
    path: Path,
    mixtures: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw `epoch_charts` of fine-tuning, judged on n validation pictures."""
    title = f"Fine-tuning on train and validation, n = {n:,}, kept epoch {kept}"
    blocks = [chart.block() for chart in epoch_charts(epochs, kept, mixtures).values()]
    names = [(f"c{colour}", split) for split, colour in SPLITS.items()]
    write_figure(path, title, [*blocks, legend("", [*names, ("quiet dashed", "kept epoch")])])


def epoch_charts(
    epochs: Sequence[Mapping[str, Any]],
    kept: int | None,
    mixtures: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Chart]:
    """Draw ``loss`` and ``accuracy`` of each epoch, and ``mixture`` where there are some.

    Epochs have ``train_…`` and ``validation_…`` of both, None where there is none: epoch 0 has no
    training figures. The kept one is marked. Mixtures have the ``share`` of the kept epoch, and
    ``validation_loss``.
    """
    charts = {name: _epoch_chart(epochs, name, kept) for name in ("loss", "accuracy")}
    return charts | ({"mixture": _mixture_chart(mixtures)} if mixtures else {})


def _mixture_chart(mixtures: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the loss of means of the weights before training and of the kept epoch."""
    points = [(float(one["share"]), float(one["validation_loss"])) for one in mixtures]
    finite = [loss for _, loss in points if math.isfinite(loss)]
    margin = 0.08 * (max(finite) - min(finite)) or 0.05
    low, high = max(0.0, min(finite) - margin), max(finite) + margin
    chart = Chart((0, 1), (low, high), "share of the kept epoch", "validation loss")
    chart.ticks(even_ticks(0, 1), even_ticks(low, high))
    drawn = [point for point in points if math.isfinite(point[1])]
    best = min(drawn, key=lambda point: point[1])[0]
    chart.rule(best, "quiet dashed").line(drawn, "c0")
    for share, loss in drawn:
        chart.mark(share, loss, "f0", 3, f"{share:.0%}: {loss:.4f}")
    said = f"validation loss by the share of the kept epoch; the lowest is at {best:.0%}"
    return chart.tell(said, "between the head alone and the kept epoch")


def _epoch_chart(epochs: Sequence[Mapping[str, Any]], name: str, kept: int | None) -> Chart:
    series = {split: _series(epochs, f"{split}_{name}") for split in SPLITS}
    values = [value for points in series.values() for _, value in points] or [0.0, 1.0]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05
    low, high = max(0.0, low - margin), high + margin
    if name == "accuracy":
        high = min(1.0, high)
    last = max(epoch["epoch"] for epoch in epochs)
    steps = [(float(n), str(n)) for n in range(0, last + 1, max(1, -(-last // MOST_STEPS)))]
    chart = Chart((0, max(last, 1)), (low, high), "epoch", name).ticks(steps, even_ticks(low, high))
    if kept is not None:
        chart.rule(kept, "quiet dashed")
    for split, points in series.items():
        chart.line(points, f"c{SPLITS[split]}")
        for at, value in points:
            chart.mark(at, value, f"f{SPLITS[split]}", 3, f"epoch {at}: {value:.4f}")
    said = "; ".join(
        f"{split} from {points[0][1]:.4f} to {points[-1][1]:.4f}"
        for split, points in series.items()
        if points
    )
    return chart.tell(f"{name} by epoch: {said}; kept is epoch {kept}", name)


def _series(epochs: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    values = [(epoch["epoch"], epoch[name]) for epoch in epochs]
    return [(at, value) for at, value in values if value is not None and math.isfinite(value)]


def plot_learning_curve(curve: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy on pictures held out of train against the number trained on."""
    title = f"Learning curve on train, cross-validated, n up to {curve['points'][-1]['n']:,}"
    write_figure(path, title, [learning_chart(curve).block()], curve["sentence"])


def learning_chart(curve: Mapping[str, Any]) -> Chart:
    """Draw a learning curve: small dots are the folds, the line their mean, the band its interval.

    It is from `learning_curve.describe`: ``points`` and ``sentence``.
    """
    points = curve["points"]
    ns = [math.log2(point["n"]) for point in points]
    lows, highs = zip(*(point["ci95"] for point in points), strict=True)
    folds = [one for point in points for one in point["accuracies"]]
    low, high = floor_of([*lows, *folds]), min(1.0, math.ceil(max(*highs, *folds) * 20) / 20)
    ends = (ns[0] - 0.1, ns[-1] + 0.1 + (len(ns) == 1))
    chart = Chart(ends, (low, high), "training pictures", "accuracy")
    texts = [(at, f"{point['n']:,}") for at, point in zip(ns, points, strict=True)]
    chart.ticks(texts, even_ticks(low, high))
    chart.band(list(zip(ns, lows, strict=True)), list(zip(ns, highs, strict=True)))
    for at, point in zip(ns, points, strict=True):
        for accuracy in point["accuracies"]:
            chart.mark(at, accuracy, "fq", 2)
    chart.line([(at, point["accuracy"]) for at, point in zip(ns, points, strict=True)], "c0")
    for at, point in zip(ns, points, strict=True):
        told = f"{point['n']:,} pictures: {point['accuracy']:.4f}"
        chart.mark(at, point["accuracy"], "f0", 3.5, told)
    return chart.tell(f"Learning curve. {curve['sentence']}")
