"""The folder of a bundle: what is said of the payload, and that the payload is what was said."""

import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipeline.errors import RunError
from pipeline.features.base import FrozenBase
from pipeline.features.saved import decoding_from_dict, frozen_from_dict
from pipeline.heads import FittedHead
from pipeline.heads.typical import Density
from pipeline.images import DecodeRecipe, ViewAverage
from pipeline.runs.payload import PAYLOADS, Told, read_head, read_whole, write_head
from pipeline.runs.seal import check_seal, write_sealed
from pipeline.system.arrays import read_arrays
from pipeline.system.files import readable, sha256
from pipeline.system.typed import MisreadError, Share, read_json, record, typed
from pipeline.system.units import named

FORMAT = "bottleneck-bundle"
FORMAT_VERSION = 3
DESCRIPTION = "bundle.json"
PLAIN_VERSION, JUDGED_VERSION = 1, 2
"""Of bundles that earlier programs read rightly: the first know of no averaging and no threshold,
the second of no least typicality."""
TYPICAL = "typical.npz"


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
        density: What its training pictures look like; None in older runs, and where that cannot be
            said.
        labelled: uint8 (n, 32), the contents that it was trained and judged on; empty where that is
            not known.
        min_typical: How typical a picture has to be to be called something; None for any.
    """

    classes: tuple[str, ...]
    base: Mapping[str, Any]
    head: FittedHead | None = None
    model_path: Path | None = None
    sha256: str = ""
    test_views: ViewAverage | None = None
    threshold: float | None = None
    path: Path = Path(DESCRIPTION)
    density: Density | None = None
    labelled: np.ndarray = field(default_factory=lambda: np.empty((0, 32), np.uint8))
    min_typical: float | None = None

    def frozen(self, *, look: bool = False) -> FrozenBase:
        """Make its base again; see `frozen_from_dict`, and RunError where that is none."""
        with named_file(self.path):
            base = frozen_from_dict(self.base, look=look, of_run=True)
        return replace(base, beside=self.path.parent)

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
    """What ``bundle.json`` says: what `Bundle` has, and what has to be known to read its payload.

    ``typical`` is the SHA-256 of the file that says what its training pictures look like, ``told``
    what has to be known to read a head.
    """

    format: Literal["bottleneck-bundle"]
    format_version: int
    kind: Literal["network", "sklearn", "joblib", "model"]
    classes: tuple[str, ...]
    base: Mapping[str, Any]
    sha256: str
    test_views: ViewAverage | None = None
    threshold: float | None = None
    min_typical: Share | None = None
    typical: str | None = None
    told: Told = field(default_factory=Told)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Description":
        """Read the whole file; raises MisreadError on anything else."""
        for key in ("test_views", "threshold", "min_typical", "typical"):
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
    look: "Look | None" = None,
) -> None:
    """Write a bundle, which must not be there, that is a head on a frozen base, see `Bundle`.

    ``base`` is from `FrozenBase.to_dict`; ``look`` is what its training pictures look like, as far
    as that can be said.
    """
    folder.mkdir(parents=True)
    judged: dict[str, Any] = {} if test_views is None else {"test_views": test_views.to_dict()}
    judged |= {} if threshold is None else {"threshold": float(threshold)}
    version = JUDGED_VERSION if judged else PLAIN_VERSION
    if look is not None:
        judged |= look.write(folder)
        version = version if look.least is None else FORMAT_VERSION
    kind, more = write_head(folder, head)
    _save_description(folder, kind, classes, base, format_version=version, **more, **judged)


@dataclass(frozen=True, eq=False)
class Look:
    """What the pictures look like that a head was made of.

    Args:
        density: Of its training pictures; None where that cannot be said.
        labelled: uint8 (n, 32), the contents that it was trained and judged on.
        least: How typical a picture has to be to be called something; None for any.
    """

    density: Density | None
    labelled: np.ndarray
    least: float | None = None

    def write(self, folder: Path) -> dict[str, Any]:
        """Write it beside a payload; return what ``bundle.json`` says of it."""
        arrays = {} if self.density is None else vars(self.density)
        np.savez(folder / TYPICAL, allow_pickle=False, labelled=self.labelled, **arrays)
        told = {} if self.least is None else {"min_typical": self.least}
        return {**told, "typical": sha256(folder / TYPICAL)}


def read_look(path: Path, digest: str, least: float | None) -> Look:
    """Read what `Look.write` wrote; raises RunError where it is something else."""
    _check_payload(path, digest)
    with named_file(path):
        arrays = read_arrays(path)
        labelled = arrays.pop("labelled", np.empty(0))
        if labelled.dtype != np.uint8 or labelled.shape[1:] != (32,):
            raise ValueError("no digests of pictures")
        names = {one.name for one in fields(Density)}
        if arrays.keys() - names or len(arrays) not in (0, len(names)):
            raise ValueError(f"arrays called {named(sorted(arrays))}")
        density = Density(**arrays) if arrays else None
        if density is not None:
            if density.pictures.ndim != 2:
                raise ValueError("pictures that are no rows")
            density.check()
        elif least is not None:
            raise ValueError("no training pictures to be typical of")
    return Look(density, labelled, least)


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
    bundle = Bundle(said.classes, said.base, head, None, said.sha256, views, threshold, path)
    if said.typical is None:
        return bundle
    look = read_look(folder / TYPICAL, said.typical, said.min_typical)
    return replace(bundle, density=look.density, labelled=look.labelled, min_typical=look.least)


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
