"""Leave out normalisations that a convolution can do by its own weights. A Keras module.

In 16 bits Keras normalises in float32: maps go to the memory of a GPU and back three times for it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras.layers import BatchNormalization, Conv2D, DepthwiseConv2D, SeparableConv2D

from pipeline.backbones.unfreeze import parents


def folded(model: keras.Model) -> keras.Model:
    """Return a model for inference that computes the same with fewer steps.

    A convolution of one use whose output is normalised next takes the scale into its kernel and
    the rest into its bias. All other layers are shared with the given model.

    Args:
        model: A functional model.
    """
    uses = Counter(id(parent) for one in model.operations for parent in parents(one))
    uses.update(id(output._keras_history.operation) for output in model.outputs)
    merged: dict[int, keras.Layer] = {}
    left_out = set()
    for norm in model.layers:
        if isinstance(norm, BatchNormalization) and len(before := parents(norm)) == 1:
            (convolution,) = before
            if _can_take(convolution, norm) and uses[id(convolution)] == 1:
                merged[id(convolution)] = _merged(convolution, norm)
                left_out.add(id(norm))
    if not merged:
        return model

    def called(layer: Any, *given: Any, **more: Any) -> Any:
        return given[0] if id(layer) in left_out else layer(*given, **more)

    return keras.models.clone_model(
        model, clone_function=lambda one: merged.get(id(one), one), call_function=called
    )


def _can_take(layer: Any, norm: BatchNormalization) -> bool:
    return (
        type(layer) in (Conv2D, DepthwiseConv2D, SeparableConv2D)
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and norm.axis in (-1, 3)
        and len(layer._inbound_nodes) == 1
    )


def _merged(convolution: Any, norm: BatchNormalization) -> keras.Layer:
    """Return a convolution that normalises; made without its configuration, which needs imports."""
    mean, variance = _values(norm.moving_mean), _values(norm.moving_variance)
    scale = (1.0 if norm.gamma is None else _values(norm.gamma)) / np.sqrt(variance + norm.epsilon)
    shift = (0.0 if norm.beta is None else _values(norm.beta)) - mean * scale
    bias = _values(convolution.bias) if convolution.use_bias else 0.0
    more = {
        name: getattr(convolution, name)
        for name in ("kernel_size", "strides", "padding", "dilation_rate", "name")
    } | {"dtype": convolution.dtype_policy, "bias_initializer": _fixed(bias * scale + shift)}
    if isinstance(convolution, DepthwiseConv2D):
        kernel = _values(convolution.kernel)
        more["depthwise_initializer"] = _fixed(kernel * scale.reshape(kernel.shape[2:]))
        return DepthwiseConv2D(depth_multiplier=convolution.depth_multiplier, **more)
    if isinstance(convolution, SeparableConv2D):
        more["depthwise_initializer"] = _fixed(_values(convolution.depthwise_kernel))
        more["pointwise_initializer"] = _fixed(_values(convolution.pointwise_kernel) * scale)
        more["depth_multiplier"] = convolution.depth_multiplier
        return SeparableConv2D(convolution.filters, **more)
    more["kernel_initializer"] = _fixed(_values(convolution.kernel) * scale)
    return Conv2D(convolution.filters, groups=convolution.groups, **more)


def _values(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _fixed(values: np.ndarray) -> Callable[..., np.ndarray]:
    """Return what a layer's weights begin with: given values, for which JAX compiles nothing."""
    return lambda shape, dtype: values.reshape(shape).astype(dtype)
