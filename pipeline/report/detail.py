"""One run in detail, ready to be shown.

What made a run: its base, its head, its data and its program.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.charts import (
    calibration_chart,
    confidence_chart,
    epoch_charts,
    learning_chart,
    ranking_charts,
)
from pipeline.report.commands import Commands
from pipeline.report.confusion import confusion_view
from pipeline.report.material import Detail, Mapped
from pipeline.report.missing import Missing, Notes
from pipeline.report.names import visible
from pipeline.report.projection import TITLES
from pipeline.report.sprites import LARGE_QUALITY, data_uri, webp
from pipeline.report.thumbnails import Thumbnail
from pipeline.runs import Run

SHOWN_OF_A_DIGEST = 16


def recipe_view(run: Run) -> list[tuple[str, str]]:
    """Return names and values of everything that decided a run."""
    return [(name, visible(str(value))) for name, value in _rows(run) if value not in (None, "")]


def _rows(run: Run) -> Iterator[tuple[str, Any]]:
    info, base = run.info, run.info["base"]
    data, config = info["dataset"], info.get("config", {})
    yield "run", run.name
    yield "kind", "fine-tuned base" if info["kind"] == "finetune" else "head on frozen features"
    yield "from", info.get("from")
    yield "backbone", base["backbone"]
    yield "weights", f"{base['weights']}, SHA-256 {base['weights_digest'][:SHOWN_OF_A_DIGEST]}…"
    yield "layers and pooling", ", ".join(f"{layer} ({how})" for layer, how in base["cuts"])
    size = base["image_size"]
    yield "picture", f"{size} × {size} pixels, {base['resize']}, {base['interpolation']}"
    yield "JPEG decoding", base.get("jpeg", "full")
    yield "arithmetic, stored type", f"{base['precision']}, {base.get('dtype', 'float32')}"
    yield "head", info["head"]
    parameters = ", ".join(f"{name}={value}" for name, value in info["params"].items())
    yield "parameters", parameters or "none"
    yield "factor on scores", f"{info['factor']:.4g}" if "factor" in info else None
    yield "views", config.get("views") or None
    yield "mode", config.get("mode")
    if learned := info.get("learned_layers"):
        yield "layers that learned", f"{len(learned)}, from {learned[0]} to {learned[-1]}"
    yield "seed", info["seed"]
    yield "data", f"{data['root']}, digest {data['digest'][:SHOWN_OF_A_DIGEST]}…"
    counts = data["pictures"].items()
    yield "pictures", ", ".join(f"{name} {n:,}" for name, n in counts if n)
    yield "left out", data.get("left_out") or None
    yield "selected by", run.metrics["selection"]["by"]
    yield "made", info.get("created")
    yield "took", f"{info['seconds']:,.1f} s" if "seconds" in info else None
    versions = [f"{name} {version}" for name, version in info.get("versions", {}).items()]
    yield "versions", ", ".join([f"Python {info.get('python')}", *versions])


def detail_view(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    """Return everything that the page says of a run.

    Args:
        detail: The run with its pictures.
        commands: How to get each part again.
        notes: Told what is missing.
    """
    run, test = detail.run, detail.run.metrics["test"]
    again = commands.train(run)
    threshold = run.metrics["selection"].get("threshold")
    return {
        "name": visible(run.name),
        "kind": run.info["kind"],
        "summary": summary(detail),
        "test": test,
        "split": test["split"],
        "again": again,
        "confusion": confusion_view(test, detail.predictions.classes),
        "n_without_picture": int((detail.places < 0).sum()),
        "mistakes": _mistakes(detail),
        "n_mistakes": int(detail.predictions.wrong.sum()),
        "classes": [one | {"class": visible(one["class"])} for one in test["classes"]],
        "calibration": calibration_chart(test),
        "confidence": confidence_chart(
            detail.predictions, threshold["value"] if threshold else None
        ),
        "ranking": ranking_charts(detail.predictions),
        "learning": _learning(detail, commands, notes),
        "epochs": _epochs(detail, commands, notes),
        "threshold": _threshold(detail, threshold, commands, notes),
        "maps": _maps(detail.mapped),
        "maps_missing": _maps_missing(detail, commands, notes),
        "maps_again": commands.report([run.name]),
        "n_without_features": detail.mapped.n_without,
        "n_mapped": len(detail.mapped.pictures),
        "recipe": recipe_view(run),
    }


def summary(detail: Detail) -> dict[str, Any]:
    """Return the figures of a run's sentence: how good, on which split, from how many."""
    run, data = detail.run, detail.run.info["dataset"]
    test = run.test()
    return {
        **test,
        "name": visible(run.name),
        "data": visible(run.data_name),
        "head": visible(run.info["head"]),
        "layers": visible("+".join(run.info["layers"])),
        "backbone": run.info["base"]["backbone"],
        "kind": run.info["kind"],
        "trained": data["pictures"]["train"],
        "n_classes": len(data["classes"]),
        "selected_by": run.metrics["selection"]["by"],
        "wrong": round(test["n"] * (1 - test["accuracy"])),
    }


def _mistakes(detail: Detail) -> list[dict[str, Any]]:
    predictions = detail.predictions
    sure, given = predictions.confidence, predictions.given
    return [
        {
            "path": visible(predictions.paths[row]),
            "label": visible(predictions.classes[predictions.labels[row]]),
            "called": visible(predictions.classes[predictions.called[row]]),
            "probability": float(sure[row]),
            "given": float(given[row]),
            **_large(thumbnail),
        }
        for row, thumbnail in zip(detail.mistakes.tolist(), detail.large, strict=True)
    ]


def _large(thumbnail: Thumbnail) -> dict[str, Any]:
    image = thumbnail.image
    if image is None:
        return {"image": None, "reason": thumbnail.reason}
    encoded = data_uri(webp(image, LARGE_QUALITY))
    return {"image": encoded, "width": image.width, "height": image.height, "reason": ""}


def _learning(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    curve = detail.run.learning_curve()
    command = commands.learn(detail.run)
    if curve is not None:
        return {"chart": learning_chart(curve), "sentence": curve["sentence"], "again": command}
    if detail.run.info["kind"] == "finetune":
        return {"chart": None, "missing": None}  # a learning curve is of a head
    reason = "this run has no learning curve"
    return {"chart": None, "missing": notes.add("learning curve", detail.run.name, reason, command)}


def _epochs(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    run = detail.run
    epochs = run.metrics.get("epochs")
    if epochs:
        kept = run.metrics["selection"].get("epoch")
        charts = epoch_charts(epochs)
        initial = run.metrics.get("initial")
        return {"charts": charts, "rows": epochs, "kept": kept, "initial": initial}
    reason = "this run is a head on frozen features: nothing of its base was trained"
    missing = notes.add("fine-tuning", run.name, reason, commands.finetune(run))
    return {"charts": None, "missing": missing}


def _threshold(
    detail: Detail, threshold: Mapping[str, Any] | None, commands: Commands, notes: Notes
) -> dict[str, Any]:
    run = detail.run
    if threshold is None:
        if run.info["kind"] == "finetune":
            return {"chosen": None, "missing": None}
        reason = "this run answers every picture: no largest share of wrong answers was asked for"
        missing = notes.add("threshold", run.name, reason, commands.threshold(run))
        return {"chosen": None, "missing": missing}
    return {"chosen": threshold, "answered": run.metrics["test"].get("answered")}


def _maps(mapped: Mapped) -> list[dict[str, Any]]:
    return [
        {"name": name, "title": TITLES[name], "told": made.told}
        for name, made in mapped.maps.items()
    ]


def _maps_missing(detail: Detail, commands: Commands, notes: Notes) -> Missing | None:
    if detail.mapped.maps:
        return None
    run, reason = detail.run, detail.mapped.reason
    return notes.add("map", run.name, reason, commands.features(run))


def detail_payload(detail: Detail, set_number: int) -> dict[str, Any]:
    """Return what the page's script needs of a run: predictions and places on maps.

    Args:
        detail: The run.
        set_number: Which of the page's data sets its pictures are in.
    """
    predictions = detail.predictions
    shown = detail.places >= 0
    return {
        "set": set_number,
        "classes": [visible(name) for name in predictions.classes],
        "picture": detail.places[shown].tolist(),
        "given": predictions.labels[shown].tolist(),
        "called": predictions.called[shown].tolist(),
        "p": _rounded(predictions.confidence[shown].tolist()),
        "pGiven": _rounded(predictions.given[shown].tolist()),
        "mapped": detail.mapped.pictures.tolist(),
        "maps": {
            name: {"x": made.places[:, 0].tolist(), "y": made.places[:, 1].tolist()}
            for name, made in detail.mapped.maps.items()
        },
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 4) for value in values]
