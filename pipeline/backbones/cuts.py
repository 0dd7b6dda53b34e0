"""Where features are taken, and how a spatial map becomes a vector inside a Keras graph.

Imports Keras only inside functions, so that cuts can be named without it.
"""

import dataclasses
from typing import Any

from pipeline.errors import UnknownNameError

BLOCKS, EACH, CONCAT, BEST = "blocks", "each", "concat", "best"
SEVERAL = (BEST, EACH, CONCAT, BLOCKS)
"""Words that stand for several layers."""
POOLINGS = ("avg", "max", "avg+max", "gem", "none")

_GEM_POWER = 3.0
_GEM_SMALLEST = 1e-6


@dataclasses.dataclass(frozen=True)
class Cut:
    """One output of an extractor.

    Args:
        layer: A named cut point (``"block3"``, ``"top"``) or a Keras layer name.
        pooling: ``"avg"``, ``"max"``, ``"avg+max"`` (both, concatenated), ``"gem"`` (generalised
            mean with p = 3, Radenović et al. 2018) or ``"none"`` (the map as it is).

    Raises:
        UnknownNameError: If the pooling is none of these.
    """

    layer: str
    pooling: str = "avg"

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            known = f"choose one of {', '.join(POOLINGS)}"
            raise UnknownNameError("pooling", self.pooling, POOLINGS, known)


def pool(x: Any, pooling: str, name: str) -> Any:
    """Append a pooling, computed in float32 whatever the dtype policy.

    Args:
        x: KerasTensor (n, h, w, channels); one of another rank is a vector already and is kept.
        pooling: One of ``POOLINGS``.
        name: Of the last layer appended, if any is.

    Returns:
        float32 KerasTensor (n, channels); (n, 2 · channels) for ``"avg+max"``, averages first;
        (n, h, w, channels) for ``"none"``.
    """
    import keras

    x = as_float32(x, f"{name}_float32")
    if pooling == "none" or len(x.shape) != 4:
        return x
    average, maximum = keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D
    if pooling == "avg+max":
        parts = [
            average(dtype="float32", name=f"{name}_avg")(x),
            maximum(dtype="float32", name=f"{name}_max")(x),
        ]
        return keras.layers.Concatenate(dtype="float32", name=name)(parts)
    if pooling == "gem":
        return _generalized_mean(x, name)
    return {"avg": average, "max": maximum}[pooling](dtype="float32", name=name)(x)


def as_float32(x: Any, name: str) -> Any:
    """Cast a KerasTensor to float32, if it is not that already."""
    if x.dtype == "float32":
        return x
    import keras

    return keras.layers.Activation("linear", dtype="float32", name=name)(x)


def _generalized_mean(x: Any, name: str) -> Any:
    """Append (mean x³)^⅓ over a map's positions.

    Between the average (p = 1) and the maximum (p → ∞): Radenović, Tolias and Chum, "Fine-tuning
    CNN image retrieval with no human annotation", 2018.
    """
    import keras

    powers = keras.ops.power(keras.ops.maximum(x, _GEM_SMALLEST), _GEM_POWER)
    # A stock layer for the mean, so that the graph has a layer of the output's name.
    mean = keras.layers.GlobalAveragePooling2D(dtype="float32", name=name)
    return keras.ops.power(mean(powers), 1 / _GEM_POWER)
