"""What labels pictures: a run's base and head, its fine-tuned model, or an ImageNet top.

The command and the API label by the same function, so that both say the same of a picture.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines import Engine, GivenNetwork, ReadNetwork, open_engine
from pipeline.backbones.engines.precision import is_quantised
from pipeline.backbones.weights import NONE
from pipeline.errors import RunError
from pipeline.evaluate import mean_over_views
from pipeline.features.base import FrozenBase
from pipeline.features.preflight import check_memory, step_size
from pipeline.features.store.blocks import side_by_side
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.fitted import centred
from pipeline.heads.typical import Density
from pipeline.images import DecodeRecipe, Failure, RowLoader, ViewAverage, load_batches, paired
from pipeline.runs import Bundle

if TYPE_CHECKING:
    import keras

Computing = Callable[[Iterator[np.ndarray]], Generator[np.ndarray, None, None]]
"""From batches of pictures (k, s, s, 3) uint8 to what is computed of each: (k, n_classes)."""


Scoring = Callable[[np.ndarray], np.ndarray]
"""From features (n, d) to scores (n, n_classes)."""


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
        typical: (n,), how typical each is of what the run learnt from; NaN where nothing says it.
    """

    rows: np.ndarray
    probabilities: np.ndarray
    failed: tuple[Failure, ...]
    remarks: np.ndarray
    typical: np.ndarray


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
        base: The frozen base whose features a head scores, without its weights; None where there
            is no head of its own.
        score: From features of that base, (n, d), to what ``judge`` takes of each view: scores,
            and in a last column how typical the picture is, where the run says it.
        min_typical: How typical a picture has to be to be called something.
    """

    classes: Sequence[str]
    decoding: DecodeRecipe
    outputs: Computing
    judge: Callable[[Sequence[np.ndarray]], np.ndarray]
    test_views: ViewAverage | None = None
    threshold: float | None = None
    base: FrozenBase | None = None
    score: Scoring | None = None
    min_typical: float | None = None

    def answer(
        self, rows: np.ndarray, views: Sequence[np.ndarray], failed: tuple[Failure, ...], lost: Any
    ) -> Labelled:
        """Judge pictures by the outputs of each of their views, the first as they are."""
        plain = views[0]
        typical = plain[:, -1] if self._says_typical(plain) else np.full(len(plain), np.nan)
        return Labelled(rows, self._judged(views), failed, lost, typical)

    def _says_typical(self, outputs: np.ndarray) -> bool:
        return outputs.shape[1] > len(self.classes)

    def _judged(self, views: Sequence[np.ndarray]) -> np.ndarray:
        return self.judge([view[:, : len(self.classes)] for view in views])

    def unknown(self, labelled: Labelled) -> np.ndarray:
        """Return which pictures are too untypical to be called anything: (n,) bool."""
        least = 0.0 if self.min_typical is None else self.min_typical
        return labelled.typical < least

    def label(self, pictures: Readable, batch_size: int) -> Generator[Labelled, None, None]:
        """Label pictures as they come, decoded and judged exactly as in training.

        Raises:
            InputError: The memory cannot hold the batches.

        Yields:
            Every row once, in order, with its probabilities or among the failures.
        """
        average = self.test_views
        numbers = range(1) if average is None else average.numbers
        recipe = None if average is None else average.view
        loader = RowLoader(pictures.read, self.decoding, view_recipe=recipe)
        size, wanted = self.decoding.size, [numbers] * len(pictures)
        batch_size = step_size(batch_size, len(pictures) * len(numbers))
        check_memory(0, (batch_size, size, size, 3))
        batches = load_batches(loader, range(len(pictures)), batch_size, views=wanted)
        n_views, rows = len(numbers), np.empty(0, np.int64)
        waiting = np.empty((0, 0))
        with closing(paired(self.outputs, batches)) as computed:
            for batch, outputs in computed:
                # The views of a picture come one after another, maybe in two batches.
                rows = np.concatenate([rows, batch.rows])
                waiting = np.concatenate([waiting, outputs]) if len(waiting) else outputs
                n = len(rows) // n_views * n_views
                views = [waiting[view:n:n_views] for view in range(n_views)]
                remarks = batch.remarks[batch.views == 0]
                yield self.answer(rows[:n:n_views], views, batch.failed, remarks)
                rows, waiting = rows[n:], waiting[n:]

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of pictures as they are, (n, s, s, 3) uint8: (n, n_classes)."""
        return self._judged([np.concatenate(list(self.outputs(iter([images]))))])


def bundle_predictor(name: str, bundle: Bundle, models: Path, batch_size: int) -> Predictor:
    """Make the bundle of a run of that name ready to label.

    Raises WeightsError if the base has to be built, and its weights are gone, or not what they
    were.
    """
    base, decoding = bundle.frozen(look=True), bundle.decoding
    if bundle.head is None:
        whole = _model_engine(name, bundle, base.precision, models, batch_size)
        return Predictor(bundle.classes, decoding, _only_output(whole), _as_it_is)
    network = base_network(bundle, base)

    @cache
    def engine() -> Engine:
        return open_engine(network, "auto", base.precision, batch_size, models)

    # Bundles hold heads as they were fitted; what all classes share would only cost digits.
    head = centred(bundle.head) if isinstance(bundle.head, NetworkHead) else bundle.head
    score = head.scores if bundle.density is None else _with_typical(head.scores, bundle.density)
    n_columns = len(bundle.classes) + (bundle.density is not None)
    return Predictor(
        bundle.classes,
        decoding,
        _scores(engine, score, n_columns),
        _mean_probabilities,
        bundle.test_views,
        bundle.threshold,
        base,
        score,
        bundle.min_typical,
    )


def base_network(bundle: Bundle, base: FrozenBase) -> GivenNetwork:
    """Return a bundle's base, or the same with other cuts, as what an engine runs.

    Weights are looked for when the model has to be built: a kept one is run without them. That of
    int8 lies in the bundle.
    """

    def build() -> "keras.Model":
        return bundle.frozen().with_cuts(base.cuts).build()

    def direct() -> Any:
        made = bundle.frozen().with_cuts(base.cuts).direct
        return made and made()

    def read() -> ReadNetwork:
        return bundle.frozen().with_cuts(base.cuts).read_graph()

    known = None if base.weights == NONE else direct
    graph = base.graph if base.graph is None or is_quantised(base.precision) else read
    return GivenNetwork(base.name, base.identity, base.outputs, build, graph, known)


def _with_typical(scores: Scoring, density: Density) -> Scoring:
    """Add a column that says how typical pictures are to what a head says of their features."""

    def both(features: np.ndarray) -> np.ndarray:
        return np.column_stack([scores(features), density.typical(features)])

    return both


def imagenet_predictor(backbone: str, weights: str, models: Path, batch_size: int) -> Predictor:
    """Make a backbone, arguments in brackets, with its own 1,000 classes ready to label.

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

    def direct() -> Any:
        from pipeline.backbones.engines.apart import made_apart

        return made_apart(spec, source, size, [Cut(spec.top_layers[-1])], outputs)

    outputs = ("probabilities",)
    identity = {"kind": "classifier", "backbone": str(spec), "weights": source.digest}
    known = None if source.path is None else direct
    network = GivenNetwork(f"{spec}-imagenet", identity, outputs, build, direct=known)
    engine = open_engine(network, "auto", "float32", batch_size, models)
    return Predictor(class_names(), DecodeRecipe(size), _only_output(engine), _as_it_is)


def _model_engine(
    name: str, bundle: Bundle, precision: str, models: Path, batch_size: int
) -> Engine:
    identity = {"kind": "fine-tuned", "sha256": bundle.sha256}
    network = GivenNetwork(f"{name}-model", identity, ("probabilities",), bundle.model)
    return open_engine(network, "auto", precision, batch_size, models)


def _scores(engine: Callable[[], Engine], score: Scoring, n_columns: int) -> Computing:
    """Return what turns batches into scores: the engine's outputs, flat, and a head.

    The engine is opened with the first batch: where all features are cached there is none.
    """

    def scores(batches: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        for outputs in engine().run(batches):
            if not len(outputs[0]):  # no picture could be decoded, and heads refuse no rows
                yield np.empty((0, n_columns))
                continue
            yield score(side_by_side(outputs))

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
