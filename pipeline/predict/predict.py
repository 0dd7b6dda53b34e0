"""Labelling pictures: with a run, or with a base's own 1,000 ImageNet classes."""

import csv
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbones.weights import DEFAULT
from pipeline.config import PredictConfig
from pipeline.errors import InputError
from pipeline.features.preflight import step_size
from pipeline.heads.typical import UNKNOWN, check_unknown
from pipeline.images import find_pictures
from pipeline.images.leftout import check_some, check_strictly
from pipeline.images.remarks import sentences
from pipeline.predict.labelling import Labelled, Predictor, bundle_predictor, imagenet_predictor
from pipeline.predict.pools import label_pool
from pipeline.runs import Bundle, find_run
from pipeline.system.cells import cell, plain
from pipeline.system.files import check_free, output_path
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import named

logger = logging.getLogger(__name__)

WriteRow = Callable[["Prediction", Sequence[float]], None]
IMAGENET = "imagenet:"


@dataclass(frozen=True)
class Prediction:
    """What one picture shows.

    Args:
        path: The picture, as it was named or found.
        label: The likeliest class; None where its probability is below the run's threshold, which
            means "don't know", and where the picture is unknown.
        probability: The probability of the likeliest class, whether it is the label or not.
        top: The likeliest classes with their probabilities, best first.
        typical: The share of pictures like the run's training pictures that are less typical of
            them; None where the run does not say it.
        unknown: Whether that is too little for any of the classes.
    """

    path: str
    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]
    typical: float | None = None
    unknown: bool = False


@dataclass(frozen=True)
class Predictions:
    """What was labelled.

    Args:
        predictions: In the order of the pictures; empty where they were not to be kept.
        failed: The pictures that cannot be read: ``{"path", "reason"}``.
        labelled: How many pictures were labelled.
        csv: The file with a row for each of them, if one was asked for.
    """

    predictions: tuple[Prediction, ...]
    failed: tuple[dict[str, str], ...]
    labelled: int
    csv: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        value = {
            "predictions": [
                vars(prediction) | {"top": [list(pair) for pair in prediction.top]}
                for prediction in self.predictions
            ],
            "failed": list(self.failed),
            "labelled": self.labelled,
        }
        return value if self.csv is None else value | {"csv": self.csv}


def predict(
    config: PredictConfig,
    target: str,
    paths: Sequence[Path],
    reporter: Reporter = SILENT,
    *,
    keep: bool = True,
) -> Predictions:
    """Label pictures in files, folders and archives, decoded and judged exactly as in training.

    The target is a run (name, folder, or best), or ``imagenet:BACKBONE``. Unless predictions are to
    be kept, memory does not grow with the pictures, but for their names.

    Raises:
        RunError: The run is not there or damaged.
        InputError: A path is not there, there is no picture under it, or the CSV file exists.
        DataError: No picture can be read, or, with ``config.strict``, some cannot; no CSV file is
            left then.
    """
    if config.csv is not None:
        check_free(config.csv, config.overwrite, "csv")  # before any picture is read
    pictures = find_pictures(paths)
    config = replace(config, batch_size=step_size(config.batch_size, len(pictures)))
    predictor, bundle = open_predictor(config, target)
    results: list[Prediction] = []
    failed: list[dict[str, str]] = []
    remarks: list[np.ndarray] = []
    n = 0
    reporter.advance("predict", 0, len(pictures))
    says = bundle is not None and bundle.density is not None
    with _table(config.csv, predictor.classes, says) as write:
        for labelled in label_pool(config, predictor, pictures, reporter, bundle):
            failed += [{"path": pictures.name(f.row), "reason": f.reason} for f in labelled.failed]
            for prediction, values in _told(labelled, predictor, pictures.name, config.top):
                write(prediction, values)
                results += [prediction] if keep else []
            remarks.append(labelled.remarks[labelled.remarks.any(axis=1)])
            n += len(labelled.rows)
            reporter.advance("predict", n + len(failed), len(pictures))
        check_strictly(config.strict, failed, len(pictures))
        check_some(named([str(path) for path in paths]), len(pictures), failed)
    for sentence in sentences(np.concatenate(remarks)):
        logger.warning("%s", sentence)
    csv_path = None if config.csv is None else str(config.csv)
    return Predictions(tuple(results), tuple(failed), n, csv_path)


@contextmanager
def _table(path: Path | None, classes: Sequence[str], typical: bool = False) -> Iterator[WriteRow]:
    """Yield what writes a prediction as a row of the CSV file, which appears whole at the end."""
    if path is None:
        yield lambda prediction, values: None
        return
    with output_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        last = ["typical"] if typical else []
        rows.writerow(
            ["path", "label", "probability", *(f"p:{plain(name)}" for name in classes), *last]
        )

        def write(prediction: Prediction, values: Sequence[float]) -> None:
            more = [prediction.typical] if typical else []
            figures = [f"{value:.9g}" for value in (prediction.probability, *values, *more)]
            label = UNKNOWN if prediction.unknown else prediction.label or ""
            rows.writerow([cell(plain(prediction.path)), cell(plain(label)), *figures])

        yield write


def _told(
    labelled: Labelled, predictor: Predictor, name: Callable[[int], str], top: int
) -> Iterator[tuple[Prediction, list[float]]]:
    """Yield what is said of each picture, with the ``top`` likeliest classes; and probabilities."""
    classes, threshold = predictor.classes, predictor.threshold
    best = np.argsort(-labelled.probabilities, axis=1, kind="stable")[:, :top].tolist()
    values = labelled.probabilities.tolist()
    unknown, typical = predictor.unknown(labelled).tolist(), labelled.typical.tolist()
    for place, row in enumerate(labelled.rows.tolist()):
        listed = tuple((classes[i], values[place][i]) for i in best[place])
        label, probability = listed[0]
        unsure = unknown[place] or (threshold is not None and probability < threshold)
        like = None if math.isnan(typical[place]) else typical[place]
        called = None if unsure else label
        yield (
            Prediction(name(row), called, probability, listed, like, unknown[place]),
            values[place],
        )


def open_predictor(config: PredictConfig, target: str) -> tuple[Predictor, Bundle | None]:
    """Load a run or an ImageNet classifier and make it ready to label; with the run's bundle."""
    if target.startswith(IMAGENET):
        backbone = target.removeprefix(IMAGENET)
        parts = (config.weights or DEFAULT, config.converted, config.batch_size)
        return imagenet_predictor(backbone, *parts), None
    run = find_run(config.runs, target)
    bundle = run.bundle(config.trust, config.weights)
    if config.min_typical is not None:
        if bundle.density is None:
            raise InputError(
                f"expected a run that says what its training pictures look like for min_typical="
                f"{config.min_typical}, received {run.name}, which is fine-tuned, of an earlier "
                f"version, or of very few pictures: train another with `pipeline classify`"
            )
        check_unknown(config.min_typical, bundle.classes)
        bundle = replace(bundle, min_typical=config.min_typical)
    return bundle_predictor(run.name, bundle, config.converted, config.batch_size), bundle
