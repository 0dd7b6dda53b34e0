"""The payloads of bundles: plain arrays, estimators with the types that may be read, whole models.

A whole model Keras builds once it is known to be no larger than its file.
"""

import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RunError
from pipeline.heads import FittedHead, NetworkHead, SklearnHead
from pipeline.heads.preparation import ROWWISE
from pipeline.heads.sound import (
    FAULTS,
    MOST_FEATURES,
    check_network,
    check_sklearn,
    is_sound,
)
from pipeline.system.arrays import check_members, read_array, read_arrays, read_members
from pipeline.system.typed import parse_json, typed
from pipeline.system.units import named

PAYLOADS = {
    "network": "network.npz",
    "sklearn": "head.skops",
    "joblib": "head.joblib",
    "model": "model.keras",
}

_TREE = ("sklearn.tree._tree", "Tree")
SCHEMA, MOST_DEPTH = "schema.json", 400
"""Of skops' files; ensembles of pipelines go deep, and Python reads twice as deep."""

ADMITTED_TYPES = frozenset(
    {
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.DistanceMetric",
        "sklearn.metrics._dist_metrics.EuclideanDistance32",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance32",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Parts of scikit-learn's own classifiers that skops asks about: none runs code when it is read.

What is in those that C code follows is checked in `pipeline.heads.sound`.
"""


def write_head(folder: Path, head: FittedHead) -> tuple[str, dict[str, Any]]:
    """Write the payload of a head.

    Returns:
        Its kind, and what has to be known to read it.
    """
    if isinstance(head, NetworkHead):
        arrays = {f"kernel_{i}": kernel for i, kernel in enumerate(head.kernels)}
        arrays |= {f"bias_{i}": bias for i, bias in enumerate(head.biases)}
        np.savez(folder / PAYLOADS["network"], allow_pickle=False, **arrays)
        return "network", {"n_layers": len(head.kernels), **_rowwise(head)}
    if isinstance(head, SklearnHead):
        told = {"estimator": _path_of(head.pipeline), "factor": head.factor, **_rowwise(head)}
        return _save_pipeline(folder, head.pipeline), told
    raise TypeError(f"no bundle format for {type(head).__name__}")


def _rowwise(head: NetworkHead | SklearnHead) -> dict[str, Any]:
    return {"rowwise": head.rowwise, "blocks": list(head.blocks)}


def _path_of(pipeline: Any) -> str:
    made = type(pipeline[-1])
    return f"{made.__module__}:{made.__qualname__}"


def _save_pipeline(folder: Path, pipeline: Any) -> str:
    """Write a scikit-learn pipeline with skops if that can be read back safely, else with joblib.

    Returns:
        The kind of the payload.
    """
    from skops import io
    from skops.io.exceptions import UnsupportedTypeException

    path = folder / PAYLOADS["sklearn"]
    if _path_of(pipeline).startswith("sklearn."):
        try:
            io.dump(pipeline, path)
        except UnsupportedTypeException:
            path.unlink(missing_ok=True)
        else:
            if not set(io.get_untrusted_types(file=path)) - ADMITTED_TYPES and is_sound(pipeline):
                return "sklearn"
            path.unlink()
    import joblib

    joblib.dump(pipeline, folder / PAYLOADS["joblib"])
    return "joblib"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a bundle says of its head, see `write_head`.

    Args:
        n_layers: Of a network.
        estimator: Path of the class of another head.
        factor: What its scores are multiplied with.
        rowwise: As in `NetworkHead`; nothing in bundles from before there was any.
        blocks: The same.
    """

    n_layers: int = 0
    estimator: str = ""
    factor: float = 1.0
    rowwise: str = "none"
    blocks: tuple[int, ...] = ()


def read_head(kind: str, path: Path, told: Told, n_classes: int) -> FittedHead:
    """Read a head of a kind that `write_head` returned, with what it told.

    Raises:
        RunError: It is none, of other classes, or holds NaN or infinity.
    """
    if told.rowwise not in ROWWISE:
        raise RunError(
            f"expected rowwise of {', '.join(ROWWISE)}, received rowwise={told.rowwise!r} beside "
            f"{path}; update this program"
        )
    beside = told.rowwise, told.blocks
    if kind == "joblib":
        return SklearnHead(_load_joblib(path, told), n_classes, told.factor, *beside)
    try:
        if kind == "network":
            kernels, biases = _layers(read_arrays(path), told.n_layers)
            network = NetworkHead(kernels, biases, *beside)
            check_network(network, n_classes)
            return network
        head = SklearnHead(_load_sklearn(path), n_classes, told.factor, *beside)
        check_sklearn(head)
        return head
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected a head of {n_classes} classes in {path}, received: {error}; restore the "
            f"file or train again"
        ) from error


def _layers(
    arrays: Mapping[str, np.ndarray], n_layers: int
) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    if len(arrays) != 2 * n_layers:
        raise ValueError(f"{len(arrays)} arrays for {n_layers} layers")
    try:
        numbers = range(n_layers)
        kernels = tuple(arrays[f"kernel_{i}"] for i in numbers)
        return kernels, tuple(arrays[f"bias_{i}"] for i in numbers)
    except KeyError as error:
        raise ValueError(f"no array {error}") from error


def _load_sklearn(path: Path) -> Any:
    """Read a scikit-learn pipeline; raises ValueError for whatever else is there."""
    from skops import io

    members = read_members(path)
    schema = parse_json(members.pop(SCHEMA, b""), depth=MOST_DEPTH)
    arrays = {name: read_array(data) for name, data in members.items()}
    try:
        _check_trees(schema, arrays)
        asked_for = set(io.get_untrusted_types(file=path))
        if foreign := sorted(asked_for - ADMITTED_TYPES):
            raise RunError(
                f"expected only scikit-learn's own types in {path}, received "
                f"{named(foreign, 3, str)}; it was not written by this program"
            )
        return io.load(path, trusted=sorted(asked_for))
    except FAULTS as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _check_trees(schema: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Require of every decision tree what its constructor believes: it is C code.

    What an object's number stands for may be said several times, and the first time counts.

    Raises:
        FAULTS: A tree is made of something else, or of what is not the same each time.
    """
    trees, said = list[Any](), dict[Any, list[Any]]()
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            said.setdefault(value.get("__id__"), []).append(value)
            loader, of = value.get("__loader__"), (value.get("__module__"), value.get("__class__"))
            if loader == "TreeNode" or (of == _TREE and loader != "TypeNode"):
                trees.append(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    for tree in trees:
        parts = _parts_of(tree, arrays)
        if any(one != part for part in parts for one in said[part["__id__"]]):
            raise ValueError("a decision tree that is not the same each time")


def _parts_of(tree: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Any]:
    """Return what a decision tree is made of, once it is what C code believes it to be."""
    args, state = tree["__reduce__"]["args"], tree["content"]
    n_features, n_classes, n_outputs = args["content"]
    tables = [n_classes, *(state["content"][name] for name in ("nodes", "values"))]
    parts = [tree, args, n_features, n_outputs, state, *tables]
    loaders = ["TreeNode", "TupleNode", "JsonNode", "JsonNode", "DictNode", *["NdArrayNode"] * 3]
    kinds = [(one["type"], one["__module__"], one["__class__"]) for one in tables]
    counts, nodes, values = (arrays[one["file"]] for one in tables)
    right = [one["__loader__"] for one in parts] == loaders
    right &= kinds == [("numpy", "numpy", "ndarray")] * 3
    right &= n_outputs["content"] == "1" and 0 < int(n_features["content"]) <= MOST_FEATURES
    right &= (counts.shape, nodes.ndim, values.ndim) == ((1,), 1, 3)
    if not right or not 0 < counts[0] <= MOST_FEATURES:
        raise ValueError("a decision tree that is made of something else")
    return parts


def _load_joblib(path: Path, told: Told) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except (ImportError, AttributeError) as error:
        raise RunError(
            f"expected the package of {told.estimator} as it was when {path} was "
            f"written, received: {error}; install it, or train the run again"
        ) from error


CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_CONFIG, MOST_CONFIG_DEPTH = 4 << 20, 200
"""Of what describes the layers: NASNet, the longest, takes 0.8 MB."""


def read_whole(path: Path, side: int, n_classes: int) -> Any:
    """Load a ``keras.Model`` for pictures of a side; raises RunError where none is there.

    Keras reads it in safe mode, which runs no code of the file.
    """
    import keras
    import tensorflow as tf

    try:
        check_members(path)
        _check_weights(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        shapes = tuple(model.input_shape[1:]), tuple(model.output_shape[1:])
        if shapes != ((side, side, 3), (n_classes,)):
            raise ValueError(f"a model from {shapes[0]} to {shapes[1]}")
        if not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise ValueError("NaN or infinity in its weights")
    except (*FAULTS, tf.errors.OpError) as error:
        raise RunError(
            f"expected a model of {n_classes} classes in {path}, received {type(error).__name__}: "
            f"{error}; restore the file or train again"
        ) from error
    return model


def _check_weights(path: Path) -> None:
    """Raise ValueError where layers are described that are larger than the weights beside them."""
    with zipfile.ZipFile(path) as file:
        if file.getinfo(CONFIG).file_size > MOST_CONFIG:
            raise ValueError(f"a {CONFIG} of more than {MOST_CONFIG:,} bytes")
        config = typed(dict[str, Any], parse_json(file.read(CONFIG), depth=MOST_CONFIG_DEPTH))
        held = file.getinfo(WEIGHTS).file_size
    with ThreadPoolExecutor(1) as thread:  # what Keras has noted of variables ends with it
        described = thread.submit(_described, config).result()
    if described > held:
        raise ValueError(f"layers with {described:,} bytes of weights, of which it holds {held:,}")


def _described(config: dict[str, Any]) -> int:
    """Return how many bytes of weights a config describes, making none of them."""
    import keras

    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None})
    if not isinstance(model, keras.Model):
        raise ValueError(f"a {type(model).__name__}")
    sizes = (np.dtype(one.dtype).itemsize * int(np.prod(one.shape)) for one in model.variables)
    return sum(sizes)
