"""The bundle: the part of a run that predicts, saved and loaded without pickle.

A folder with ``bundle.json`` (format, classes, base, SHA-256 of the payload) and one payload:

    network.npz   linear and dense heads: kernel_0, bias_0, kernel_1, … float32
    head.skops    other scikit-learn heads, read with an explicit list of admitted types
    model.keras   a fine-tuned model: RGB 0–255 in, class probabilities out
"""

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import RunError
from pipeline.heads import FittedHead, NetworkHead, SklearnHead

FORMAT = "bottleneck-bundle"
FORMAT_VERSION = 1
PAYLOADS = {"network": "network.npz", "sklearn": "head.skops", "model": "model.keras"}

ADMITTED_TYPES = frozenset(
    {
        "sklearn.metrics._dist_metrics.DistanceMetric",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.EuclideanDistance32",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.tree._tree.Tree",
    }
)
"""Compiled parts of scikit-learn's trees and neighbours, which skops asks about. Nothing else."""


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
        _save_description(folder, "network", classes, base, n_layers=len(head.kernels))
    elif isinstance(head, SklearnHead):
        from skops import io

        io.dump(head.pipeline, folder / PAYLOADS["sklearn"])
        _save_description(folder, "sklearn", classes, base, factor=head.factor)
    else:
        raise TypeError(f"no bundle format for {type(head).__name__}")


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


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle.

    Raises:
        RunError: It is not a bundle, is newer than this program, or its payload was altered.
    """
    description = _description(folder)
    kind, classes = description["kind"], tuple(description["classes"])
    payload = folder / PAYLOADS[kind]
    _check_payload(payload, description["sha256"])
    if kind == "model":
        sha256 = description["sha256"]
        return Bundle(classes, description["base"], model_path=payload, sha256=sha256)
    load = _load_network if kind == "network" else _load_sklearn
    return Bundle(classes, description["base"], head=load(payload, description))


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
    pipeline = io.load(path, trusted=sorted(asked_for))
    return SklearnHead(pipeline, len(description["classes"]), description["factor"])


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
