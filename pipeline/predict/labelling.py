"""What labels decoded pictures: a run's base and head, its fine-tuned model, or an ImageNet top."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbones.engines import Engine, GivenNetwork, open_engine
from pipeline.evaluate.averaging import ViewAverage
from pipeline.features.base import decoding_from_dict, frozen_from_dict
from pipeline.features.store.blocks import side_by_side
from pipeline.heads import FittedHead, NetworkHead, softmax
from pipeline.heads.fitted import centred
from pipeline.images import DecodeRecipe
from pipeline.runs import Bundle

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


def bundle_predictor(name: str, bundle: Bundle, models: Path, batch_size: int) -> Predictor:
    """Make a run's bundle ready to label.

    Args:
        name: The run's.
        bundle: What predicts.
        models: Folder of the converted models.
        batch_size: Pictures per step.

    Raises:
        WeightsError: The base's weights are gone, or not what they were.
    """
    decoding = decoding_from_dict(bundle.base)
    if bundle.head is None:
        engine = _model_engine(name, bundle, models, batch_size)
        return Predictor(bundle.classes, decoding, _only_output(engine))
    base = frozen_from_dict(bundle.base)
    engine = open_engine(base, "auto", base.precision, batch_size, models)
    # Bundles hold heads as they were fitted; what all classes share would only cost digits.
    head = centred(bundle.head) if isinstance(bundle.head, NetworkHead) else bundle.head
    probabilities = head_on(engine, head)
    return Predictor(bundle.classes, decoding, probabilities, bundle.test_views, bundle.threshold)


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
    return Predictor(class_names(), DecodeRecipe(size), _only_output(engine))


def _model_engine(name: str, bundle: Bundle, models: Path, batch_size: int) -> Engine:
    def load() -> Any:
        import keras

        return keras.saving.load_model(bundle.model_path, compile=False, safe_mode=True)

    identity = {"kind": "fine-tuned", "sha256": bundle.sha256}
    network = GivenNetwork(f"{name}-model", identity, ("probabilities",), load)
    return open_engine(network, "auto", bundle.base["precision"], batch_size, models)


def head_on(engine: Engine, head: FittedHead) -> Labeller:
    """Return what turns batches into probabilities: the engine's outputs, flat, and a head."""

    def probabilities(batches: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        for outputs in engine.run(batches):
            if not len(outputs[0]):  # no picture could be decoded, and heads refuse no rows
                yield np.empty((0, 0))
                continue
            yield softmax(head.scores(side_by_side(outputs)))

    return probabilities


def _only_output(engine: Engine) -> Labeller:
    return lambda batches: (output for (output,) in engine.run(batches))
