"""Read the two HDF5 layouts in which Keras stores weights, without building a model.

Legacy ``.h5``: a group per layer with a list of its arrays, at the root or, in a file of a whole
model, under ``model_weights``. Keras 3 ``.weights.h5``: groups ``layers/<class>_<index>/vars``.
Only weights files are read here; the feature cache is the store's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.backbones.matching import StoredLayer, StoredLayers
from pipeline.errors import WeightsError

if TYPE_CHECKING:
    import h5py


def read_hdf5(path: Path) -> list[StoredLayers]:
    """Read every weight of a file.

    Args:
        path: A file of either layout; its content decides which, not its name.

    Returns:
        The readings of the file, most literal first; at least one.

    Raises:
        WeightsError: If the file is damaged, or of neither layout.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            legacy = file.get("model_weights", file)
            if _attribute(legacy, "layer_names"):
                return _read_legacy(legacy)
            if "layers" in file:
                return list(_read_keras3(file))
            early = "_layer_checkpoint_dependencies" in file
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(
            f"expected weights in HDF5, received {path}, which is damaged or of another format "
            f"({str(error).splitlines()[0]}); get the file again"
        ) from error
    what = "Keras 2 wrote as .weights.h5" if early else "holds neither 'layer_names' nor 'layers'"
    raise WeightsError(
        f"expected weights as Keras stores them, received {path}, which {what}; save them with "
        "model.save_weights('NAME.h5')"
    )


def _values(group: "h5py.Group", name: str) -> np.ndarray:
    dataset = group[name]
    # A weights file has no business in pointing at other files.
    if dataset.external or dataset.is_virtual or dataset.file.filename != group.file.filename:
        raise ValueError(f"{dataset.name} points outside the file")
    return np.asarray(dataset)


def _attribute(group: "h5py.Group", name: str) -> list[str]:
    """Read a list of names; a long one is split into ``name0``, ``name1``, …."""
    parts = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs and name not in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [item.decode() if isinstance(item, bytes) else str(item) for p in parts for item in p]


def _read_legacy(root: "h5py.Group") -> list[StoredLayers]:
    groups = {}
    for layer in _attribute(root, "layer_names"):
        names = _attribute(root[layer], "weight_names")
        groups[layer] = [(name, _values(root[layer], name)) for name in names]
    leaves = {layer: _take_apart(layer, named) for layer, named in groups.items() if named}
    top = [StoredLayer(layer, [a for _, a in groups[layer]]) for layer in leaves]
    nested = [parts for parts in leaves.values() if len(parts) > 1]
    return [
        StoredLayers("top", top),
        StoredLayers("leaf", [part for parts in leaves.values() for part in parts]),
        *(StoredLayers("leaf", parts) for parts in nested),
    ]


def _take_apart(layer: str, named: list[tuple[str, np.ndarray]]) -> list[StoredLayer]:
    """Split the arrays of a nested model into its layers, by the name before the last slash."""
    parts: dict[str, list[np.ndarray]] = {}
    for name, array in named:
        owner = name.split("/")[-2] if "/" in name else layer
        parts.setdefault(owner, []).append(array)
    if len(parts) == 1:
        # A plain layer, whatever its weights are called.
        return [StoredLayer(layer, [array for _, array in named])]
    return [StoredLayer(owner, arrays) for owner, arrays in parts.items()]


def _read_keras3(file: "h5py.File") -> Iterator[StoredLayers]:
    for container in _containers(file):
        leaves = list(_leaves(container, ""))
        by_name = [StoredLayer(name, arrays) for _, name, arrays in leaves if name]
        # HDF5 sorts the groups by name, so position means nothing. Early versions of Keras 3
        # wrote no layer names.
        if len(by_name) == len(leaves):
            yield StoredLayers("leaf", by_name, ordered=False)
        by_path = [StoredLayer(path, arrays) for path, _, arrays in leaves]
        yield StoredLayers("path", by_path, ordered=False)


def _containers(group: "h5py.Group") -> Iterator["h5py.Group"]:
    """Yield the ``layers`` groups, outermost first: of the model, then of models inside it."""
    if "layers" in group:
        yield group["layers"]
        for child in group["layers"].values():
            yield from _containers(child)


def _leaves(container: "h5py.Group", prefix: str) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Yield path, name and arrays of every layer with weights below a ``layers`` group."""
    for key, child in container.items():
        if "layers" in child:
            yield from _leaves(child["layers"], f"{prefix}{key}/")
        elif "vars" in child and len(child["vars"]):
            variables = child["vars"]
            name = variables.attrs.get("name", "")
            arrays = [_values(variables, index) for index in sorted(variables, key=int)]
            yield prefix + key, str(name), arrays


def read_model_config(path: Path) -> bytes | None:
    """Return the JSON that describes the layers of a whole model; None where there is none.

    Raises:
        OSError: It is no HDF5, or damaged.
    """
    import h5py

    with h5py.File(path, "r") as file:
        text = file.attrs.get("model_config")
    return text.encode() if isinstance(text, str) else text


def count_values(path: Path) -> int:
    """Return how many values of weights a file holds, by what it says of their shapes."""
    import h5py

    n_values = 0

    def add(name: str, node: object) -> None:
        nonlocal n_values
        if isinstance(node, h5py.Dataset) and not name.startswith("optimizer"):
            n_values += node.size

    try:
        with h5py.File(path, "r") as file:
            file.get("model_weights", file).visititems(add)
    except (OSError, RuntimeError, ValueError):
        return 0
    return n_values
