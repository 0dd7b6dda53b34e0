"""The folder of a bundle: what is said of the payload, and that the payload is what was said."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, RunError
from pipeline.heads import FittedHead
from pipeline.images import ViewAverage
from pipeline.runs.payload import PAYLOADS, read_head, write_head
from pipeline.system.files import sha256

FORMAT = "bottleneck-bundle"
FORMAT_VERSION = 2
PLAIN_VERSION = 1
"""Of bundles that earlier programs read rightly: they know of no averaging and no threshold."""


@dataclass(frozen=True)
class Bundle:
    """What predicts.

    Args:
        classes: Class names; column j of every score is ``classes[j]``.
        base: `FrozenBase.to_dict` of the base under the head.
        head: The head, or None when the payload is a whole model.
        model_path: The whole model's ``.keras`` file, or None.
        sha256: Of the payload, in hex.
        test_views: Views over which probabilities are averaged; None for pictures as they are.
        threshold: Lowest probability of the likeliest class that is answered, above 1 where none
            is; None where every picture is answered.
    """

    classes: tuple[str, ...]
    base: Mapping[str, Any]
    head: FittedHead | None = None
    model_path: Path | None = None
    sha256: str = ""
    test_views: ViewAverage | None = None
    threshold: float | None = None


def save_head(
    folder: Path,
    head: FittedHead,
    classes: tuple[str, ...],
    base: Any,
    *,
    test_views: ViewAverage | None = None,
    threshold: float | None = None,
) -> None:
    """Write a bundle that is a head on a frozen base.

    Args:
        folder: The bundle's; it must not be there.
        head: What scores features.
        classes: Class names; column j of every score is ``classes[j]``.
        base: `FrozenBase.to_dict` of the base under the head.
        test_views: Views over which a picture's probabilities are averaged, if any.
        threshold: Lowest probability that is answered, if there is one.
    """
    folder.mkdir(parents=True)
    judged: dict[str, Any] = {} if test_views is None else {"test_views": test_views.to_dict()}
    judged |= {} if threshold is None else {"threshold": float(threshold)}
    version = FORMAT_VERSION if judged else PLAIN_VERSION
    kind, more = write_head(folder, head)
    _save_description(folder, kind, classes, base, format_version=version, **more, **judged)


def save_model(folder: Path, model: Any, classes: tuple[str, ...], base: Any) -> None:
    """Write a bundle that is a whole Keras model."""
    folder.mkdir(parents=True)
    model.save(folder / PAYLOADS["model"])
    _save_description(folder, "model", classes, base)


def _save_description(
    folder: Path, kind: str, classes: tuple[str, ...], base: Any, **more: Any
) -> None:
    description = {
        "format": FORMAT,
        "format_version": PLAIN_VERSION,
        "kind": kind,
        "classes": list(classes),
        "base": base,
        "sha256": sha256(folder / PAYLOADS[kind]),
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
        digest = description["sha256"]
        return Bundle(classes, description["base"], model_path=payload, sha256=digest)
    if kind == "joblib" and not trust:
        raise RunError(
            f"expected only scikit-learn's own types in a bundle, received "
            f"{description.get('estimator')} in {payload}, and reading it can run any code; if you "
            f"know who made this run, allow it with --trust"
        )
    return Bundle(
        classes,
        description["base"],
        head=read_head(kind, payload, description),
        test_views=_test_views(folder, description),
        threshold=_threshold(folder, description),
    )


def _test_views(folder: Path, description: Mapping[str, Any]) -> ViewAverage | None:
    if "test_views" not in description:
        return None
    try:
        return ViewAverage.from_dict(description["test_views"])
    except InputError as error:
        raise RunError(f"{error}; this is test_views in {folder / 'bundle.json'}") from error


def _threshold(folder: Path, description: Mapping[str, Any]) -> float | None:
    if "threshold" not in description:
        return None
    value = description["threshold"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < inf:
        raise RunError(
            f"expected a probability of 0 or more as threshold, received threshold={value!r} in "
            f"{folder / 'bundle.json'}; restore it or train again"
        )
    return float(value)


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
    received = sha256(path) if path.is_file() else "no file"
    if received != expected:
        raise RunError(
            f"expected SHA-256 {expected[:12]}…, received {received[:12]} for {path}: it was "
            f"altered or lost since the run was made; restore it or train again"
        )
