"""The folder of a bundle: what is said of the payload, and that the payload is what was said."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import RunError
from pipeline.features.base import FrozenBase, decoding_from_dict, frozen_from_dict
from pipeline.heads import FittedHead
from pipeline.images import DecodeRecipe, ViewAverage
from pipeline.runs.payload import PAYLOADS, Told, read_head, write_head
from pipeline.runs.seal import check_seal, write_sealed
from pipeline.runs.whole import read_whole
from pipeline.system.files import readable, sha256
from pipeline.system.typed import MisreadError, read_json, record, typed

FORMAT = "bottleneck-bundle"
FORMAT_VERSION = 2
DESCRIPTION = "bundle.json"
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
        path: The file that says so.
    """

    classes: tuple[str, ...]
    base: Mapping[str, Any]
    head: FittedHead | None = None
    model_path: Path | None = None
    sha256: str = ""
    test_views: ViewAverage | None = None
    threshold: float | None = None
    path: Path = Path(DESCRIPTION)

    def frozen(self, *, look: bool = False) -> FrozenBase:
        """Make its base again; see `frozen_from_dict`, and RunError where that is none."""
        with named_file(self.path):
            return frozen_from_dict(self.base, look=look, of_run=True)

    def model(self) -> Any:
        """Load the whole model, see `read_whole`."""
        assert self.model_path is not None
        return read_whole(self.model_path, self.decoding.size, len(self.classes))

    @property
    def decoding(self) -> DecodeRecipe:
        """How a picture becomes what its base sees."""
        with named_file(self.path):
            return decoding_from_dict(self.base)


@dataclass(frozen=True, kw_only=True)
class Description:
    """What ``bundle.json`` says.

    Args:
        format: Always the same.
        format_version: Of this file.
        kind: Of the payload.
        classes: As in `Bundle`, as what follows.
        base: The same.
        sha256: The same.
        test_views: The same.
        threshold: The same.
        told: What has to be known to read a head.
    """

    format: Literal["bottleneck-bundle"]
    format_version: int
    kind: Literal["network", "sklearn", "joblib", "model"]
    classes: tuple[str, ...]
    base: Mapping[str, Any]
    sha256: str
    test_views: ViewAverage | None = None
    threshold: float | None = None
    told: Told = field(default_factory=Told)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Description":
        """Read the whole file; raises MisreadError on anything else."""
        for key in ("test_views", "threshold"):
            if key in value and value[key] is None:
                raise MisreadError("expected {} or nothing of it, received None", key)
        read: Description = record(cls, {**value, "told": value})
        if read.threshold is not None and read.threshold < 0:
            what = f"expected a probability of 0 or more as {{}}, received {read.threshold}"
            raise MisreadError(what, "threshold")
        return read


@contextmanager
def named_file(path: Path) -> Iterator[None]:
    """Name the file of a run that says what cannot be used; raises RunError."""
    try:
        with readable(path):
            yield
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected what can be used in {path}, received: {error}; restore it or train again"
        ) from error


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
    write_sealed(folder / DESCRIPTION, description)


def load_bundle(folder: Path, trust: bool = False) -> Bundle:
    """Read a bundle.

    Args:
        folder: The bundle's.
        trust: Whether to read an estimator that can run any code while it is read. The digest says
            that the file is the one that was written, not who wrote it.

    Raises:
        RunError: It is not a bundle, is newer than this program, it or its payload was altered, or
            it would have to be trusted and is not.
    """
    path = folder / DESCRIPTION
    said = _description(path)
    payload = folder / PAYLOADS[said.kind]
    _check_payload(payload, said.sha256)
    if said.kind == "joblib" and not trust:
        raise RunError(
            f"expected only scikit-learn's own types in a bundle, received {said.told.estimator} "
            f"in {payload}, and reading it can run any code; if you know who made this run, allow "
            f"it with --trust"
        )
    if said.kind == "model":
        return Bundle(said.classes, said.base, None, payload, said.sha256, path=path)
    head = read_head(said.kind, payload, said.told, len(said.classes))
    views, threshold = said.test_views, said.threshold
    return Bundle(said.classes, said.base, head, None, said.sha256, views, threshold, path)


def _description(path: Path) -> Description:
    try:
        with readable(path):
            value = typed(Mapping[str, Any], read_json(path))
        version = typed(int, value.get("format_version"))
        if value.get("format") == FORMAT and version > FORMAT_VERSION:
            raise RunError(
                f"expected a bundle of version {FORMAT_VERSION} or older, received version "
                f"{version} in {path}; update this program"
            )
        described: Description = typed(Description, value)
        check_seal(value)
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected a bundle in {path}, received: {error}; restore that file, or train the run "
            f"again into another --runs folder"
        ) from error
    return described


def _check_payload(path: Path, expected: str) -> None:
    regular = path.exists() and stat.S_ISREG(path.stat().st_mode)
    received = sha256(path) if regular else "no file"
    if received != expected:
        raise RunError(
            f"expected SHA-256 {expected[:12]}…, received {received[:12]} for {path}: it was "
            f"altered or lost since the run was made; restore it or train again"
        )
