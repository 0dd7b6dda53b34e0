"""Labelling pictures: with a run, or with a base's own 1,000 ImageNet classes."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.averaging import ViewAverage
from pipeline.backbones.frozen import decoding_from_dict, frozen_from_dict
from pipeline.bundle import Bundle
from pipeline.config import PredictConfig
from pipeline.engines import Engine, GivenNetwork, open_engine, paired
from pipeline.errors import DataError, InputError
from pipeline.heads import FittedHead, softmax
from pipeline.images import Batch, DecodeRecipe, Failure, find_pictures, load_batches
from pipeline.runs import find_run

Progress = Callable[[int, int], None]
IMAGENET = "imagenet:"


@dataclass(frozen=True)
class Prediction:
    """What one picture shows.

    Args:
        path: The picture, as it was named or found.
        label: The likeliest class; None where its probability is below the run's threshold, which
            means "don't know".
        probability: The probability of the likeliest class, whether it is the label or not.
        top: The likeliest classes with their probabilities, best first.
    """

    path: str
    label: str | None
    probability: float
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Predictions:
    """Predictions in the order of the pictures, and the pictures that cannot be read."""

    predictions: tuple[Prediction, ...]
    failed: tuple[dict[str, str], ...]


Labeller = Callable[[Iterator[np.ndarray]], Generator[np.ndarray, None, None]]


@dataclass(frozen=True)
class Predictor:
    """Something that labels decoded pictures.

    Args:
        classes: Names of the columns.
        decoding: How pictures are decoded, the same as in training.
        probabilities: Turns batches (k, s, s, 3) uint8 into probabilities (k, n_classes).
        test_views: Augmented views whose probabilities are averaged with the clean picture's.
        threshold: Lowest probability of the likeliest class that is answered.
    """

    classes: Sequence[str]
    decoding: DecodeRecipe
    probabilities: Labeller
    test_views: ViewAverage | None = None
    threshold: float | None = None


def predict(
    config: PredictConfig, target: str, paths: Sequence[Path], progress: Progress | None = None
) -> Predictions:
    """Label pictures, decoded and judged exactly as in training.

    Args:
        config: How many classes to list, and where runs and weights are.
        target: A run (name, folder, or best), or ``imagenet:BACKBONE``.
        paths: Picture files, and folders of them.
        progress: Called with (done, total).

    Raises:
        RunError: The run is not there or damaged.
        InputError: A path is not there, or there is no picture under it.
        DataError: With ``config.strict``, a picture cannot be read.
    """
    pictures = find_pictures(paths)
    predictor = open_predictor(config, target)
    results: list[Prediction] = []
    failed: list[dict[str, str]] = []
    for labelled in _labelled(config, predictor, pictures):
        failed += [{"path": str(pictures[f.row]), "reason": f.reason} for f in labelled.failed]
        for row, values in zip(labelled.rows, labelled.probabilities, strict=True):
            results.append(_prediction(str(pictures[row]), values, predictor, config.top))
        if progress is not None:
            progress(len(results) + len(failed), len(pictures))
    if config.strict and failed:
        raise DataError(
            f"expected every picture to be readable (--strict), {len(failed)} of {len(pictures)} "
            f"are not, first {failed[0]['path']}: {failed[0]['reason']}"
        )
    return Predictions(tuple(results), tuple(failed))


@dataclass(frozen=True)
class _Labelled:
    """Rows (k,) int, their probabilities (k, n_classes), and the pictures met that have none."""

    rows: np.ndarray
    probabilities: np.ndarray
    failed: tuple[Failure, ...]


def _labelled(
    config: PredictConfig, predictor: Predictor, pictures: Sequence[Path]
) -> Generator[_Labelled, None, None]:
    """Yield pictures as they come, each with the mean probabilities of its views."""
    average = predictor.test_views
    numbers = range(1) if average is None else average.numbers
    batches = load_batches(
        lambda row: pictures[row].read_bytes(),
        range(len(pictures)),
        predictor.decoding,
        config.batch_size,
        views=[numbers] * len(pictures),
        view_recipe=None if average is None else average.view,
    )
    return _whole_pictures(paired(predictor.probabilities, batches), len(numbers))


def _whole_pictures(
    labelled: Generator[tuple[Batch, np.ndarray], None, None], n_views: int
) -> Generator[_Labelled, None, None]:
    """Average over the views of each picture; they come one after another, maybe in two batches."""
    rows, waiting = np.empty(0, np.int64), list[np.ndarray]()
    with closing(labelled):
        for batch, probabilities in labelled:
            rows = np.concatenate([rows, batch.rows])
            waiting += list(probabilities)
            n = len(rows) // n_views * n_views
            means = [np.mean(waiting[i : i + n_views], axis=0) for i in range(0, n, n_views)]
            yield _Labelled(rows[:n:n_views], np.array(means), batch.failed)
            rows, waiting = rows[n:], waiting[n:]


def _prediction(path: str, values: np.ndarray, predictor: Predictor, top: int) -> Prediction:
    best = np.argsort(-values, kind="stable")[:top]
    listed = tuple((predictor.classes[i], float(values[i])) for i in best)
    label, probability = listed[0]
    unsure = predictor.threshold is not None and probability < predictor.threshold
    return Prediction(path, None if unsure else label, probability, listed)


def open_predictor(config: PredictConfig, target: str) -> Predictor:
    """Load a run or an ImageNet classifier and make it ready to label."""
    if target.startswith(IMAGENET):
        return _imagenet(config, target.removeprefix(IMAGENET))
    if config.weights != PredictConfig.weights:
        raise InputError(
            f"expected --weights beside {IMAGENET}BACKBONE only, received "
            f"weights={config.weights!r} for {target!r}: a run has its own"
        )
    run = find_run(config.runs, target)
    bundle = run.bundle(config.trust)
    decoding = decoding_from_dict(bundle.base)
    if bundle.head is None:
        engine = _model_engine(config, run.name, bundle)
        return Predictor(bundle.classes, decoding, _only_output(engine))
    base = frozen_from_dict(bundle.base)
    engine = open_engine(base, "auto", base.precision, config.batch_size, config.models)
    return Predictor(
        bundle.classes,
        decoding,
        head_on(engine, bundle.head),
        bundle.test_views,
        bundle.threshold,
    )


def _imagenet(config: PredictConfig, backbone: str) -> Predictor:
    from pipeline.backbones.catalog import parse_backbone
    from pipeline.backbones.imagenet import class_names
    from pipeline.backbones.weights import resolve_weights

    spec = parse_backbone(backbone)
    source = resolve_weights(spec, config.weights, 0, include_top=True)
    size = spec.backbone.input_size

    def build() -> Any:
        from pipeline.backbones.build import build_classifier

        return build_classifier(spec, source, size)

    identity = {"kind": "classifier", "backbone": str(spec), "weights": source.digest}
    network = GivenNetwork(f"{spec}-imagenet", identity, ("probabilities",), build)
    engine = open_engine(network, "auto", "float32", config.batch_size, config.models)
    return Predictor(class_names(), DecodeRecipe(size), _only_output(engine))


def _model_engine(config: PredictConfig, name: str, bundle: Bundle) -> Engine:
    def load() -> Any:
        import keras

        return keras.saving.load_model(bundle.model_path, compile=False, safe_mode=True)

    identity = {"kind": "fine-tuned", "sha256": bundle.sha256}
    network = GivenNetwork(f"{name}-model", identity, ("probabilities",), load)
    precision = bundle.base["precision"]
    return open_engine(network, "auto", precision, config.batch_size, config.models)


def head_on(engine: Engine, head: FittedHead) -> Labeller:
    """Return what turns batches into probabilities: the engine's outputs, flat, and a head."""

    def probabilities(batches: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        for outputs in engine.run(batches):
            if not len(outputs[0]):  # no picture could be decoded, and heads refuse no rows
                yield np.empty((0, 0))
                continue
            flat = [output.reshape(len(output), -1) for output in outputs]
            yield softmax(head.scores(np.concatenate(flat, axis=1)))

    return probabilities


def _only_output(engine: Engine) -> Labeller:
    return lambda batches: (output for (output,) in engine.run(batches))


def describe(predictions: Predictions) -> dict[str, Any]:
    """Return the command's ``--json`` value."""
    return {
        "predictions": [
            {
                "path": prediction.path,
                "label": prediction.label,
                "probability": prediction.probability,
                "top": [list(pair) for pair in prediction.top],
            }
            for prediction in predictions.predictions
        ],
        "failed": list(predictions.failed),
    }
