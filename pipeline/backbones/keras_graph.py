"""Keras models as OpenVINO graphs, layer by layer, whatever Keras runs on. A Keras module.

Maps lie channels first, as OpenVINO computes them fastest, until a layer works along the channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras.src.models.functional import Functional

from pipeline.system.startup import import_openvino

ov = import_openvino()
_ops = ov.opset13


class UnknownLayerError(Exception):
    """A layer is none of those that are written here; its text says which."""


@dataclass(frozen=True)
class _Value:
    """What an operation gives; ``first`` says whether the channels are the first of four axes."""

    node: Any
    first: bool = False


def graph_of(model: keras.Model, outputs: Sequence[str]) -> Any:
    """Return a model as OpenVINO's, which takes pictures.

    Args:
        model: Input (None, size, size, 3) in float32; any number of outputs.
        outputs: What each is called.

    Returns:
        A model with the input ``images`` (n, size, size, 3) uint8 and an output of each name.

    Raises:
        UnknownLayerError: A layer has no such form here.
    """
    images = _ops.parameter([-1, *model.inputs[0].shape[1:]], np.uint8, name="images")
    images.output(0).set_names({"images"})
    found = _through(model, _Value(_ops.convert(images, "f32")))
    results = []
    for name, value in zip(outputs, keras.tree.flatten(found), strict=True):
        results.append(_ops.result(_last(value)))
        results[-1].output(0).set_names({name})
    return ov.Model(results, [images], model.name)


def _through(model: Any, value: _Value) -> Any:
    graph = getattr(model, "_functional", model)
    if not isinstance(graph, Functional):
        raise UnknownLayerError(f"a {type(model).__name__}, whose layers have no graph")
    return graph._run_through_graph([value], _written)


def _written(operation: Any) -> Callable[..., Any]:
    """Return what stands for an operation of Keras: it takes and gives values."""
    kind = type(operation)
    if isinstance(operation, keras.Model):
        return lambda value, **_: _through(operation, value)
    write = _KINDS.get(kind.__name__)
    if write is None or not kind.__module__.startswith("keras.src."):
        raise UnknownLayerError(f"a layer {kind.__name__}")
    return lambda *given, **_: write(operation, *given)


def _rank(node: Any) -> int:
    return len(node.output(0).get_partial_shape())


def _last(value: _Value) -> Any:
    return _ops.transpose(value.node, [0, 2, 3, 1]) if value.first else value.node


def _first(value: _Value) -> Any:
    return value.node if value.first else _ops.transpose(value.node, [0, 3, 1, 2])


def _weights(layer: Any, *names: str) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(getattr(layer, one)), "float32") for one in names]


def _channels(value: _Value, numbers: Any) -> np.ndarray:
    """Return a number a channel so that it meets a value's channels."""
    numbers = np.asarray(numbers, np.float32)
    return numbers.reshape(-1, 1, 1) if value.first and numbers.size > 1 else numbers.squeeze()


def _affine(value: _Value, scale: Any, shift: Any) -> _Value:
    scaled = _ops.multiply(value.node, _channels(value, scale))
    return _Value(_ops.add(scaled, _channels(value, shift)), value.first)


def _activated(function: Any, value: _Value) -> _Value:
    name = getattr(function, "__name__", "")
    if name not in {*_ACTIVATIONS, "softmax"}:
        raise UnknownLayerError(f"an activation {name or function}")
    if name == "softmax":  # the one that looks along the channels
        return _Value(_ops.softmax(_last(value), _rank(value.node) - 1))
    return _Value(_ACTIVATIONS[name](value.node), value.first)


def _activation(layer: Any, value: _Value) -> _Value:
    return _activated(layer.activation, value)


def _relu(layer: Any, value: _Value) -> _Value:
    if layer.negative_slope or layer.threshold:
        raise UnknownLayerError("a ReLU with a slope or a threshold")
    most = layer.max_value
    node = _ops.relu(value.node) if most is None else _ops.clamp(value.node, 0.0, float(most))
    return _Value(node, value.first)


def _same(layer: Any, value: Any) -> Any:
    """Stand for a layer that does something in training alone."""
    return value


def _plain_layer(layer: Any) -> None:
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise UnknownLayerError(f"a {type(layer).__name__} with channels first")


def _window(layer: Any) -> dict[str, Any]:
    _plain_layer(layer)
    if layer.padding not in ("same", "valid"):
        raise UnknownLayerError(f"padding {layer.padding}")
    auto = "same_upper" if layer.padding == "same" else "valid"
    zeros = {"pads_begin": [0, 0], "pads_end": [0, 0]}
    return {"strides": list(layer.strides), **zeros, "auto_pad": auto}


def _finished(layer: Any, node: Any) -> _Value:
    """Add a bias and the activation of a convolution."""
    value = _Value(node, first=True)
    if layer.use_bias:
        (bias,) = _weights(layer, "bias")
        value = _Value(_ops.add(node, _channels(value, bias)), first=True)
    return _activation(layer, value)


def _dilated(layer: Any) -> dict[str, Any]:
    return {**_window(layer), "dilations": list(layer.dilation_rate)}


def _convolution(layer: Any, value: _Value) -> _Value:
    (kernel,) = _weights(layer, "kernel")
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    if layer.groups == 1:
        return _finished(layer, _ops.convolution(_first(value), kernel, **_dilated(layer)))
    kernel = kernel.reshape(layer.groups, -1, *kernel.shape[1:])
    return _finished(layer, _ops.group_convolution(_first(value), kernel, **_dilated(layer)))


def _by_channel(layer: Any, value: _Value, name: str) -> Any:
    (kernel,) = _weights(layer, name)
    kernel = np.ascontiguousarray(kernel.transpose(2, 3, 0, 1)[:, :, None])
    return _ops.group_convolution(_first(value), kernel, **_dilated(layer))


def _depthwise(layer: Any, value: _Value) -> _Value:
    return _finished(layer, _by_channel(layer, value, "kernel"))


def _separable(layer: Any, value: _Value) -> _Value:
    (kernel,) = _weights(layer, "pointwise_kernel")
    kernel = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    x = _by_channel(layer, value, "depthwise_kernel")
    one = {"strides": [1, 1], "pads_begin": [0, 0], "pads_end": [0, 0], "dilations": [1, 1]}
    return _finished(layer, _ops.convolution(x, kernel, **one))


def _dense(layer: Any, value: _Value) -> _Value:
    (kernel,) = _weights(layer, "kernel")
    node = _ops.matmul(_last(value), kernel, False, False)
    if layer.use_bias:
        node = _ops.add(node, _weights(layer, "bias")[0])
    return _activation(layer, _Value(node))


def _batch_normalization(layer: Any, value: _Value) -> _Value:
    mean, variance = _weights(layer, "moving_mean", "moving_variance")
    (gamma,) = _weights(layer, "gamma") if layer.scale else (np.ones_like(mean),)
    (beta,) = _weights(layer, "beta") if layer.center else (np.zeros_like(mean),)
    if layer.axis not in (-1, _rank(value.node) - 1):
        raise UnknownLayerError(f"a BatchNormalization along axis {layer.axis}")
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + layer.epsilon)
    return _affine(value, scale, beta - mean * scale)


def _layer_normalization(layer: Any, value: _Value) -> _Value:
    rank = _rank(value.node)
    if [axis % rank for axis in np.atleast_1d(layer.axis)] != [rank - 1] or layer.rms_scaling:
        raise UnknownLayerError(f"a LayerNormalization along axis {layer.axis}")
    node = _ops.mvn(_last(value), [rank - 1], True, float(layer.epsilon), "inside_sqrt")
    if layer.scale:
        node = _ops.multiply(node, _weights(layer, "gamma")[0])
    if layer.center:
        node = _ops.add(node, _weights(layer, "beta")[0])
    return _Value(node)


def _normalization(layer: Any, value: _Value) -> _Value:
    if layer.invert:
        raise UnknownLayerError("a Normalization that inverts")
    mean, variance = _weights(layer, "mean", "variance")
    scale = 1 / np.maximum(np.sqrt(variance.astype(np.float64)), keras.backend.epsilon())
    return _affine(value, scale, -mean * scale)


def _rescaling(layer: Any, value: _Value) -> _Value:
    return _affine(value, layer.scale, layer.offset)


def _layer_scale(layer: Any, value: _Value) -> _Value:
    return _affine(value, _weights(layer, "gamma")[0], 0.0)


def _pooling(layer: Any, value: _Value, kind: str) -> _Value:
    window, sides = _window(layer), list(layer.pool_size)
    strides, begin, end, auto = window.values()
    if kind == "max":
        # Version 1, as later ones say where the greatest values were, too.
        node = ov.opset1.max_pool(_first(value), strides, begin, end, sides, "floor", auto)
    else:
        node = _ops.avg_pool(_first(value), strides, begin, end, sides, True, "floor", auto)
    return _Value(node, first=True)


def _global(layer: Any, value: _Value, reduce: Callable[..., Any]) -> _Value:
    _plain_layer(layer)
    axes = {3: [1], 4: [2, 3] if value.first else [1, 2]}[_rank(value.node)]
    return _Value(
        reduce(value.node, np.array(axes), layer.keepdims), layer.keepdims and value.first
    )


def _sides(value: _Value, before: Sequence[int], after: Sequence[int]) -> _Value:
    pads = [np.array([0, 0, *sides]) for sides in (before, after)]
    return _Value(_ops.pad(_first(value), *pads, "constant"), first=True)


def _padding(layer: Any, value: _Value) -> _Value:
    _plain_layer(layer)
    return _sides(value, *zip(*layer.padding, strict=True))


def _cropping(layer: Any, value: _Value) -> _Value:
    _plain_layer(layer)
    before, after = zip(*layer.cropping, strict=True)
    return _sides(value, [-n for n in before], [-n for n in after])


def _reshape(layer: Any, value: _Value) -> _Value:
    target = [int(n) for n in layer.target_shape]
    if _rank(value.node) == 2 and target[:-1] == [1, 1]:  # as squeezing and exciting do
        shape = np.array([0, target[-1], 1, 1])
        return _Value(_ops.reshape(value.node, shape, special_zero=True), first=True)
    return _Value(_ops.reshape(_last(value), np.array([0, *target]), special_zero=True))


def _flatten(layer: Any, value: _Value) -> _Value:
    return _Value(_ops.reshape(_last(value), np.array([0, -1]), special_zero=True))


def _flip(layer: Any, value: _Value) -> _Value:
    if layer.axis not in (-1, 3) or _rank(value.node) != 4:
        raise UnknownLayerError(f"a Flip along axis {layer.axis}")
    node = _last(value)
    n_channels = node.output(0).get_partial_shape()[3].get_length()
    return _Value(_ops.gather(node, np.arange(n_channels)[::-1].copy(), np.array(3)))


def _merged(layer: Any, *given: Any, join: Callable[..., Any]) -> _Value:
    """Join two or more values one after the other; numbers may be among them."""
    values = given[0] if isinstance(given[0], list | tuple) else given
    first = any(isinstance(one, _Value) and one.first for one in values)
    nodes = []
    for one in values:
        if not isinstance(one, _Value):
            nodes.append(_channels(_Value(None, first), one))
        elif first and _rank(one.node) not in (0, 4):
            raise UnknownLayerError("a sum of maps and others")
        else:
            nodes.append(_first(one) if first else one.node)
    total = nodes[0]
    for node in nodes[1:]:
        total = join(total, node)
    return _Value(total, first)


def _concatenated(layer: Any, values: Sequence[_Value]) -> _Value:
    rank = _rank(values[0].node)
    if layer.axis not in (-1, rank - 1):
        raise UnknownLayerError(f"a Concatenate along axis {layer.axis}")
    first = rank == 4
    nodes = [_first(one) if first else one.node for one in values]
    return _Value(_ops.concat(nodes, 1 if first else rank - 1), first)


def _sum_scaled(layer: Any, values: Sequence[_Value]) -> _Value:
    """Of Inception-ResNet: ``a + scale · b``."""
    return _merged(layer, values[0], _affine(values[1], layer.scale, 0.0), join=_ops.add)


_ACTIVATIONS: Mapping[str, Callable[[Any], Any]] = {
    "linear": lambda node: node,
    "relu": _ops.relu,
    "relu6": lambda node: _ops.clamp(node, 0.0, 6.0),
    "silu": lambda node: _ops.swish(node),
    "sigmoid": _ops.sigmoid,
    "tanh": _ops.tanh,
    "gelu": lambda node: _ops.gelu(node, "erf"),
    "hard_silu": _ops.hswish,
    "hard_sigmoid": _ops.hsigmoid,
}

_KINDS: Mapping[str, Callable[..., Any]] = {
    "Activation": _activation,
    "Add": partial(_merged, join=_ops.add),
    "AveragePooling2D": partial(_pooling, kind="avg"),
    "BatchNormalization": _batch_normalization,
    "Concatenate": _concatenated,
    "Conv2D": _convolution,
    "Cropping2D": _cropping,
    "CustomScaleLayer": _sum_scaled,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise,
    "Dropout": _same,
    "Flatten": _flatten,
    "Flip": _flip,
    "GlobalAveragePooling2D": partial(_global, reduce=_ops.reduce_mean),
    "GlobalMaxPooling2D": partial(_global, reduce=_ops.reduce_max),
    "LayerNormalization": _layer_normalization,
    "LayerScale": _layer_scale,
    "MaxPooling2D": partial(_pooling, kind="max"),
    "Maximum": partial(_merged, join=_ops.maximum),
    "Multiply": partial(_merged, join=_ops.multiply),
    "Normalization": _normalization,
    "Power": partial(_merged, join=_ops.power),
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SeparableConv2D": _separable,
    "StochasticDepth": _same,
    "ZeroPadding2D": _padding,
}
