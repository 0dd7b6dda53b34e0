"""EfficientNet-Lite as an OpenVINO graph, straight from the packaged weights, without Keras."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.lite_plan import blocks_of, layers_from_torch
from pipeline.backbones.openvino_parts import pictures_input, pooled
from pipeline.backbones.torch_pickle import read_torch_pickle
from pipeline.system.startup import import_openvino

ov = import_openvino()
_ops = ov.opset13

Weights = Mapping[str, list[np.ndarray]]
_EPSILON = 1e-3
_POOLINGS = ("avg", "max", "avg+max", "gem", "none")


def lite_graph(
    name: str, path: Path, size: int, cuts: Sequence[Cut], outputs: Sequence[str]
) -> Any:
    """Return OpenVINO's model of a base; None for some cuts.

    Args:
        name: ``"EfficientNetLite0"``, ``"EfficientNetLite1"`` or ``"EfficientNetLite2"``.
        path: Weights of the PyTorch port.
        size: Side of the pictures.
        cuts: Where features are taken.
        outputs: What each is called.

    Returns:
        A model with the input ``images`` (n, size, size, 3) uint8 and an output of each name; None
        where a cut is in the classifier, its pooling is Keras' business, or a weight is missing.

    Raises:
        WeightsError: The file is damaged.
    """
    try:
        layers = layers_from_torch(name, read_torch_pickle(path))
    except KeyError:  # Keras' way says what is missing
        return None
    images, x = pictures_input(size, "lite", first=True)
    found = _walk(name, layers, x)
    if any(cut.layer not in found or cut.pooling not in _POOLINGS for cut in cuts):
        return None
    results = []
    for cut, output in zip(cuts, outputs, strict=True):
        value = _ops.transpose(found[cut.layer], [0, 2, 3, 1]).output(0)
        results.append(_ops.result(pooled(value, cut.pooling)))
        results[-1].output(0).set_names({output})
    return ov.Model(results, [images], name)


def _walk(name: str, layers: Weights, x: Any) -> dict[str, Any]:
    """Compute the map of every layer, by Keras' name of it."""
    found: dict[str, Any] = {}

    def normalized(x: Any, layer: str) -> Any:
        gamma, beta, mean, variance = (array.astype(np.float64) for array in layers[layer])
        scale = gamma / np.sqrt(variance + _EPSILON)
        scaled = _ops.multiply(x, _of_channels(scale))
        found[layer] = _ops.add(scaled, _of_channels(beta - mean * scale))
        return found[layer]

    def convolved(x: Any, prefix: str, kind: str, norm: str, stride: int = 1) -> Any:
        layer = f"{prefix}{kind}"
        convolve = _depthwise if kind == "dwconv" else _convolution
        found[layer] = convolve(x, layers[layer][0], stride)
        return normalized(found[layer], f"{prefix}{norm}")

    def activated(x: Any, layer: str) -> Any:
        found[layer] = _ops.clamp(x, 0.0, 6.0)
        return found[layer]

    x = activated(convolved(x, "stem_", "conv", "bn", 2), "stem_activation")
    for prefix, stage, stride in blocks_of(name):
        before, n_before = x, layers[f"{prefix}dwconv"][0].shape[2] // stage.expansion
        if stage.expansion != 1:
            x = convolved(x, prefix, "expand_conv", "expand_bn")
            x = activated(x, f"{prefix}expand_activation")
        x = activated(convolved(x, prefix, "dwconv", "bn", stride), f"{prefix}activation")
        x = convolved(x, prefix, "project_conv", "project_bn")
        if stride == 1 and n_before == stage.filters:
            found[f"{prefix}drop"] = x  # which only training drops
            x = found[f"{prefix}add"] = _ops.add(x, before)
    activated(convolved(x, "top_", "conv", "bn"), "top_activation")
    return found


def _convolution(x: Any, kernel: np.ndarray, stride: int) -> Any:
    return _ops.convolution(x, kernel.transpose(3, 2, 0, 1), **_same(stride))


def _depthwise(x: Any, kernel: np.ndarray, stride: int) -> Any:
    return _ops.group_convolution(x, kernel.transpose(2, 3, 0, 1)[:, :, None], **_same(stride))


def _same(stride: int) -> dict[str, Any]:
    sides = {"strides": [stride] * 2, "dilations": [1, 1], "auto_pad": "same_upper"}
    return {**sides, "pads_begin": [0, 0], "pads_end": [0, 0]}


def _of_channels(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(1, -1, 1, 1)
