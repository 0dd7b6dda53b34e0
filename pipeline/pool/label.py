"""The page on which pictures are labelled: one HTML file that works from disk and saves a table."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipeline.check.check import DataCheck
from pipeline.config import LabelConfig
from pipeline.errors import InputError, RunError
from pipeline.images import Dataset
from pipeline.images.corrections import DROP
from pipeline.images.leftout import check_some, why
from pipeline.images.splits import rows_of_bytes
from pipeline.pool.questions import (
    SECTIONS,
    Question,
    about_data,
    once,
    said_before,
    suggested,
)
from pipeline.report.album import RunPredictions, read_predictions
from pipeline.report.page import as_json, filled
from pipeline.report.thumbnails import Thumbnail, Wanted, data_uri, make_thumbnails, webp
from pipeline.runs import RunFolder
from pipeline.system.cells import plain
from pipeline.system.files import output_path
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import counted, named
from pipeline.system.visible import visible

SIDE, QUALITY = 320, 72


@dataclass(frozen=True)
class LabelPage:
    """What was written.

    Args:
        out: The page.
        table: Name of the file that it saves.
        whole: Whether that is a data set of its own: there is none beside it.
        sections: Pictures on it by why they are asked about.
        asked: Pictures on it.
        found: Different pictures that there were to ask about.
        known: Rows of the corrections that it carries on.
        classes: That they can be.
        failed: Pictures that cannot be shown: path and reason.
        notes: What could not be looked at, and why.
    """

    out: str
    table: str
    whole: bool
    sections: dict[str, int]
    asked: int
    found: int
    known: int
    classes: tuple[str, ...]
    failed: tuple[dict[str, str], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        lists = {"classes": list(self.classes), "failed": list(self.failed)}
        return {**vars(self), **lists, "notes": list(self.notes)}


def write_label_page(
    config: LabelConfig,
    checked: DataCheck | None,
    run: RunFolder | None,
    out: Path,
    reporter: Reporter = SILENT,
) -> LabelPage:
    """Write the page.

    Args:
        config: What is on it.
        checked: What was found in a data set; None without one.
        run: Whose mistakes are on it.
        out: The page.
        reporter: Told of decoded pictures, part ``"report"``.

    Raises:
        InputError: There is nothing to ask about, or a setting does not fit.
        UnknownNameError: A label of the suggestions is no class.
        RunError: The run was tested on other pictures.
    """
    dataset = None if checked is None else checked.dataset
    classes, grows = _classes(config, dataset, run)
    known, earlier = said_before(config.corrections, dataset)
    questions, lost = list[Question](), list[str]()
    if checked is not None:
        predictions = None if run is None else _tested(run, checked.dataset)
        questions += about_data(checked, predictions)
    if config.suggestions is not None:
        listed, lost = suggested(str(config.suggestions), None if grows else classes, dataset)
        questions += listed
        said = [label for _, label, _ in earlier if label != DROP]
        said += [name for one in listed for name in (one.label, one.looks) if name]
        classes = tuple(dict.fromkeys([*classes, *said])) if grows else classes
    kept, found = once(questions, known, config.n)
    if not kept:
        raise InputError(
            f"expected pictures to ask about, received none{' that are left' if known else ''}: no "
            f"label looks wrong; name pictures with --suggestions F.csv, which `pipeline suggest` "
            f"writes"
        )
    wanted = [Wanted(str(at), one.digest, (SIDE,)) for at, one in enumerate(kept)]
    made = make_thumbnails(lambda at: kept[int(at)].read(), wanted, reporter)
    images = [thumbnail for (thumbnail,) in made]
    table = f"{out.stem}-labels.csv"
    named_so = {"file": table, "run": None if run is None else run.name}
    payload = _payload(kept, images, classes, {"grows": grows, "earlier": earlier, **named_so})
    failed = [{"path": path, "reason": "not there"} for path in lost]
    failed += [
        {"path": one.path, "reason": image.reason}
        for one, image in zip(kept, images, strict=True)
        if image.image is None
    ]
    place = str(config.suggestions) if dataset is None else dataset.location
    check_some(place, len(kept) + len(lost), failed)
    _write(out, out.stem if dataset is None else dataset.name, payload)
    counts = {name: sum(one.section == name for one in kept) for name in SECTIONS}
    asked = (counts, len(kept), found, len(earlier))
    more = (classes, tuple(failed), _notes(checked))
    return LabelPage(str(out), table, dataset is None, *asked, *more)


def _notes(checked: DataCheck | None) -> tuple[str, ...]:
    """Return what could not be looked at in a data set, and what is left out of it."""
    if checked is None or not checked.unreadable:
        return () if checked is None else checked.notes
    n_found = counted(checked.dataset.n_found, "picture")
    lost = f"{len(checked.unreadable)} of {n_found} left out: {why(checked.unreadable)}"
    return *checked.notes, lost


def _payload(
    questions: Sequence[Question],
    images: Sequence[Thumbnail],
    classes: Sequence[str],
    more: dict[str, Any],
) -> dict[str, Any]:
    """Return what the script works with; what is kept in a browser is of this page alone."""
    payload = {
        "classes": [_texts(name) for name in classes],
        "sections": SECTIONS,
        "cards": [_card(one, classes) for one in questions],
        **more,
    }
    key = hashlib.sha256(as_json(payload).encode()).hexdigest()
    return {**payload, "key": key, "images": [_image(one) for one in images]}


def _classes(
    config: LabelConfig, dataset: Dataset | None, run: RunFolder | None
) -> tuple[tuple[str, ...], bool]:
    """Return the classes, and whether more can be named; raises InputError."""
    said = tuple(filter(None, map(str.strip, (config.classes or "").split(","))))
    known = None if run is None else run.dataset.classes
    if dataset is not None:
        known = dataset.classes
    if known is not None and said:
        raise InputError(
            f"expected no classes beside data or a run, which have {named(known)}, received "
            f"classes={config.classes}: leave --classes out"
        )
    classes = tuple(dict.fromkeys(said if known is None else known))
    if DROP in classes:
        raise InputError(
            f"expected no class called {DROP!r}, which means to leave a picture out, received "
            f"classes {named(classes)}: rename the class"
        )
    return classes, known is None


def _tested(run: RunFolder, dataset: Dataset) -> RunPredictions:
    predictions = read_predictions(run)
    if not set(rows_of_bytes(dataset.digests)) & set(rows_of_bytes(predictions.digests)):
        raise RunError(
            f"expected a run that was tested on pictures of {dataset.location}, received "
            f"{run.name}, which was on none of them: name another, or leave --run out"
        )
    return predictions


def _texts(text: str) -> tuple[str, str]:
    """Return a text as it is saved, and as it is shown."""
    return plain(text), visible(text)


def _card(one: Question, classes: Sequence[str]) -> dict[str, Any]:
    numbers = {name: number for number, name in enumerate(classes)}
    return {
        "section": SECTIONS.index(one.section),
        "path": _texts(one.path),
        "digest": one.digest.hex(),
        "label": None if one.label is None else numbers.get(one.label),
        "looks": None if one.looks is None else numbers.get(one.looks),
        "why": visible(one.why),
        "group": one.group,
        "ours": one.ours,
    }


def _image(thumbnail: Thumbnail) -> tuple[str | None, str]:
    image = thumbnail.image
    shown = None if image is None else data_uri(webp(image, QUALITY))
    return shown, visible(thumbnail.reason)


def _page_file(name: str) -> str:
    return files("pipeline.pool").joinpath("page", name).read_text("utf-8")


def _write(out: Path, title: str, payload: dict[str, Any]) -> None:
    """Write the page whole, or not at all."""
    view = {"title": title, "run": payload["run"]}
    template, style, script = map(_page_file, ("label.html", "label.css", "label.js"))
    page = filled(template, style, [script], view, payload)
    with output_path(out) as temporary:
        temporary.write_text(page, "utf-8")
