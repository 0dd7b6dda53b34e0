"""The payloads of heads: plain arrays, or estimators with the types that may be read."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RunError
from pipeline.heads import FittedHead, NetworkHead, SklearnHead
from pipeline.heads.rowwise import ROWWISE
from pipeline.system.units import named

PAYLOADS = {
    "network": "network.npz",
    "sklearn": "head.skops",
    "joblib": "head.joblib",
    "model": "model.keras",
}

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
"""Parts of scikit-learn's own classifiers that skops asks about: none runs code when it is read."""


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
            if not set(io.get_untrusted_types(file=path)) - ADMITTED_TYPES:
                return "sklearn"
            path.unlink()
    import joblib

    joblib.dump(pipeline, folder / PAYLOADS["joblib"])
    return "joblib"


def read_head(kind: str, path: Path, description: Mapping[str, Any]) -> FittedHead:
    """Read a head of a kind that `write_head` returned, with what it told."""
    if kind == "network":
        return _load_network(path, description)
    pipeline = _load_sklearn(path) if kind == "sklearn" else _load_joblib(path, description)
    n_classes, factor = len(description["classes"]), description["factor"]
    return SklearnHead(pipeline, n_classes, factor, *_given_rowwise(path, description))


def _load_network(path: Path, description: Mapping[str, Any]) -> NetworkHead:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            layers = range(description["n_layers"])
            return NetworkHead(
                tuple(arrays[f"kernel_{i}"] for i in layers),
                tuple(arrays[f"bias_{i}"] for i in layers),
                *_given_rowwise(path, description),
            )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"expected arrays of a head in {path}, received: {error}") from error


def _load_sklearn(path: Path) -> Any:
    from skops import io

    asked_for = set(io.get_untrusted_types(file=path))
    if foreign := sorted(asked_for - ADMITTED_TYPES):
        raise RunError(
            f"expected only scikit-learn's own types in {path}, received {named(foreign, 3, str)}; "
            f"it was not written by this program"
        )
    return io.load(path, trusted=sorted(asked_for))


def _load_joblib(path: Path, description: Mapping[str, Any]) -> Any:
    import joblib

    try:
        return joblib.load(path)
    except (ImportError, AttributeError) as error:
        raise RunError(
            f"expected the package of {description.get('estimator')} as it was when {path} was "
            f"written, received: {error}; install it, or train the run again"
        ) from error


def _given_rowwise(path: Path, description: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return what is done to rows before a head; nothing in bundles from before there was any."""
    rowwise = description.get("rowwise", "none")
    if rowwise not in ROWWISE:
        raise RunError(
            f"expected rowwise of {', '.join(ROWWISE)}, received rowwise={rowwise!r} beside "
            f"{path}; update this program"
        )
    return rowwise, tuple(description.get("blocks", ()))
