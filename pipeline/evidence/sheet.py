"""The verb of the command: a PNG file for each picture, and one page that shows them all."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import EvidenceConfig
from pipeline.errors import DecodeError, InputError
from pipeline.evidence.drawing import SIDE, panels, write_png
from pipeline.evidence.explain import (
    Evidence,
    Explainer,
    class_number,
    known_labels,
    label_of,
    notes_on,
    open_explainer,
    opponent,
)
from pipeline.images import DecodeRecipe, PictureList, decode_full, find_pictures
from pipeline.images.leftout import check_some, check_strictly
from pipeline.images.remarks import sentences
from pipeline.images.scale import small
from pipeline.runs import find_run
from pipeline.system.files import atomic_folder
from pipeline.system.machine import thread_count
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import named
from pipeline.system.visible import visible

logger = logging.getLogger(__name__)

SHEET = "index.html"
_DISPLAY = DecodeRecipe(SIDE, jpeg="scaled")


@dataclass(frozen=True)
class DrawnMap:
    """What is said of one picture.

    Args:
        path: The picture, as it was named or found.
        answer: The likeliest class.
        probability: Its probability.
        label: Its class, where the run was tested on this very picture.
        against: What the answer is held against.
        logit: The answer's score; None where cells are no parts of a sum, as what follows.
        bias: What no cell adds to it.
        sum: What all cells add to it.
        file: The PNG file, in the folder.
    """

    path: str
    answer: str
    probability: float
    label: str | None
    against: str
    logit: float | None
    bias: float | None
    sum: float | None
    file: str


@dataclass(frozen=True)
class WrittenMaps:
    """What was written.

    Args:
        run: Whose answers they are.
        sheet: The page.
        method: ``name``, ``passes`` through the base a picture, and ``about`` in words.
        pictures: A row each, in the order of the pictures.
        failed: The pictures that cannot be read: ``{"path", "reason"}``.
        notes: What a reader has to know.
    """

    run: str
    sheet: str
    method: dict[str, Any]
    pictures: tuple[DrawnMap, ...]
    failed: tuple[dict[str, str], ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        rows = [asdict(one) for one in self.pictures]
        lists = {"pictures": rows, "failed": list(self.failed), "notes": list(self.notes)}
        return vars(self) | lists


def write_maps(
    config: EvidenceConfig,
    target: str,
    paths: Sequence[Path],
    out: Path,
    reporter: Reporter = SILENT,
) -> WrittenMaps:
    """Show where in pictures a run's answers come from; the folder appears whole.

    Args:
        config: Against which class, how, and where runs are.
        target: A run (name, folder, or best).
        paths: Picture files, folders and archives of them.
        out: The folder; new or empty.
        reporter: Is told after each batch.

    Raises:
        RunError: The run is not there or damaged, or an exact map is none.
        InputError: A path is not there, the folder is taken, or there is no such class.
        DataError: No picture can be read, or, with ``config.strict``, some cannot.
    """
    _check_new(out)
    if target.startswith("imagenet:"):
        raise InputError(f"expected a run, received {target!r}: an ImageNet top is no run of yours")
    pictures, run = find_pictures(paths), find_run(config.runs, target)
    bundle = run.bundle(config.trust, config.weights)
    against = None if config.against is None else class_number(bundle.classes, config.against)
    labels = known_labels(run, bundle.classes)
    explainer = open_explainer(run.name, bundle, config.converted, config.batch_size, config.grid)

    def choose(row: int, scores: np.ndarray) -> int:
        return opponent(scores, against, label_of(pictures, row, labels))

    drawn: list[DrawnMap] = []
    failed: list[dict[str, str]] = []
    remarks: list[np.ndarray] = []
    reporter.advance("evidence", 0, len(pictures))
    with atomic_folder(out) as folder, ThreadPoolExecutor(thread_count(None)) as pool:
        draw = partial(_draw, folder, pictures, explainer, labels)
        for part in explainer.explain(pictures, choose):
            failed += [{"path": pictures.name(f.row), "reason": f.reason} for f in part.failed]
            for one in pool.map(draw, part.found):
                drawn += [one] if isinstance(one, DrawnMap) else []
                failed += [one] if isinstance(one, dict) else []
            remarks.append(part.remarks)
            reporter.advance("evidence", len(drawn) + len(failed), len(pictures))
        check_strictly(config.strict, failed, len(pictures))
        check_some(named([str(path) for path in paths]), len(pictures), failed)
        tracing = explainer.tracing
        method = {"name": tracing.method, "passes": tracing.passes, "about": tracing.about}
        sheet, notes = str(out / SHEET), notes_on(bundle)
        written = WrittenMaps(run.name, sheet, method, tuple(drawn), tuple(failed), notes)
        (folder / SHEET).write_text(_page(written), "utf-8")
    for sentence in sentences(np.concatenate(remarks)):
        logger.warning("%s", sentence)
    return written


def _check_new(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise InputError(
            f"expected a new or empty folder, received out={out}, which holds something; name "
            f"another one"
        )


def _draw(
    folder: Path,
    pictures: PictureList,
    explainer: Explainer,
    labels: dict[str, int],
    found: Evidence,
) -> DrawnMap | dict[str, str]:
    """Write a picture's file; return what is said of it, or why it cannot be drawn."""
    path, classes = pictures.name(found.row), explainer.classes
    try:
        image = small(decode_full(pictures.read(found.row), _DISPLAY), SIDE)
    except (OSError, DecodeError) as error:
        return {"path": path, "reason": f"changed while it was looked at: {error}"}
    label = label_of(pictures, found.row, labels)
    exact = found.bias is not None
    one = DrawnMap(
        path=path,
        answer=classes[found.answer],
        probability=float(found.probabilities[found.answer]),
        label=None if label is None else classes[label],
        against=classes[found.against],
        logit=float(found.scores[found.answer]) if exact else None,
        bias=found.bias,
        sum=float(found.of_answer.sum()) if exact else None,
        file=f"{found.row + 1:05}-{_safe(Path(path).stem)}.png",
    )
    tracing = explainer.tracing
    titles = (f"for the answer ({tracing.method})", "instead of the other class")
    image = panels(image, (found.of_answer, found.instead), titles, explainer.decoding)
    told = {"method": tracing.about, "answer": one.answer, "instead of": one.against}
    write_png(folder / one.file, image, {key: visible(text) for key, text in told.items()})
    return one


def _safe(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:60]


def _page(written: WrittenMaps) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    text = files("pipeline.evidence").joinpath(SHEET.replace("index", "sheet")).read_text("utf-8")
    value = written.to_dict()
    return environment.from_string(text).render(value | {"about": value["method"]["about"]})
