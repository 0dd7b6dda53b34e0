"""Where a model can be cut below what learns, so that little crosses the cut. A Keras module."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import keras

from pipeline.backbones.unfreeze import ancestors, is_batch_norm, parents

_PREPROCESSING = (keras.layers.Normalization, keras.layers.Rescaling)


@dataclass(frozen=True)
class Boundary:
    """A cut of a model into what never changes and what learns.

    Args:
        layer: The one layer of the base through which everything that learns sees a picture.
        beside: Places of those outputs of the base that the head sees and that do not come from
            ``layer``: they lie below it, or beside it.
        between: Frozen layers with weights above ``layer`` that are computed in every step.
    """

    layer: str
    beside: tuple[int, ...]
    between: tuple[str, ...]


def find_boundary(
    model: keras.Model, outputs: list[str], learning: Collection[str]
) -> Boundary | None:
    """Find the highest layer that every path from a picture to what learns leads through.

    That is the nearest common dominator (Lengauer and Tarjan 1979) of the layers that learn, and of
    the outputs that depend on them; of a residual block that learns in part, it is the block's
    input.

    Args:
        model: A base with a head.
        outputs: Layers of the base's outputs that the head sees, in order.
        learning: Names of the base's layers that learn, at least one.

    Returns:
        The boundary; None where nothing but the picture, scaled maybe, is such a place.
    """
    by_name = {operation.name: operation for operation in model.operations}
    dominators = _dominators(model.operations)
    changed = [name for name in outputs if ancestors(by_name[name]) & set(learning)]
    common = set.intersection(*(dominators[name] - {name} for name in (*learning, *changed)))
    chain = [layer.name for layer in model.layers if layer.name in common and _can_be_cut(layer)]
    layer = max(chain, key=lambda name: len(dominators[name]), default=None)
    if layer is None or not _computes(model, ancestors(by_name[layer])):
        return None
    beside = tuple(i for i, name in enumerate(outputs) if layer not in dominators[name])
    return Boundary(layer, beside, _frozen_between(model, layer, changed, learning))


def _dominators(operations: list[Any]) -> dict[str, set[str]]:
    """Return which operations every path from the picture to each one leads through, itself too."""
    found: dict[str, set[str]] = {}
    waiting = list(operations)
    while waiting:  # the order is that of the graph, up to branches of equal depth
        operation = waiting.pop(0)
        above = [parent.name for parent in parents(operation)]
        if any(name not in found for name in above):
            waiting.append(operation)
            continue
        shared = set.intersection(*(found[name] for name in above)) if above else set()
        found[operation.name] = shared | {operation.name}
    return found


def _can_be_cut(layer: keras.Layer) -> bool:
    return not isinstance(layer, keras.layers.InputLayer) and not isinstance(layer.output, list)


def _computes(model: keras.Model, names: Collection[str]) -> bool:
    """Return whether some of these layers are more than preprocessing."""
    layers = (layer for layer in model.layers if layer.name in names)
    return any(layer.weights and not isinstance(layer, _PREPROCESSING) for layer in layers)


def _frozen_between(
    model: keras.Model, boundary: str, changed: list[str], learning: Collection[str]
) -> tuple[str, ...]:
    """Name the frozen layers with weights from the boundary to the outputs; BatchNorm is cheap."""
    by_name = {operation.name: operation for operation in model.operations}
    needed = set[str]().union(*(ancestors(by_name[name]) for name in changed))
    above = needed - ancestors(by_name[boundary]) - set(learning)
    layers = (layer for layer in model.layers if layer.name in above and layer.weights)
    return tuple(layer.name for layer in layers if not is_batch_norm(layer))
