"""Build models from a backbone: extractors, bare bases and ImageNet classifiers. A Keras module.

Layers stay flat and reachable by name, so that fine-tuning can freeze and unfreeze them, and
have the names of the catalog in every process.
"""

import random
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.initializers import Ones, RandomNormal, TruncatedNormal, VarianceScaling, Zeros

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.cuts import SEVERAL, Cut, as_float32, pool
from pipeline.backbones.efficientnet_lite import efficientnet_lite
from pipeline.backbones.loading import load_weights, snake_case
from pipeline.backbones.preprocessing import preprocessing_layers
from pipeline.backbones.weights import WeightsSource
from pipeline.errors import InputError, UnknownNameError, WeightsError

# Given by Keras itself, although it looks like an automatic name.
_NOT_AUTOMATIC = {"reshape_2"}


def build_extractor(
    spec: BackboneSpec, source: WeightsSource, image_size: int, cuts: Sequence[Cut]
) -> keras.Model:
    """Build what turns pictures into features.

    Args:
        spec: The backbone.
        source: Its weights; with the top if ``spec.needs_top`` of any cut.
        image_size: Side of the square input in pixels.
        cuts: Where features are taken, at least one.

    Returns:
        A functional model from ``images`` (n, image_size, image_size, 3), float32, RGB, 0–255, to
        float32 outputs, one per cut in that order: (n, channels), or (n, h, w, channels) for
        pooling ``"none"``. Keras returns a list for several and the array itself for one;
        ``model.outputs`` is a list always. Layers above the highest cut are not part of it.

    Raises:
        UnknownNameError: If a cut names no layer of the backbone.
        InputError: If the architecture cannot take the input size.
        WeightsError: If the weights do not fit.
    """
    if kind := spec.backbone.given:
        if source.path is None:
            raise WeightsError(f"expected the file of the base {spec}, received none")
        from pipeline.backbones.given_keras import build_given

        return build_given(kind, source.path, image_size, cuts, spec.backbone.preprocessing)
    images = _images(image_size)
    include_top = any(spec.needs_top(cut.layer) for cut in cuts)
    x = preprocessing_layers(images, spec.backbone.preprocessing)
    base = _build(spec, source, x, image_size, include_top)
    outputs = [
        pool(_output_of(base, spec, cut.layer), cut.pooling, name=f"features_{i}")
        for i, cut in enumerate(cuts)
    ]
    return keras.Model(images, outputs, name=spec.backbone.name.lower())


def check_layers(
    spec: BackboneSpec, image_size: int, include_top: bool, names: Sequence[str]
) -> None:
    """Raise what `build_extractor` would raise about its cuts; no weights are read.

    Raises:
        UnknownNameError: If a name is of no layer of the backbone.
        InputError: If the architecture cannot take the input size.
    """
    with _nothing_drawn():
        model = _construct(spec, _images(image_size), image_size, include_top)
    _rename_as_in_fresh_process(model)
    for name in names:
        _output_of(model, spec, name)


def build_base(
    spec: BackboneSpec, source: WeightsSource, image_size: int, include_top: bool = False
) -> keras.Model:
    """Build the bare base.

    Args:
        spec: The backbone.
        source: Its weights.
        image_size: Side of the square input in pixels.
        include_top: Whether to append the built-in classifier.

    Returns:
        A functional model from ``images`` (n, image_size, image_size, 3) float32, preprocessed
        by ``preprocessing_layers``, to the map of the layer ``top`` (n, h, w,
        channels), or to the 1,000 probabilities.

    Raises:
        InputError: If the architecture cannot take the input size.
        WeightsError: If the weights do not fit.
    """
    return _build(spec, source, _images(image_size), image_size, include_top)


def build_classifier(spec: BackboneSpec, source: WeightsSource, image_size: int) -> keras.Model:
    """Build the backbone with its own ImageNet classifier.

    Args:
        spec: The backbone.
        source: Its weights with the top.
        image_size: Side of the square input in pixels.

    Returns:
        A functional model from ``images`` (n, image_size, image_size, 3), float32, RGB, 0–255, to
        float32 probabilities (n, 1000) in the order of ``imagenet.class_names``.

    Raises:
        InputError: If the architecture cannot take the input size.
        WeightsError: If the weights do not fit.
    """
    images = _images(image_size)
    x = preprocessing_layers(images, spec.backbone.preprocessing)
    base = _build(spec, source, x, image_size, include_top=True)
    probabilities = as_float32(base.outputs[0], "probabilities")
    return keras.Model(images, probabilities, name=spec.backbone.name.lower())


def _images(image_size: int) -> Any:
    return keras.Input((image_size, image_size, 3), name="images", dtype="float32")


def _build(
    spec: BackboneSpec, source: WeightsSource, x: Any, image_size: int, include_top: bool
) -> keras.Model:
    """Append a base to a tensor, with its weights; the model starts where the tensor does."""
    spec.check_image_size(image_size, include_top)
    with _nothing_drawn() if source.seed is None else _drawing_from(source.seed):
        model = _construct(spec, x, image_size, include_top)
    _rename_as_in_fresh_process(model)
    load_weights(model, spec, source)
    # Wrapped again, as a model notes the names of its outputs when it is made.
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Let initial weights be those of a seed, and leave later draws as they were.

    Keras draws the seeds of its initializers from Python's generator, and from nothing else.
    """
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Let this thread's layers begin with zeros: their weights come from a file, or do not matter.

    JAX compiles a program for each shape that it draws: half a minute for a base, for nothing.
    """
    here, kinds = (
        threading.get_ident(),
        (VarianceScaling, TruncatedNormal, RandomNormal, Ones, Zeros),
    )
    before = {cls: cls.__call__ for cls in kinds}

    def zeros(self: Any, shape: Any, dtype: Any = None, **others: Any) -> Any:
        if threading.get_ident() != here:  # somebody else's layers
            kind = next(cls for cls in kinds if isinstance(self, cls))
            return before[kind](self, shape, dtype, **others)
        return np.zeros(shape, dtype)

    try:
        for cls in kinds:
            cls.__call__ = zeros
        yield
    finally:
        for cls, call in before.items():
            cls.__call__ = call


def _construct(spec: BackboneSpec, x: Any, image_size: int, include_top: bool) -> keras.Model:
    row = spec.backbone
    if row.module == "efficientnet_lite":
        return efficientnet_lite(row.name, x, include_top)
    # Weights are loaded by us: Keras would take only a subset of the formats, and download.
    try:
        return getattr(keras.applications, row.name)(
            include_top=include_top,
            weights=None,
            input_tensor=x,
            input_shape=(image_size, image_size, 3),
            **spec.arguments,
        )
    except ValueError as error:
        if (backend := keras.config.backend()) not in str(error):
            raise
        raise InputError(
            f"expected a base that Keras has on {backend}, received {spec}: {error}; choose "
            f"another --engine"
        ) from error


def _rename_as_in_fresh_process(model: keras.Model) -> None:
    """Give automatically named layers the names that they have in a fresh process.

    Keras numbers such layers through the whole process, so that ``activation_17`` of the first
    model is ``activation_52`` of the second; cut points must mean the same in both.
    """
    numbered: dict[str, list[tuple[int, Any]]] = {}
    for operation in model.operations:
        prefix = snake_case(type(operation).__name__)
        found = re.fullmatch(rf"{prefix}(?:_(\d+))?", operation.name)
        if found and operation.name not in _NOT_AUTOMATIC:
            numbered.setdefault(prefix, []).append((int(found[1] or 0), operation))
    for prefix, operations in numbered.items():
        first = min(number for number, _ in operations)
        for number, operation in operations:
            operation.name = f"{prefix}_{number - first}" if number > first else prefix


def _output_of(model: keras.Model, spec: BackboneSpec, name: str) -> Any:
    layers = {layer.name: layer for layer in model.layers}
    if (layer := layers.get(spec.resolve_layer(name))) is None:
        points = ", ".join(f"{point} = {end}" for point, end in spec.cut_points().items())
        hint = (
            f"cut points of {spec}: {points}; {', '.join(SEVERAL)} stand for several; "
            f"'pipeline summary {spec}' lists every layer"
        )
        raise UnknownNameError("layer", name, [*SEVERAL, *spec.cut_points(), *layers], hint)
    return layer.output
