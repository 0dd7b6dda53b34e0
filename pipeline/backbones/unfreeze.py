"""Which layers of a base learn: everything from a named part upwards; BatchNorm if asked to."""

import re
from collections.abc import Collection
from typing import Any

import keras

from pipeline.backbones.backbone import TOP, BackboneSpec
from pipeline.errors import InputError

HEAD_PREFIX = "head_"
ALL, AUTO = "all", "auto"


def unfreeze(
    model: keras.Model, spec: BackboneSpec, boundary: str, batch_norm: bool = False
) -> list[str]:
    """Let the head and the base from ``boundary`` upwards learn; freeze the rest.

    BatchNorm layers stay frozen unless asked for: Keras then runs them in inference mode, so their
    moving statistics keep every bit. Frozen layers also stop dropping units: they compute what
    feature extraction computed.

    Args:
        model: A base with a head whose layers are called ``head_…``.
        spec: The backbone, for the names of its blocks.
        boundary: ``block5`` (that block and all above), a Keras layer name (that layer and all
            above), a number of layers with weights counted from the top, ``all``, or ``auto``
            (the two highest blocks below the head).
        batch_norm: Whether BatchNorm from ``boundary`` upwards learns as well, in training mode.

    Returns:
        The names of the base's layers that learn, from the bottom up.

    Raises:
        InputError: There is no such layer below the head, or nothing there could learn.
    """
    base = [layer for layer in model.layers if not layer.name.startswith(HEAD_PREFIX)]
    wanted = _from(base, spec, boundary)
    learning = []
    for layer in base:
        learns = layer.name in wanted and (batch_norm or not is_batch_norm(layer))
        layer.trainable = learns
        if learns and layer.trainable_variables:
            learning.append(layer.name)
        if not learns:
            _stop_dropping(layer)
    if not learning:
        raise InputError(
            f"expected layers with weights from {boundary!r} up to the head, there are none in "
            f"{spec} below it; choose a lower --unfreeze: {', '.join(spec.cut_points())}"
        )
    return learning


def freeze(model: keras.Model) -> None:
    """Let the head alone learn."""
    for layer in model.layers:
        if not layer.name.startswith(HEAD_PREFIX):
            layer.trainable = False
            _stop_dropping(layer)


def is_batch_norm(layer: keras.Layer) -> bool:
    """Return whether a layer has moving statistics."""
    return isinstance(layer, keras.layers.BatchNormalization)


def _stop_dropping(layer: keras.Layer) -> None:
    """Set dropout and stochastic depth to zero, in training as in inference."""
    for name in ("rate", "drop_path_rate"):
        if isinstance(getattr(layer, name, None), float):
            setattr(layer, name, 0.0)


def _from(base: list[keras.Layer], spec: BackboneSpec, boundary: str) -> Collection[str]:
    names = [layer.name for layer in base]
    if boundary == ALL:
        return set(names)
    if boundary == AUTO:
        return _block_and_above(base, spec, _second_highest_block(names, spec))
    if boundary.isdigit():
        boundary = _nth_from_top([layer.name for layer in base if layer.weights], int(boundary))
    if match := re.fullmatch(r"block(\d+)", boundary):
        return _block_and_above(base, spec, int(match[1]))
    if boundary not in names:
        raise InputError(
            f"expected a layer of {spec} below the head for --unfreeze, received {boundary!r}; "
            f"cut points: {', '.join(spec.cut_points())}; `pipeline summary` lists all layers"
        )
    return set(names[names.index(boundary) :])


def block_factors(
    model: keras.Model, spec: BackboneSpec, learning: Collection[str], decay: float
) -> dict[str, float]:
    """Return factors on the step of layers that learn: less from block to block downwards.

    Args:
        model: A base with a head, whose own factor is 1.
        spec: The backbone, for the ends of its blocks.
        learning: Names of layers that learn.
        decay: What a block has of the factor of the block above it; the highest one has it of 1.
    """
    by_name = {layer.name: layer for layer in model.layers}
    points = spec.cut_points().items()
    ends = [end for point, end in points if point != TOP and end in by_name]
    under = [ancestors(by_name[end]) for end in ends]
    block_of = {name: sum(name not in below for below in under) for name in learning}
    blocks = sorted(set(block_of.values()), reverse=True)
    return {name: decay ** (1 + blocks.index(block)) for name, block in block_of.items()}


def _second_highest_block(names: list[str], spec: BackboneSpec) -> int:
    """Return the number of the block below the highest one that the model contains part of."""
    ends = [layer for point, layer in spec.cut_points().items() if point != TOP]
    whole = sum(end in names for end in ends)
    return max(1, whole - 1)


def _nth_from_top(names: list[str], n_layers: int) -> str:
    if not 0 < n_layers <= len(names):
        raise InputError(
            f"expected 1 to {len(names)} layers (those with weights) to unfreeze, "
            f"received {n_layers}"
        )
    return names[-n_layers]


def _block_and_above(base: list[keras.Layer], spec: BackboneSpec, number: int) -> Collection[str]:
    """Everything that the end of the block below does not depend on."""
    points = spec.cut_points()
    if f"block{number}" not in points:
        raise InputError(
            f"expected a block of {spec} for --unfreeze, received block{number}; "
            f"cut points: {', '.join(points)}"
        )
    by_name = {layer.name: layer for layer in base}
    if number == 1:
        return set(by_name)
    end_below = points[f"block{number - 1}"]
    if end_below not in by_name:
        raise InputError(
            f"expected a part below the head, received block{number}: the head sits on a cut at or "
            f"below the end of block{number - 1}; choose a lower --unfreeze"
        )
    return by_name.keys() - ancestors(by_name[end_below])


def ancestors(layer: keras.Layer) -> set[str]:
    """Return the names of a layer and of every layer that it depends on."""
    found: set[str] = set()
    waiting: list[keras.Layer] = [layer]
    while waiting:
        current = waiting.pop()
        if current.name not in found:
            found.add(current.name)
            waiting += parents(current)
    return found


def parents(layer: keras.Layer) -> list[keras.Layer]:
    """Return the layers, or bare operations, whose outputs a layer takes."""
    nodes: list[Any] = layer._inbound_nodes
    return [parent.operation for node in nodes for parent in node.parent_nodes]
