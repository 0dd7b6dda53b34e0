"""Turn a spatial map into a vector inside a Keras graph. A Keras module."""

from typing import Any

import keras

_GEM_POWER = 3.0
_GEM_SMALLEST = 1e-6


def pool(x: Any, pooling: str, name: str) -> Any:
    """Append a pooling, computed in float32 whatever the dtype policy.

    Args:
        x: KerasTensor (n, h, w, channels); one of another rank is a vector already and is kept.
        pooling: One of ``cuts.POOLINGS``.
        name: Of the last layer appended, if any is.

    Returns:
        float32 KerasTensor (n, channels); (n, 2 · channels) for ``"avg+max"``, averages first;
        (n, h, w, channels) for ``"none"``.
    """
    x = as_float32(x, f"{name}_float32")
    if pooling == "none" or len(x.shape) != 4:
        return x
    if pooling == "avg+max":
        return keras.layers.Concatenate(dtype="float32", name=name)(
            [_average(x, f"{name}_avg"), _maximum(x, f"{name}_max")]
        )
    return {"avg": _average, "max": _maximum, "gem": _generalized_mean}[pooling](x, name)


def as_float32(x: Any, name: str) -> Any:
    """Cast a KerasTensor to float32, if it is not that already."""
    if x.dtype == "float32":
        return x
    return keras.layers.Activation("linear", dtype="float32", name=name)(x)


def _average(x: Any, name: str) -> Any:
    return keras.layers.GlobalAveragePooling2D(dtype="float32", name=name)(x)


def _maximum(x: Any, name: str) -> Any:
    return keras.layers.GlobalMaxPooling2D(dtype="float32", name=name)(x)


def _generalized_mean(x: Any, name: str) -> Any:
    """Append (mean x³)^⅓ over a map's positions.

    Between the average (p = 1) and the maximum (p → ∞): Radenović, Tolias and Chum, "Fine-tuning
    CNN image retrieval with no human annotation", 2018.
    """
    powers = keras.ops.power(keras.ops.maximum(x, _GEM_SMALLEST), _GEM_POWER)
    # A stock layer for the mean, so that the graph has a layer of the output's name.
    return keras.ops.power(_average(powers, name), 1 / _GEM_POWER)
