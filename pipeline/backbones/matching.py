"""Fit stored weights to the layers of a model: all of them, or none and an error.

Pure NumPy. A file may name layers as the model does, or by position only (automatic names such
as ``conv2d_17`` differ from process to process), or nest the wanted base in a larger model. Each
such way is a ``StoredLayers``; the first that fits every layer is taken.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import WeightsError

Shapes = list[tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class StoredLayer:
    """A layer's weights as a file has them, in the layer's own order."""

    name: str
    arrays: list[np.ndarray]

    @property
    def shapes(self) -> Shapes:
        """Shapes of the arrays."""
        return [array.shape for array in self.arrays]


@dataclasses.dataclass(frozen=True)
class StoredLayers:
    """One reading of a file.

    Args:
        naming: How its layers are named, and so which targets they may fit: ``"top"`` (layers of
            the model itself), ``"leaf"`` (nested layers taken apart) or ``"path"`` (class and
            index, as Keras 3 writes them).
        layers: The layers that have weights.
        ordered: Whether they stand in the order of the model, so that position means something.
    """

    naming: str
    layers: list[StoredLayer]
    ordered: bool = True


@dataclasses.dataclass(frozen=True)
class Target:
    """A layer of the model that must get weights."""

    name: str
    shapes: Shapes


def match(
    targets: Mapping[str, Sequence[Target]],
    readings: Sequence[StoredLayers],
    owner: str,
    path: Path,
) -> tuple[str, list[list[np.ndarray]]]:
    """Choose weights for every target.

    Args:
        targets: The model's layers, once per naming.
        readings: Readings of the file, most literal first.
        owner: What the weights are for, as the user calls it.
        path: The file, for the error.

    Returns:
        The naming that fitted, and the arrays of each of its targets in their order.

    Raises:
        WeightsError: If no reading fits; it tells the first layer that does not.
    """
    for reading in readings:
        named = {layer.name: layer for layer in reading.layers}
        unique = len(named) == len(reading.layers)
        if unique and _misfit(targets[reading.naming], named) is None:
            return reading.naming, [named[target.name].arrays for target in targets[reading.naming]]
    for reading in readings:
        wanted, layers = targets[reading.naming], reading.layers
        # Given the model's names in its order, a misfit is a layer of the wrong kind.
        renamed = {t.name: layer for t, layer in zip(wanted, layers, strict=False)}
        renamed |= {f"+{layer.name}": layer for layer in layers[len(wanted) :]}
        if reading.ordered and _misfit(wanted, renamed) is None:
            return reading.naming, [layer.arrays for layer in layers[: len(wanted)]]
    raise WeightsError(
        f"expected weights of {owner} in {path}, but {_nearest_misfit(targets, readings)}; "
        f"give a file of this architecture with --weights PATH"
    )


def _misfit(targets: Iterable[Target], stored: Mapping[str, StoredLayer]) -> str | None:
    """Return what is wrong with the first layer that does not fit; None if everything does."""
    wanted = {target.name: target.shapes for target in targets}
    for name, shapes in wanted.items():
        if name not in stored:
            return f"it has no weights for layer {name!r}, which expects {_text(shapes)}"
        if stored[name].shapes != shapes:
            found = _text(stored[name].shapes)
            return f"layer {name!r} expects {_text(shapes)} and the file has {found}"
    # A deeper network of the same family has all our layers, and more: ResNet101 for ResNet50.
    # What may be left over is a top, and tops do not filter in space.
    for name, layer in stored.items():
        spatial = any(len(shape) == 4 and shape[0] * shape[1] > 1 for shape in layer.shapes)
        if name not in wanted and spatial:
            return f"it also has a layer {name.lstrip('+')!r}, which this architecture lacks"
    return None


def _text(shapes: Shapes) -> str:
    return " ".join(str(shape).replace(" ", "") for shape in shapes) or "nothing"


def _nearest_misfit(
    targets: Mapping[str, Sequence[Target]], readings: Sequence[StoredLayers]
) -> str:
    """Describe the misfit of the reading that shares most names with the model."""

    def likeness(reading: StoredLayers) -> tuple[bool, int]:
        wanted = {target.name for target in targets[reading.naming]}
        n_shared = len(wanted & {layer.name for layer in reading.layers})
        # Every convolutional network shares paths with every other; they tell people nothing.
        return (reading.naming != "path", n_shared)

    nearest = max(readings, key=likeness)
    stored = {layer.name: layer for layer in nearest.layers}
    return str(_misfit(targets[nearest.naming], stored))
