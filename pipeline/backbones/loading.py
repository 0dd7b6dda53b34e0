"""Put weights into a model. A Keras module.

Every layer gets its weights or the load fails with the first layer that does not fit: Keras' own
loading by name would skip in silence what a file lacks.
"""

import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.lite_plan import layers_from_torch
from pipeline.backbones.matching import StoredLayer, StoredLayers, Target, match
from pipeline.backbones.torch_pickle import read_torch_pickle
from pipeline.backbones.weight_files import read_hdf5
from pipeline.backbones.weight_formats import KERAS, TORCH, not_loaded, stored_as
from pipeline.backbones.weights import WeightsSource
from pipeline.errors import WeightsError

# What Keras' EfficientNet 1 files hold as variance is the standard deviation.
_IMAGENET_STD = np.array((0.229, 0.224, 0.225), np.float32)


class _Leaf(NamedTuple):
    path: str
    layer: keras.Layer


def load_weights(model: keras.Model, spec: BackboneSpec, source: WeightsSource) -> None:
    """Load weights into every layer of a model.

    Args:
        model: A model of the backbone, with or without its top.
        spec: The backbone.
        source: The weights; random ones leave the model as it is.

    Raises:
        WeightsError: If the file is damaged, or lacks a layer, or has another shape for it. The
            model is then unchanged.
    """
    if source.path is None:
        return
    variables = _variables(model)
    targets = {
        naming: [Target(name, [tuple(v.shape) for v in group]) for name, group in named]
        for naming, named in variables.items()
    }
    naming, values = match(targets, _readings(spec, source.path), str(spec), source.path)
    for (_, group), arrays in zip(variables[naming], values, strict=True):
        for variable, array in zip(group, arrays, strict=True):
            variable.assign(array)
    _finish_normalizations(model)


def _variables(model: keras.Model) -> dict[str, list[tuple[str, list[keras.Variable]]]]:
    """List what must get weights under each naming of ``StoredLayers``."""
    leaves = [leaf for leaf in _leaves(model) if leaf.layer.weights]
    return {
        "top": [
            (layer.name, layer.trainable_weights + layer.non_trainable_weights)
            for layer in model.layers
            if layer.weights
        ],
        "leaf": [(leaf.layer.name, leaf.layer.weights) for leaf in leaves],
        "path": [(leaf.path, leaf.layer.weights) for leaf in leaves],
    }


def _leaves(model: keras.Model, prefix: str = "") -> Iterator[_Leaf]:
    """Yield the layers of a model, nested models taken apart, with their paths in Keras 3 files.

    Such a path is the layer's class and its index among layers of that class.
    """
    n_of_class: dict[str, int] = {}
    for layer in model.layers:
        key = snake_case(type(layer).__name__)
        n_of_class[key] = n_of_class.get(key, -1) + 1
        path = f"{prefix}{key}_{n_of_class[key]}" if n_of_class[key] else prefix + key
        if isinstance(layer, keras.Model):
            yield from _leaves(layer, f"{path}/")
        else:
            yield _Leaf(path, layer)


def snake_case(class_name: str) -> str:
    """Turn a class name into Keras' automatic layer name: ``"Conv2D"`` into ``"conv2d"``."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _readings(spec: BackboneSpec, path: Path) -> list[StoredLayers]:
    found = stored_as(path)
    if found == TORCH:
        return [_read_torch(spec, path)]
    if found == KERAS:
        return list(_read_model(path))
    return read_hdf5(path)


def _read_torch(spec: BackboneSpec, path: Path) -> StoredLayers:
    try:
        layers = layers_from_torch(spec.backbone.name, read_torch_pickle(path))
    except KeyError as error:
        raise WeightsError(
            f"expected weights of {spec} in {path}, but it has no tensor {error}; "
            f"give a file of this architecture with --weights PATH"
        ) from error
    return StoredLayers("leaf", [StoredLayer(name, arrays) for name, arrays in layers.items()])


def _read_model(path: Path) -> Iterator[StoredLayers]:
    try:
        model = _load_model(path)
    # What a model of another version, or a damaged one, raises is as varied as its layers.
    except (
        ValueError, TypeError, OSError, LookupError, AttributeError, RuntimeError, ImportError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise not_loaded(path, keras.__version__, error) from error
    for candidate in (model, *_nested(model)):
        layers = [leaf.layer for leaf in _leaves(candidate) if leaf.layer.weights]
        yield StoredLayers("leaf", [StoredLayer(x.name, x.get_weights()) for x in layers])


def _load_model(path: Path) -> keras.Model:
    if path.suffix == ".keras":
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    with tempfile.TemporaryDirectory() as folder:  # Keras goes by the name alone
        return _load_model(Path(shutil.copy(path, Path(folder, "model.keras"))))


def _nested(model: keras.Model) -> Iterator[keras.Model]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield layer
            yield from _nested(layer)


def _finish_normalizations(model: keras.Model) -> None:
    """Make EfficientNet 1 normalise as it was trained, and let new statistics take effect.

    The published files hold the standard deviation where Keras' layer expects the variance;
    Keras makes up for it by a further layer, which it adds only if it loads the file itself.
    We put the variance right instead: the arithmetic is the same, the graph is always the same.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, *rest = layer.get_weights()
            if np.allclose(variance.ravel(), _IMAGENET_STD, atol=1e-4):
                layer.set_weights([mean, np.square(variance), *rest])
            layer.finalize_state()
