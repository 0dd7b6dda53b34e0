"""Where features are taken, and how a spatial map becomes a vector inside a Keras graph.

Imports Keras only inside functions, so that cuts can be named without it.
"""

import dataclasses
import math
from typing import Any

from pipeline.errors import UnknownNameError

BLOCKS, EACH, CONCAT, BEST = "blocks", "each", "concat", "best"
SEVERAL = (BEST, EACH, CONCAT, BLOCKS)
"""Words that stand for several layers."""
OF_TOKENS = ("cls", "patch", "cls+patch")
"""Poolings of tokens (n, tokens, d) alone."""
POOLINGS = ("avg", "max", "avg+max", "gem", "none", *OF_TOKENS)

_GEM_POWER = 3.0
_GEM_SMALLEST = 1e-6


@dataclasses.dataclass(frozen=True)
class Cut:
    """One output of an extractor.

    Args:
        layer: A named cut point (``"block3"``, ``"top"``) or a Keras layer name.
        pooling: ``"avg"``, ``"max"``, ``"avg+max"`` (both, concatenated), ``"gem"`` (generalised
            mean with p = 3, Radenović et al. 2018), ``"none"`` (the map as it is); of tokens also
            ``"cls"`` (the first), ``"patch"`` (the mean of the patches') or ``"cls+patch"``.

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
        x: KerasTensor (n, h, w, channels) or tokens (n, t, d); another is kept as it is.
        pooling: One of ``POOLINGS``; those of tokens alone for tokens only.
        name: Of the last layer appended, if any is.

    Returns:
        float32 KerasTensor (n, channels); (n, 2 · channels) for two poolings, in their order; as
        ``x`` for ``"none"``.
    """
    import keras

    x = as_float32(x, f"{name}_float32")
    if pooling == "none" or len(x.shape) not in (3, 4):
        return x
    if "+" in pooling:
        parts = [_pooled(x, part, f"{name}_{part}") for part in pooling.split("+")]
        return keras.layers.Concatenate(dtype="float32", name=name)(parts)
    return _pooled(x, pooling, name)


def _pooled(x: Any, pooling: str, name: str) -> Any:
    import keras

    layers, dimensions = keras.layers, len(x.shape) - 2
    mean = getattr(layers, f"GlobalAveragePooling{dimensions}D")
    if pooling == "max":
        return getattr(layers, f"GlobalMaxPooling{dimensions}D")(dtype="float32", name=name)(x)
    if pooling == "gem":
        # Between the average (p = 1) and the maximum (p → ∞): Radenović, Tolias and Chum,
        # "Fine-tuning CNN image retrieval with no human annotation", 2018. A stock layer for the
        # mean, so that the graph has a layer of the output's name.
        powers = keras.ops.power(keras.ops.maximum(x, _GEM_SMALLEST), _GEM_POWER)
        return keras.ops.power(mean(dtype="float32", name=name)(powers), 1 / _GEM_POWER)
    if pooling in OF_TOKENS:
        n_tokens = x.shape[1]
        kept = (0, n_tokens - 1) if pooling == "cls" else (n_prefix(n_tokens), 0)
        x = layers.Cropping1D(kept, dtype="float32", name=f"{name}_tokens")(x)
    return mean(dtype="float32", name=name)(x)


def n_prefix(n_tokens: int) -> int:
    """Return how many tokens stand before those of the patches: the class and registers.

    Patches make a square: of 197 tokens 196 = 14² are patches, of 261 (DINOv2 with registers) 256.

    >>> n_prefix(197), n_prefix(261), n_prefix(196)
    (1, 5, 0)
    """
    return n_tokens - math.isqrt(n_tokens) ** 2


def as_float32(x: Any, name: str) -> Any:
    """Cast a KerasTensor to float32, if it is not that already."""
    if x.dtype == "float32":
        return x
    import keras

    return keras.layers.Activation("linear", dtype="float32", name=name)(x)
