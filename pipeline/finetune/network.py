"""Base and head as one model: what of it learns, and where it can be cut. A Keras module."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import keras
import numpy as np

from pipeline.backbones.boundary import Boundary, find_boundary
from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines.framework import dtype_policy
from pipeline.backbones.unfreeze import ancestors, block_factors, freeze, unfreeze
from pipeline.errors import InputError
from pipeline.features.base import FrozenBase
from pipeline.finetune.settings import FROZEN
from pipeline.finetune.start import StartingHead
from pipeline.finetune.task import Task
from pipeline.heads.transplant import transplant, with_probabilities
from pipeline.system.units import named, size_text

KEPT = 0.5
"""Of all that layers compute, what a step keeps in memory: measured for EfficientNet-Lite0 and
MobileNet at 224 px."""


@dataclass(frozen=True)
class BaseWithHead:
    """A base under a head.

    Args:
        logits: Pictures (n, s, s, 3) RGB 0–255 to logits (n, k); what learns is trainable.
        whole: The same with probabilities, sharing its weights.
        learning: Layers of the base that learn, from the bottom up.
        factors: On the step size of each of these.
        outputs: Layers of the base's outputs that the head sees, in the order of its cuts.
        adapted: Layers whose weights are not the base's own: an earlier fine-tuning changed them.
    """

    logits: keras.Model
    whole: keras.Model
    learning: list[str]
    factors: dict[str, float]
    outputs: list[str]
    adapted: frozenset[str] = frozenset()


def build_network(task: Task, start: StartingHead) -> BaseWithHead:
    """Set a head on its base, and freeze what is not to learn.

    Raises:
        InputError: There is no such part below the head, or nothing there could learn.
    """
    config, base = task.config, task.base
    with dtype_policy(config.precision):
        extractor = base.build()
    outputs = [output._keras_history.operation.name for output in extractor.outputs]
    logits = transplant(extractor, start.head, task.spec.params.get("dropout", 0.0))
    adapted = _take_over(logits, start.weights or {})
    learning: list[str] = []
    if config.mode == FROZEN:
        freeze(logits)
    else:
        updates = config.batch_norm == "update"
        learning = unfreeze(logits, base.spec, config.unfreeze, batch_norm=updates)
    factors = block_factors(logits, base.spec, learning, config.block_decay)
    whole = with_probabilities(logits)
    return BaseWithHead(logits, whole, learning, factors, outputs, adapted)


def _take_over(logits: keras.Model, weights: Mapping[str, Sequence[np.ndarray]]) -> frozenset[str]:
    """Give layers the weights of a fine-tuned run; return the names of those that it changed."""
    changed = set()
    for name, arrays in weights.items():
        layer = logits.get_layer(name)
        if not all(map(np.array_equal, layer.get_weights(), arrays)):
            layer.set_weights(arrays)
            changed.add(name)
    return frozenset(changed)


def check_memory(network: BaseWithHead, batch_size: int, available: int | None) -> None:
    """Refuse steps that could not be computed, before the system ends the process for them.

    Args:
        network: What learns keeps what every layer above it computes until the step is done.
        batch_size: Pictures in a step.
        available: Bytes; None where the system does not say.

    Raises:
        InputError: There is less than is needed.
    """
    layers = network.logits.layers
    first = [layer.name for layer in layers].index([*network.learning, layers[-1].name][0])
    computed = keras.tree.flatten([layer.output for layer in layers[first:]])
    values = sum(prod(side or 1 for side in one.shape[1:]) for one in computed)
    needed = int(KEPT * 4 * batch_size * values)
    if available is not None and needed > available:
        raise InputError(
            f"expected about {size_text(needed)} of memory for training steps of {batch_size} "
            f"pictures, received {size_text(available)} that are free; choose a smaller "
            f"--batch-size or a higher --unfreeze"
        )


def boundary_of(network: BaseWithHead, base: FrozenBase, unfrozen: str) -> Boundary:
    """Return where activations are cached for training what is above.

    Raises:
        InputError: Nothing is frozen below what learns, or not as the base has it.
    """
    found = find_boundary(network.logits, network.outputs, network.learning)
    if found is None:
        raise InputError(
            f"expected frozen layers of {base.spec} below --unfreeze, whose activations --mode "
            f"tail could cache, received unfreeze={unfrozen!r}, which leaves none; choose a higher "
            f"--unfreeze, or --mode full"
        )
    below = ancestors(network.logits.get_layer(found.layer))
    if adapted := sorted(below & network.adapted):
        raise InputError(
            f"expected layers below --unfreeze as {base} has them, whose activations --mode tail "
            f"could cache, received unfreeze={unfrozen!r} and {named(adapted)}, which have been "
            f"fine-tuned; choose a lower --unfreeze, or --mode full"
        )
    return found


def boundary_base(base: FrozenBase, boundary: Boundary) -> FrozenBase:
    """Return the base that computes what crosses a boundary: the map, and the outputs beside it."""
    return base.with_cuts([Cut(boundary.layer, "none"), *(base.cuts[i] for i in boundary.beside)])


def tail_of(network: BaseWithHead, boundary: Boundary) -> keras.Model:
    """Return the part of a network above a boundary, sharing its weights.

    Returns:
        A model from the cuts of `boundary_base`, in that order, to logits (n, k).
    """
    logits = network.logits
    by_name = {operation.name: operation for operation in logits.operations}
    names = [boundary.layer, *(network.outputs[i] for i in boundary.beside)]
    inputs = [by_name[name].output for name in names]
    return keras.Model(inputs[0] if len(inputs) == 1 else inputs, logits.output, name="tail")
