"""The bundle: the part of a run that predicts, saved and loaded without pickle where that can be.

A folder with ``bundle.json`` (format, classes, base, SHA-256 of the payload) and one payload:

    network.npz   linear and dense heads: kernel_0, bias_0, kernel_1, … float32
    head.skops    other scikit-learn heads, read with an explicit list of admitted types
    head.joblib   estimators that skops cannot hold or that come from elsewhere; reading one can run
                  any code, so it is done only for whom trusts the bundle
    model.keras   a fine-tuned model: RGB 0–255 in, class probabilities out
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RunError
from pipeline.heads import FittedHead, NetworkHead, SklearnHead
from pipeline.heads.rowwise import ROWWISE

FORMAT = "bottleneck-bundle"
FORMAT_VERSION = 1
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


@dataclass(frozen=True)
class Bundle:
    """What predicts.

    Args:
        classes: Class names; column j of every score is ``classes[j]``.
        base: `FrozenBase.to_dict` of the base under the head.
        head: The head, or None when the payload is a whole model.
        model_path: The whole model's ``.keras`` file, or None.
        sha256: Of the payload, in hex.
    """

    classes: tuple[str, ...]
    base: Mapping[str, Any]
    head: FittedHead | None = None
    model_path: Path | None = None
    sha256: str = ""


def save_head(folder: Path, head: FittedHead, classes: tuple[str, ...], base: Any) -> None:
    """Write a bundle that is a head on a frozen base."""
    folder.mkdir(parents=True)
    if isinstance(head, NetworkHead):
        arrays = {f"kernel_{i}": kernel for i, kernel in enumerate(head.kernels)}
        arrays |= {f"bias_{i}": bias for i, bias in enumerate(head.biases)}
        np.savez(folder / PAYLOADS["network"], allow_pickle=False, **arrays)
        more = {"n_layers": len(head.kernels), **_rowwise(head)}
        _save_description(folder, "network", classes, base, **more)
    elif isinstance(head, SklearnHead):
        kind = _save_pipeline(folder, head.pipeline)
        more = {"estimator": _path_of(head.pipeline), "factor": head.factor, **_rowwise(head)}
        _save_description(folder, kind, classes, base, **more)
    else:
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


def save_model(folder: Path, model: Any, classes: tuple[str, ...], base: Any) -> None:
    """Write a bundle that is a whole Keras model."""
    folder.mkdir(parents=True)
    model.save(folder / PAYLOADS["model"])
    _save_description(folder, "model", classes, base)


def _save_description(
    folder: Path, kind: str, classes: tuple[str, ...], base: Any, **more: Any
) -> None:
    payload = folder / PAYLOADS[kind]
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "classes": list(classes),
        "base": base,
        "sha256": _sha256(payload),
        **more,
    }
    (folder / "bundle.json").write_text(json.dumps(description, indent=2), "utf-8")


def load_bundle(folder: Path, trust: bool = False) -> Bundle:
    """Read a bundle.

    Args:
        folder: The bundle's.
        trust: Whether to read an estimator that can run any code while it is read. The digest says
            that the file is the one that was written, not who wrote it.

    Raises:
        RunError: It is not a bundle, is newer than this program, its payload was altered, or it
            would have to be trusted and is not.
    """
    description = _description(folder)
    kind, classes = description["kind"], tuple(description["classes"])
    payload = folder / PAYLOADS[kind]
    _check_payload(payload, description["sha256"])
    if kind == "model":
        sha256 = description["sha256"]
        return Bundle(classes, description["base"], model_path=payload, sha256=sha256)
    if kind == "joblib" and not trust:
        raise RunError(
            f"expected only scikit-learn's own types in a bundle, received "
            f"{description.get('estimator')} in {payload}, and reading it can run any code; if you "
            f"know who made this run, allow it with --trust"
        )
    return Bundle(classes, description["base"], head=_HEADS[kind](payload, description))


def _description(folder: Path) -> dict[str, Any]:
    path = folder / "bundle.json"
    try:
        description = json.loads(path.read_text("utf-8"))
        _check_description(path, description)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"expected a bundle in {folder}, received {type(error).__name__}: {error}; "
            f"train the run again into another --runs folder"
        ) from error
    return description


def _check_description(path: Path, description: dict[str, Any]) -> None:
    if description["format"] != FORMAT or description["kind"] not in PAYLOADS:
        raise RunError(
            f"expected format={FORMAT!r} and a kind of {', '.join(PAYLOADS)}, received "
            f"format={description['format']!r}, kind={description['kind']!r} in {path}"
        )
    if description["format_version"] > FORMAT_VERSION:
        raise RunError(
            f"expected a bundle of version {FORMAT_VERSION} or older, received version "
            f"{description['format_version']} in {path}; update this program"
        )
    missing = {"classes", "base", "sha256"} - description.keys()
    if missing:
        raise KeyError(", ".join(sorted(missing)))


def _check_payload(path: Path, expected: str) -> None:
    received = _sha256(path) if path.is_file() else "no file"
    if received != expected:
        raise RunError(
            f"expected SHA-256 {expected[:12]}…, received {received[:12]} for {path}: it was "
            f"altered or lost since the run was made; restore it or train again"
        )


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


def _load_sklearn(path: Path, description: Mapping[str, Any]) -> SklearnHead:
    from skops import io

    asked_for = set(io.get_untrusted_types(file=path))
    if foreign := sorted(asked_for - ADMITTED_TYPES):
        raise RunError(
            f"expected only scikit-learn's own types in {path}, received {', '.join(foreign)}; "
            f"it was not written by this program"
        )
    return _sklearn_head(path, io.load(path, trusted=sorted(asked_for)), description)


def _load_joblib(path: Path, description: Mapping[str, Any]) -> SklearnHead:
    import joblib

    try:
        pipeline = joblib.load(path)
    except (ImportError, AttributeError) as error:
        raise RunError(
            f"expected the package of {description.get('estimator')} as it was when {path} was "
            f"written, received: {error}; install it, or train the run again"
        ) from error
    return _sklearn_head(path, pipeline, description)


def _sklearn_head(path: Path, pipeline: Any, description: Mapping[str, Any]) -> SklearnHead:
    n_classes, factor = len(description["classes"]), description["factor"]
    return SklearnHead(pipeline, n_classes, factor, *_given_rowwise(path, description))


def _given_rowwise(path: Path, description: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
    """Return what is done to rows before a head; nothing in bundles from before there was any."""
    rowwise = description.get("rowwise", "none")
    if rowwise not in ROWWISE:
        raise RunError(
            f"expected rowwise of {', '.join(ROWWISE)}, received rowwise={rowwise!r} beside "
            f"{path}; update this program"
        )
    return rowwise, tuple(description.get("blocks", ()))


_HEADS: Mapping[str, Callable[[Path, Mapping[str, Any]], FittedHead]] = {
    "network": _load_network,
    "sklearn": _load_sklearn,
    "joblib": _load_joblib,
}


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
