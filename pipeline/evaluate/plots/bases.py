"""Which bases are worth their time: accuracy against speed."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.evaluate.plots.svg import Chart, even_ticks, legend, write_figure

RATES = [1.0, 2.0, 5.0]


def plot_bases(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw accuracy against speed, one mark a base of `bases_chart`."""
    chart = bases_chart(rows)
    if chart is None:
        return
    marks = [(f"c{place % 6}", row["backbone"]) for place, row in enumerate(_known(rows))]
    title = "Bases by the same ridge regression on the same pictures"
    names = legend("", [*marks, ("quiet dashed", "best of their speed")])
    write_figure(path, title, [chart.block(), names])


def bases_chart(rows: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw accuracy against pictures per second (logarithmic), and the front that no base beats.

    Rows are those of ``bases.json``; those whose rate is not known are left out. None where fewer
    than two bases can be drawn.
    """
    known = _known(rows)
    if len(known) < 2:
        return None
    speeds = [math.log10(row["images_per_second"]) for row in known]
    lows, highs = zip(*(row["sample_ci95"] for row in known), strict=True)
    x, y = (min(speeds) - 0.1, max(speeds) + 0.1), (min(lows) - 0.01, min(1.0, max(highs) + 0.01))
    chart = Chart(x, y, "pictures per second", "accuracy")
    ticks = [(math.log10(rate), f"{rate:,g}") for rate in _round_rates(*x)]
    chart.ticks(ticks, even_ticks(*y))
    front = sorted(
        (speed, row["sample_accuracy"])
        for speed, row in zip(speeds, known, strict=True)
        if row["pareto"]
    )
    chart.line(front, "quiet dashed")
    for place, (speed, row) in enumerate(zip(speeds, known, strict=True)):
        told = f"{row['backbone']}: {row['sample_accuracy']:.4f}, {row['images_per_second']:,.0f}/s"
        low, high = row["sample_ci95"]
        chart.whisker(speed, low, high, f"c{place % 6} thin")
        chart.mark(speed, row["sample_accuracy"], f"f{place % 6}", 5, told)
    n = known[0]["sample"]
    return chart.tell(
        f"Accuracy against speed of {len(known)} bases; the figures are in the table below.",
        f"by ridge regression on up to {n} pictures a class",
    )


def _known(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["images_per_second"] and row["sample_accuracy"] is not None]


def _round_rates(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten between two powers of ten."""
    rates = (step * 10.0**power for power in range(-2, 7) for step in RATES)
    return [rate for rate in rates if 10**low <= rate <= 10**high]
