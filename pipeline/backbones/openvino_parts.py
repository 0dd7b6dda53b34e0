"""What graphs of OpenVINO's operations have in common: pictures in, pooled maps out."""

from typing import Any

import numpy as np

from pipeline.backbones.cuts import OF_TOKENS, n_prefix
from pipeline.backbones.preprocessing import constants_of
from pipeline.system.startup import import_openvino

ov = import_openvino()
_ops = ov.opset13
_GEM_POWER, _GEM_SMALLEST = 3.0, 1e-6


def pictures_input(size: int, family: str, *, first: bool) -> tuple[Any, Any]:
    """Return an input of pictures, and these preprocessed.

    Args:
        size: Side of the pictures.
        family: What they go through, see `constants_of`.
        first: Whether channels are to be first.

    Returns:
        The input ``images`` (n, size, size, 3) uint8, and a node of float32.
    """
    images = _ops.parameter([-1, size, size, 3], np.uint8, name="images")
    images.output(0).set_names({"images"})
    constants = constants_of(family)
    x = _ops.convert(images, "f32")
    if constants.reverse_channels:
        x = _ops.gather(x, np.array([2, 1, 0]), np.array(3))
    if family != "raw":
        x = _ops.multiply(x, np.array(constants.scale, np.float32))
        x = _ops.add(x, np.array(constants.offset, np.float32))
    return images, _ops.transpose(x, np.array([0, 3, 1, 2])) if first else x


def pooled(value: Any, pooling: str) -> Any:
    """Pool a map (n, h, w, c) or tokens (n, t, d), as `cuts.pool` does; vectors are kept."""
    rank = len(value.get_partial_shape())
    if pooling == "none" or rank not in (3, 4):
        return value
    if "+" in pooling:
        parts = [pooled(value, part) for part in pooling.split("+")]
        return _ops.concat(parts, 1).output(0)
    axes = np.array([1, 2] if rank == 4 else [1])
    if pooling == "max":
        return _ops.reduce_max(value, axes).output(0)
    if pooling == "gem":
        floor = _ops.maximum(value, np.float32(_GEM_SMALLEST))
        mean = _ops.reduce_mean(_ops.power(floor, np.float32(_GEM_POWER)), axes)
        return _ops.power(mean, np.float32(1 / _GEM_POWER)).output(0)
    if pooling in OF_TOKENS:
        n_tokens = value.get_partial_shape()[1].get_length()
        kept = [0] if pooling == "cls" else list(range(n_prefix(n_tokens), n_tokens))
        value = _ops.gather(value, np.array(kept), np.array(1))
    return _ops.reduce_mean(value, axes).output(0)
