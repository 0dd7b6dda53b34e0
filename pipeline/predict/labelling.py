"""What labels pictures: a run's base and head, its fine-tuned model, or an ImageNet top.

The command and the API label by the same function, so that both say the same of a picture.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.backbones.engines import Engine, GivenNetwork, open_engine
from pipeline.errors import RunError
from pipeline.evaluate import mean_over_views
from pipeline.features.store.blocks import side_by_side
from pipeline.heads import FittedHead, NetworkHead, softmax
from pipeline.heads.fitted import centred
from pipeline.images import DecodeRecipe, Failure, RowLoader, ViewAverage, load_batches, paired
from pipeline.runs import Bundle

Computing = Callable[[Iterator[np.ndarray]], Generator[np.ndarray, None, None]]
"""From batches of pictures (k, s, s, 3) uint8 to what is computed of each: (k, n_classes)."""


class Readable(Protocol):
    """Pictures by row number."""

    def __len__(self) -> int: ...

    def read(self, row: int) -> bytes:
        """Return a row's picture file; raises OSError. Several threads may read at once."""


@dataclass(frozen=True)
class Labelled:
    """Some pictures that were labelled, and those met on the way that could not be.

    Args:
        rows: (n,) int.
        probabilities: (n, n_classes), row-aligned; the mean over the views that are averaged.
        failed: The pictures that have none.
        remarks: What pictures lost as they were decoded, (k, 4) int32, in no order.
    """

    rows: np.ndarray
    probabilities: np.ndarray
    failed: tuple[Failure, ...]
    remarks: np.ndarray


@dataclass(frozen=True)
class Predictor:
    """Something that labels pictures.

    Args:
        classes: Names of the columns.
        decoding: How pictures are decoded, the same as in training.
        outputs: What is computed of each version of a picture.
        judge: From the outputs of each view, (n, n_classes) each, to probabilities (n, n_classes).
        test_views: Augmented views that a picture is judged by, beside the picture as it is.
        threshold: Lowest probability of the likeliest class that is answered.
    """

    classes: Sequence[str]
    decoding: DecodeRecipe
    outputs: Computing
    judge: Callable[[Sequence[np.ndarray]], np.ndarray]
    test_views: ViewAverage | None = None
    threshold: float | None = None

    def label(self, pictures: Readable, batch_size: int) -> Generator[Labelled, None, None]:
        """Label pictures as they come, decoded and judged exactly as in training.

        Args:
            pictures: By row number.
            batch_size: Pictures, or views of them, per step.

        Yields:
            Every row once, in order, with its probabilities or among the failures.
        """
        average = self.test_views
        numbers = range(1) if average is None else average.numbers
        recipe = None if average is None else average.view
        loader = RowLoader(pictures.read, self.decoding, view_recipe=recipe)
        wanted = [numbers] * len(pictures)
        batches = load_batches(loader, range(len(pictures)), batch_size, views=wanted)
        n_views, rows = len(numbers), np.empty(0, np.int64)
        waiting = np.empty((0, len(self.classes)))
        with closing(paired(self.outputs, batches)) as computed:
            for batch, outputs in computed:
                # The views of a picture come one after another, maybe in two batches.
                rows = np.concatenate([rows, batch.rows])
                waiting = np.concatenate([waiting, outputs]) if len(waiting) else outputs
                n = len(rows) // n_views * n_views
                views = [waiting[view:n:n_views] for view in range(n_views)]
                remarks = batch.remarks[batch.views == 0]
                yield Labelled(rows[:n:n_views], self.judge(views), batch.failed, remarks)
                rows, waiting = rows[n:], waiting[n:]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of pictures as they are, (n, s, s, 3) uint8: (n, n_classes)."""
        return self.judge([np.concatenate(list(self.outputs(iter([images]))))])


def bundle_predictor(name: str, bundle: Bundle, models: Path, batch_size: int) -> Predictor:
    """Make a run's bundle ready to label.

    Args:
        name: The run's.
        bundle: What predicts.
        models: Folder of the converted models.
        batch_size: Pictures per step.

    Raises:
        WeightsError: The base has to be built, and its weights are gone, or not what they were.
    """
    base, decoding = bundle.frozen(look=True), bundle.decoding
    if bundle.head is None:
        engine = _model_engine(name, bundle, base.precision, models, batch_size)
        return Predictor(bundle.classes, decoding, _only_output(engine), _as_it_is)
    # Weights are looked for when the model has to be built: a kept one is run without them.
    graph = None if base.graph is None else lambda: bundle.frozen().read_graph()
    network = GivenNetwork(
        base.name, base.identity, base.outputs, lambda: bundle.frozen().build(), graph
    )
    engine = open_engine(network, "auto", base.precision, batch_size, models)
    # Bundles hold heads as they were fitted; what all classes share would only cost digits.
    head = centred(bundle.head) if isinstance(bundle.head, NetworkHead) else bundle.head
    return Predictor(
        bundle.classes,
        decoding,
        _scores(engine, head, len(bundle.classes)),
        _mean_probabilities,
        bundle.test_views,
        bundle.threshold,
    )


def imagenet_predictor(backbone: str, weights: str, models: Path, batch_size: int) -> Predictor:
    """Make a backbone with its own 1,000 classes ready to label.

    Args:
        backbone: Name, arguments in brackets.
        weights: Where its weights with the top are.
        models: Folder of the converted models.
        batch_size: Pictures per step.

    Raises:
        UnknownNameError: No backbone has that name.
        WeightsError: The weights are not there.
    """
    from pipeline.backbones.catalog import class_names, parse_backbone
    from pipeline.backbones.weights import resolve_weights

    spec = parse_backbone(backbone)
    source = resolve_weights(spec, weights, 0, include_top=True)
    size = spec.backbone.input_size

    def build() -> Any:
        from pipeline.backbones.build import build_classifier

        return build_classifier(spec, source, size)

    identity = {"kind": "classifier", "backbone": str(spec), "weights": source.digest}
    network = GivenNetwork(f"{spec}-imagenet", identity, ("probabilities",), build)
    engine = open_engine(network, "auto", "float32", batch_size, models)
    return Predictor(class_names(), DecodeRecipe(size), _only_output(engine), _as_it_is)


def _model_engine(
    name: str, bundle: Bundle, precision: str, models: Path, batch_size: int
) -> Engine:
    identity = {"kind": "fine-tuned", "sha256": bundle.sha256}
    network = GivenNetwork(f"{name}-model", identity, ("probabilities",), bundle.model)
    return open_engine(network, "auto", precision, batch_size, models)


def _scores(engine: Engine, head: FittedHead, n_classes: int) -> Computing:
    """Return what turns batches into scores: the engine's outputs, flat, and a head."""

    def scores(batches: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        for outputs in engine.run(batches):
            if not len(outputs[0]):  # no picture could be decoded, and heads refuse no rows
                yield np.empty((0, n_classes))
                continue
            yield head.scores(side_by_side(outputs))

    return scores


def _mean_probabilities(scores: Sequence[np.ndarray]) -> np.ndarray:
    return _numbers(mean_over_views([softmax(view) for view in scores]))


def _numbers(probabilities: np.ndarray) -> np.ndarray:
    if not np.isfinite(probabilities).all():
        n_bad = int((~np.isfinite(probabilities).all(axis=1)).sum())
        raise RunError(
            f"expected probabilities that are numbers, received NaN or infinity for {n_bad} of "
            f"{len(probabilities)} pictures: this run cannot label them, choose another"
        )
    return probabilities


def _only_output(engine: Engine) -> Computing:
    return lambda batches: (output for (output,) in engine.run(batches))


def _as_it_is(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Return what a whole model gives: it judges pictures as they are, and gives probabilities."""
    (given,) = probabilities
    return _numbers(given)
