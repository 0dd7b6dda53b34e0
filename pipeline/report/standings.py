"""The leaderboard of one data set, as `pipeline compare` has it, ready to be shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report.choice import Chosen
from pipeline.report.names import visible
from pipeline.runs import Run, describe_leaderboard


def standings_view(chosen: Chosen, anchors: Mapping[str, str]) -> dict[str, Any]:
    """Return the rows of a leaderboard, and what they are rows of.

    Args:
        chosen: The runs.
        anchors: Ids of the sections of runs in detail, by name.
    """
    rows = describe_leaderboard([chosen.standings])
    low, high = _scale(rows)
    shown = [
        _row(place, row, run, anchors, (low, high))
        for place, (row, run) in enumerate(zip(rows, chosen.runs, strict=True), 1)
    ]
    compared = [row for row in rows if row["difference"] is not None]
    return {
        "rows": shown,
        "splits": sorted({row["test"]["split"] for row in rows}),
        "low": low,
        "high": high,
        "n_compared": len(compared),
        "n_together": sum(bool(row["with_leader"]) for row in compared),
        "correction": compared[0]["difference"]["test"] if compared else "",
    }


def _scale(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of the axis on which intervals are drawn."""
    lows = [row["test"]["ci95"][0] for row in rows]
    highs = [row["test"]["ci95"][1] for row in rows]
    low, high = min(lows), max(highs)
    margin = max(0.01, 0.05 * (high - low))
    return max(0.0, low - margin), min(1.0, high + margin)


def _row(
    place: int,
    row: Mapping[str, Any],
    run: Run,
    anchors: Mapping[str, str],
    scale: tuple[float, float],
) -> dict[str, Any]:
    selection, test = run.metrics["selection"], row["test"]
    return {
        "place": place,
        "name": visible(run.name),
        "anchor": anchors.get(run.name),
        "kind": run.info["kind"],
        "head": visible(row["head"]),
        "layers": visible("+".join(row["layers"])),
        "selected_by": selection["by"],
        "selection": row["selection_accuracy"],
        "selection_ci95": selection.get("ci95"),
        "test": test["accuracy"],
        "ci95": test["ci95"],
        "bar": _bar(test["accuracy"], test["ci95"], scale),
        "split": test["split"],
        "n": test["n"],
        "log_loss": run.metrics["test"]["log_loss"],
        "difference": row["difference"],
        "with_leader": row["with_leader"],
    }


def _bar(value: float, ci95: Sequence[float], scale: tuple[float, float]) -> dict[str, float]:
    """Return where the interval and the figure are drawn, from 0 to 100."""
    low, high = scale
    span = max(high - low, 1e-9)
    begin, end, middle = ((one - low) / span * 100 for one in (*ci95, value))
    return {"x": round(begin, 2), "width": round(max(end - begin, 0.5), 2), "at": round(middle, 2)}
