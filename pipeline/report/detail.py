"""One run in detail, ready to be shown."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.backbones.engines.precision import kind_of
from pipeline.evaluate import reliability
from pipeline.evaluate.plots.calibration import (
    calibration_chart,
    confidence_chart,
    typical_chart,
)
from pipeline.evaluate.plots.ranking import ranking_charts
from pipeline.evaluate.plots.training import epoch_charts, learning_chart
from pipeline.report.closer import NOT_ASKED
from pipeline.report.commands import Commands, Missing, Notes
from pipeline.report.findings import MOST_LISTED
from pipeline.report.material import Detail
from pipeline.report.projection import TITLES
from pipeline.report.tables import confusion_view
from pipeline.report.thumbnails import LARGE_QUALITY, Thumbnail, data_uri, webp
from pipeline.runs import RunFolder, learning_curve_of
from pipeline.runs.figures import MOST_UNTYPICAL
from pipeline.system.visible import visible

SHOWN_OF_A_DIGEST = 16


def recipe_view(run: RunFolder) -> list[tuple[str, str]]:
    """Return names and values of everything that decided a run."""
    return [(name, visible(str(value))) for name, value in _rows(run) if value not in (None, "")]


def _rows(run: RunFolder) -> Iterator[tuple[str, Any]]:
    recipe, decoding, data, tuned = run.recipe, run.decoding, run.dataset, run.fine_tuning
    yield "run", run.name
    yield "kind", "head on frozen features" if tuned is None else "fine-tuned base"
    yield "from", tuned and tuned.from_run
    yield "backbone", recipe.backbone
    yield "weights", f"{run.weights}, SHA-256 {recipe.weights[:SHOWN_OF_A_DIGEST]}…"
    yield "layers and pooling", ", ".join(f"{layer} ({how})" for layer, how in recipe.cuts)
    size = recipe.image_size
    yield "picture", f"{size} × {size} pixels, {decoding.resize}, {decoding.interpolation}"
    yield "JPEG decoding", decoding.jpeg
    yield "arithmetic, stored type", f"{kind_of(recipe.precision)}, {recipe.dtype}"
    yield "head", run.head
    parameters = ", ".join(f"{name}={value}" for name, value in run.params.items())
    yield "parameters", parameters or "none"
    yield "factor on scores", f"{run.factor:.4g}" if tuned is None else None
    yield "views", run.n_views or None
    yield "mode", run.mode
    if tuned is not None and (learned := tuned.learned_layers):
        yield "layers that learned", f"{len(learned)}, from {learned[0]} to {learned[-1]}"
    if tuned is not None and tuned.learning_rate is not None:
        before = " and ".join(f"{one:g}" for one in tuned.given_up)
        after = f", after {before} got no further" if before else ""
        changed = tuned.changes.get("augment", "none")
        yield "steps", f"{tuned.learning_rate:g}{after}; changes: {changed}"
    yield "seed", run.seed
    yield "data", f"{data.root}, digest {data.digest[:SHOWN_OF_A_DIGEST]}…"
    yield "pictures", ", ".join(f"{name} {n:,}" for name, n in data.pictures.items() if n)
    yield "left out", data.left_out or None
    yield "selected by", run.selection.by
    yield "made", run.created
    yield "took", f"{run.seconds:,.1f} s" if run.seconds else None
    versions = [f"{name} {version}" for name, version in run.versions.items()]
    yield "versions", ", ".join([f"Python {run.python}", *versions])


def detail_view(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    """Return everything that the page says of a run; notes are told what is missing."""
    run, test, predictions = detail.run, detail.run.test, detail.predictions
    names = [visible(name) for name in predictions.classes]
    threshold = run.selection.threshold
    # The first runs do not say these.
    confusion = test.confusion or predictions.confusion.tolist()
    points = test.reliability or reliability(predictions.probabilities, predictions.labels).points
    return {
        "name": visible(run.name),
        "kind": run.kind,
        "summary": _summary(run),
        "test": test,
        "split": test.split,
        "again": commands.train(run),
        "confusion": confusion_view(confusion, predictions.classes),
        "n_without_picture": int((detail.places < 0).sum()),
        "mistakes": _mistakes(detail),
        "n_mistakes": int(predictions.wrong.sum()),
        "classes": [{**one, "class": visible(one["class"])} for one in test.classes],
        "calibration": calibration_chart(points).svg(),
        "confidence": confidence_chart(
            predictions.confidence,
            predictions.wrong,
            None if threshold is None else threshold.value,
        ).svg(),
        "ranking": ranking_charts(predictions.probabilities, predictions.labels, names),
        "learning": _learning(run, commands, notes),
        "epochs": _epochs(run, commands, notes),
        "threshold": _threshold(run, commands, notes),
        "maps": detail.mapped.maps,
        "map_titles": TITLES,
        "maps_missing": _maps_missing(detail, commands, notes),
        "maps_again": commands.report([run.name]),
        "n_without_features": detail.mapped.n_without,
        "n_mapped": len(detail.mapped.pictures),
        "recipe": recipe_view(run),
        "closer": _closer(detail, commands, notes),
        "typical": _typical(detail, commands, notes),
    }


def _summary(run: RunFolder) -> dict[str, Any]:
    """Return the figures of a run's sentence: how good, on which split, from how many."""
    data = run.dataset
    return {
        **run.test.summary(),
        "name": visible(run.name),
        "data": visible(data.name),
        "head": visible(run.head),
        "layers": visible("+".join(run.layers)),
        "backbone": run.recipe.named(run.weights),
        "kind": run.kind,
        "trained": data.pictures.get("train", 0),
        "n_classes": len(data.classes),
        "selected_by": run.selection.by,
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
            "map": detail.closer.maps.get(int(detail.places[row])),
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


def _closer(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    """Return where the answers come from: confused pairs, and what tells each class apart."""
    closer, run = detail.closer, detail.run
    # Where it was asked for, the command says so already.
    again = commands.report([run.name], *(["--evidence"] if closer.reason == NOT_ASKED else []))
    if closer.reason:
        missing = notes.add("where the answers come from", run.name, closer.reason, again)
        return {"missing": missing}
    predictions, names = detail.predictions, run.dataset.classes

    def examples(places: Sequence[int]) -> list[dict[str, Any]]:
        return [{"map": closer.maps.get(place), "place": place} for place in places]

    return {
        "missing": None,
        "again": again,
        "about": closer.about,
        "pairs": [
            {
                "given": visible(names[predictions.labels[rows[0]]]),
                "called": visible(names[predictions.called[rows[0]]]),
                "pictures": examples([int(detail.places[row]) for row in rows]),
            }
            for rows in detail.pairs
        ],
        "n_sampled": len(closer.sampled),
        "shares": [
            {**vars(one), "name": visible(names[one.label])}
            | {"pictures": examples([closer.sampled[row] for row in one.rows])}
            for one in sorted(closer.shares, key=lambda one: (not one.alarm, -one.place))
        ][:MOST_LISTED],
    }


def _typical(detail: Detail, commands: Commands, notes: Notes) -> dict[str, Any]:
    """Return how typical the test pictures are of train, and the least typical of them."""
    run, said = detail.run, detail.typical
    if said is None:
        tuned = run.fine_tuning is not None
        reason = "a fine-tuned run does not say it" if tuned else "this run does not say it"
        again = "" if tuned else commands.train(run)
        return {"missing": notes.add("how typical pictures are", run.name, reason, again)}
    predictions = detail.predictions
    rows = {path: row for row, path in enumerate(predictions.paths)}
    pictures = []
    for one in said["untypical"][:MOST_UNTYPICAL]:
        row = rows.get(one["path"], -1)
        place = -1 if row < 0 else int(detail.places[row])
        pictures.append(
            {
                "path": visible(one["path"]),
                "typical": one["typical"],
                "label": "" if row < 0 else visible(predictions.classes[predictions.labels[row]]),
                "called": "" if row < 0 else visible(predictions.classes[predictions.called[row]]),
                "split": run.test.split,
                "place": None if place < 0 else place,
            }
        )
    chart = typical_chart(said["histogram"], said["least"]).svg()
    return {**said, "missing": None, "chart": chart, "pictures": pictures}


def _learning(run: RunFolder, commands: Commands, notes: Notes) -> dict[str, Any]:
    again = commands.learn(run)
    if (curve := learning_curve_of(run)) is not None:
        chart = learning_chart(curve).svg()
        return {"chart": chart, "sentence": curve["sentence"], "again": again}
    if run.fine_tuning is not None:
        return {"chart": None, "missing": None}  # a learning curve is of a head
    reason = "this run has no learning curve"
    return {"chart": None, "missing": notes.add("learning curve", run.name, reason, again)}


def _epochs(run: RunFolder, commands: Commands, notes: Notes) -> dict[str, Any]:
    if (tuned := run.fine_tuning) is not None and tuned.epochs:
        return {
            "charts": epoch_charts(tuned.epochs, run.selection.epoch, tuned.mixtures),
            "rows": tuned.epochs,
            "kept": run.selection.epoch,
            "initial": tuned.initial,
        }
    reason = "this run is a head on frozen features: nothing of its base was trained"
    missing = notes.add("fine-tuning", run.name, reason, commands.finetune(run))
    return {"charts": None, "missing": missing}


def _threshold(run: RunFolder, commands: Commands, notes: Notes) -> dict[str, Any]:
    if (threshold := run.selection.threshold) is not None:
        return {"chosen": threshold, "answered": run.test.answered}
    if run.fine_tuning is not None:
        return {"chosen": None, "missing": None}
    reason = "this run answers every picture: no largest share of wrong answers was asked for"
    missing = notes.add("threshold", run.name, reason, commands.threshold(run))
    return {"chosen": None, "missing": missing}


def _maps_missing(detail: Detail, commands: Commands, notes: Notes) -> Missing | None:
    if detail.mapped.maps:
        return None
    run, reason = detail.run, detail.mapped.reason
    return notes.add("map", run.name, reason, commands.features(run))


def detail_payload(detail: Detail, set_number: int) -> dict[str, Any]:
    """Return what the page's script needs of a run: predictions and places on maps.

    Its pictures are in the data set of that number.
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
