"""What the whole page shows, data set by data set."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.evaluate.plots.bases import bases_chart
from pipeline.report.commands import Commands, Notes
from pipeline.report.detail import detail_payload, detail_view
from pipeline.report.findings import MOST_LISTED, MOST_OF_A_GROUP
from pipeline.report.material import Chosen, Material
from pipeline.report.tables import heatmap_view
from pipeline.runs import RunFolder, bases_of
from pipeline.system.visible import visible


def standings_view(chosen: Chosen, anchors: Mapping[str, str]) -> dict[str, Any]:
    """Return the rows of a leaderboard, and what they are rows of.

    Anchors are ids of the sections of runs in detail, by name.
    """
    rows = [standing.to_dict() for standing in chosen.standings]
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
    run: RunFolder,
    anchors: Mapping[str, str],
    scale: tuple[float, float],
) -> dict[str, Any]:
    return {
        **row,
        "place": place,
        "name": visible(run.name),
        "anchor": anchors.get(run.name),
        "head": visible(run.head),
        "layers": visible("+".join(run.layers)),
        "selection_ci95": run.selection.ci95,
        "bar": _bar(run.test.accuracy, run.test.ci95, scale),
        "log_loss": run.test.log_loss,
    }


def _bar(value: float, ci95: Sequence[float], scale: tuple[float, float]) -> dict[str, float]:
    """Return where the interval and the figure are drawn, from 0 to 100."""
    low, high = scale
    span = max(high - low, 1e-9)
    begin, end, middle = ((one - low) / span * 100 for one in (*ci95, value))
    return {"x": round(begin, 2), "width": round(max(end - begin, 0.5), 2), "at": round(middle, 2)}


def page_view(
    materials: Sequence[Material], commands: Commands, names: Sequence[str], notes: Notes
) -> dict[str, Any]:
    """Return what the template shows of the data sets and of the runs that were asked for."""
    sets, number = [], 0
    for place, material in enumerate(materials):
        runs = []
        for detail in material.details:
            view = detail_view(detail, commands, notes)
            runs.append(view | {"number": number, "set": place, "id": f"run-{number}"})
            number += 1
        sets.append(_set_view(place, material, runs, commands, notes))
    title = ", ".join(dict.fromkeys(one["name"] for one in sets))
    return {"title": title, "sets": sets, "again": commands.report(names)}


def _set_view(
    number: int,
    material: Material,
    runs: Sequence[Mapping[str, Any]],
    commands: Commands,
    notes: Notes,
) -> dict[str, Any]:
    chosen = material.chosen
    first, album = chosen.first, material.album
    details = zip(material.details, runs, strict=True)
    anchors = {detail.run.name: view["id"] for detail, view in details}
    if material.found.reason:
        notes.add("pictures", first.dataset.root, material.found.reason)
    return {
        "number": number,
        "id": f"data-{number}",
        "name": visible(first.dataset.name),
        "root": visible(first.dataset.root),
        "counts": _counts(first),
        "found": material.found,
        "found_reason": visible(material.found.reason),
        "leaderboard": standings_view(chosen, anchors),
        "compare": commands.compare(),
        "heatmap": heatmap_view(chosen.runs),
        "bases": _bases_view(chosen.runs),
        "search": commands.search(first),
        "runs": runs,
        "n_pictures": len(album),
        "n_all": album.n_all,
        "sampled": album.sampled,
        "n_mistakes": album.n_mistakes,
        "n_mistakes_kept": album.n_mistakes_kept,
        "only_test": album.rows is None,
        "n_unreadable": len(material.unreadable),
        "unreadable": [tuple(map(visible, one)) for one in material.unreadable[:MOST_LISTED]],
        "findings": _findings_view(material, commands, notes),
    }


def _bases_view(runs: Sequence[RunFolder]) -> dict[str, Any] | None:
    """Return the bases that were compared, as the best run that knows of some says; or None."""
    rows = next(filter(None, map(bases_of, runs)), None)
    if rows is None:
        return None
    chart = bases_chart(rows)
    shown = [
        {**row, "name": visible(row["backbone"]), "dropped": visible(row["dropped"] or "")}
        for row in rows
    ]
    return {"rows": shown, "chart": None if chart is None else chart.svg()}


def _counts(run: RunFolder) -> str:
    """Say how many pictures a run found, and how many of each split it used."""
    names, lost = {"test": run.test.split}, run.dataset.left_out
    counts = {names.get(split, split): n for split, n in run.dataset.pictures.items() if n}
    splits = ", ".join(f"{split} {n}" for split, n in counts.items())
    if not lost:
        return f"{sum(counts.values())} pictures: {splits}"
    used = sum(counts.values())
    return f"{used + lost} pictures found, {lost} left out; {used} used: {splits}"


def _findings_view(material: Material, commands: Commands, notes: Notes) -> dict[str, Any]:
    run, findings = material.chosen.first, material.findings
    missing = None
    if findings.reason:
        judged = findings.value is not None and findings.value["label_agreement"] is not None
        command = "" if judged else commands.features(run)
        missing = notes.add("labels, copies and leaks", run.dataset.name, findings.reason, command)
    again, value = commands.check(run), findings.value
    shown = {
        "missing": missing,
        "again": again,
        "label": commands.label(run),
        "layers": visible(findings.layers),
    }
    if value is None:
        return shown | {"value": None}
    places = {path: place for place, path in enumerate(material.album.paths)}
    maps = material.details[0].closer.maps

    def picture(one: Mapping[str, Any]) -> dict[str, Any]:
        named = {key: visible(one[key]) for key in ("path", "split", "label")}
        return named | {"place": places.get(one["path"])}

    return shown | {
        "value": value,
        "suspects": [
            picture(one)
            | {key: one[key] for key in ("probability", "suggested_probability")}
            | {"suggested": visible(one["suggested"]), "map": maps.get(places.get(one["path"], -1))}
            for one in value["suspects"][:MOST_LISTED]
        ],
        "leaks": [
            picture(one)
            | {key: one[key] for key in ("exact", "similarity", "n_others")}
            | {"other": picture(one["other"])}
            for one in value["leaks"][:MOST_LISTED]
        ],
        "groups": [
            {key: one[key] for key in ("exact", "similarity", "contradictory", "across_splits")}
            | {
                "pictures": [picture(each) for each in one["pictures"][:MOST_OF_A_GROUP]],
                "n": len(one["pictures"]),
            }
            for one in value["duplicates"][:MOST_LISTED]
        ],
        "unreadable": [
            (visible(one["path"]), visible(one["reason"]))
            for one in value["unreadable"][:MOST_LISTED]
        ],
        "balance": visible(value["imbalance"]["sentence"]),
    }


def payload_of(materials: Sequence[Material]) -> dict[str, Any]:
    """Return what the page's script works with: pictures of each data set, and the runs."""
    return {
        "sets": [_set_payload(material) for material in materials],
        "runs": [
            detail_payload(detail, number)
            for number, material in enumerate(materials)
            for detail in material.details
        ],
    }


def _set_payload(material: Material) -> dict[str, Any]:
    album, sheets = material.album, material.sheets
    classes = material.chosen.first.dataset.classes
    splits = sorted(set(album.splits), key=lambda name: (name != "train", name))
    return {
        "paths": [visible(path) for path in album.paths],
        "classes": [visible(name) for name in classes],
        "label": _numbers(album.labels, classes),
        "splits": [visible(name) for name in splits],
        "split": _numbers(album.splits, splits),
        "w": [width for width, _ in sheets.sizes],
        "h": [height for _, height in sheets.sizes],
        "tile": sheets.tile,
        "columns": sheets.columns,
        "rows": sheets.rows,
    }


def _numbers(values: Sequence[str], names: Sequence[str]) -> list[int]:
    places = {name: number for number, name in enumerate(names)}
    return [places[value] for value in values]
