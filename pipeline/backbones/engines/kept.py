"""Converted models that are kept, so that a base is converted once a machine.

They lie in the user's cache; those in int8, which are made from pictures, in ``models`` beside the
features, where earlier programs kept all of them, and this one does where there is no user's cache.
``<models>/<name>-<key>/`` holds ``model.xml`` and ``model.bin`` (OpenVINO's IR, float32) and
``model.json``: format, the network's identity, how far each output was from TensorFlow, and the
SHA-256 of both files. A model that failed the gate is remembered by its ``model.json`` alone.
A kept model serves every request for some of its outputs.

A quantised model is kept the same way; its identity names its own digest as the precision, and its
differences are from the model in float32: 1 less the least cosine.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbones.engines.network import Network, network_key
from pipeline.backbones.engines.precision import INT8, is_quantised
from pipeline.errors import StoreError
from pipeline.system.files import (
    DAMAGED_PREFIX,
    TEMPORARY_PREFIX,
    atomic_folder,
    expanded,
    matching,
    set_aside,
    sha256,
    user_cache,
)
from pipeline.system.startup import import_openvino

if TYPE_CHECKING:
    import openvino as ov

logger = logging.getLogger(__name__)

FORMAT = "bottleneck-model"
FORMAT_VERSION = 1
"""Grows also when the same network would give other numbers."""
DESCRIPTION = "model.json"
FILES = ("model.xml", "model.bin")
VARIABLE = "PIPELINE_MODELS_CACHE"
LARGEST = 1e300
"""Stands for an infinite difference: JSON knows no infinity."""


@dataclass(frozen=True)
class KeptModel:
    """A converted model on disk, or the memory of one that failed the gate.

    Args:
        folder: Where it lies.
        identity: What the network is.
        differences: For each output, how far it was from TensorFlow, relative to the greatest
            value.
        limit: The greatest difference that was let pass.
        openvino: The version that it was converted and compared with.
        files: SHA-256 of its files, by name; none where it failed.
    """

    folder: Path
    identity: Mapping[str, Any]
    differences: Mapping[str, float]
    limit: float
    openvino: str
    files: Mapping[str, str]

    @property
    def accepted(self) -> bool:
        """Whether it passed the gate."""
        return bool(self.files)

    def read(self) -> "ov.Model":
        """Load the model; raises RuntimeError where OpenVINO cannot."""
        ov = import_openvino()

        return ov.Core().read_model(self.folder / FILES[0], self.folder / FILES[1])

    def damage(self) -> str | None:
        """Return which file is not what it was; None where all are.

        Raises:
            StoreError: A file may not be read.
        """
        precision = self.identity.get("precision")
        if is_quantised(precision) and precision != quantised_as(self.files):
            return "it is another model than its recipe names"
        for name, expected in self.files.items():
            path = self.folder / name
            try:
                if not path.is_file() or sha256(path) != expected:
                    return f"{name} was altered or lost"
            except OSError as error:
                raise _unreadable(path, error) from error
        return None

    def failed_at(self, outputs: Iterable[str]) -> bool:
        """Return whether one of some outputs was too far from TensorFlow."""
        return any(self.differences.get(name, 0.0) > self.limit for name in outputs)


def quantised_as(files: Mapping[str, str]) -> str:
    """Return the precision of a recipe whose quantised model has files of these SHA-256."""
    return f"{INT8}:{hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()}"


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"cannot read {path}: {error.strerror}; make it readable")


def models_cache() -> Path | None:
    """Return the folder of this user's converted models; None to keep them beside the features.

    ``PIPELINE_MODELS_CACHE`` names another one, or, where it is empty, none.
    """
    told = os.environ.get(VARIABLE)
    folder = user_cache("models") if told is None else (expanded(told) if told else None)
    barred = folder is not None and folder.exists() and not os.access(folder, os.R_OK | os.X_OK)
    return None if barred else folder


def place_of(models: Path, network: Network) -> Path:
    """Return where a model of a network is kept, if it can be."""
    quantised = is_quantised(network.identity.get("precision"))
    return models if quantised else models_cache() or models


def find_kept(models: Path, network: Network) -> KeptModel | None:
    """Return a kept model that has every output of ``network``, or the memory that one failed.

    It is looked for beside the features first, and then where others of this user are.

    One whose files are not what they were is set aside. What another version of OpenVINO made or
    refused does not count: it was not compared with this one. A quantised model is what it is.
    """
    identity, version = json.loads(json.dumps(dict(network.identity))), metadata.version("openvino")
    fitting = [
        kept
        for folder in dict.fromkeys((models, place_of(models, network)))
        for kept in kept_models(folder)
        if kept.identity == identity
        and (kept.openvino == version or is_quantised(identity.get("precision")))
        and set(network.outputs) <= set(kept.differences)
    ]
    for kept in fitting:
        if kept.accepted and (reason := kept.damage()) is None:
            return kept
        if kept.accepted:
            discard(kept.folder, reason)
    return next((kept for kept in fitting if kept.failed_at(network.outputs)), None)


def kept_models(models: Path) -> Iterator[KeptModel]:
    """Yield everything that is kept; descriptions that cannot be understood are set aside."""
    for path in matching(models, f"*/{DESCRIPTION}"):
        if path.parent.name.startswith((DAMAGED_PREFIX, TEMPORARY_PREFIX)):
            continue
        try:
            kept = read_kept(path.parent)
        except ValueError as error:
            discard(path.parent, str(error))
            continue
        if kept is not None:
            yield kept


def read_kept(folder: Path) -> KeptModel | None:
    """Read a folder's description; None for one of another version of this program.

    Raises:
        ValueError: It cannot be understood.
        StoreError: It may not be read.
    """
    path = folder / DESCRIPTION
    try:
        value = json.loads(path.read_text("utf-8"))
        if (value["format"], value["format_version"]) != (FORMAT, FORMAT_VERSION):
            return None
        files = {str(name): str(digest) for name, digest in value["files"].items()}
        if set(files) not in (set(), set(FILES)):
            raise ValueError(f"files {', '.join(files)}")
        differences = {str(name): float(found) for name, found in value["differences"].items()}
        limit, version = float(value["limit"]), str(value["openvino"])
        return KeptModel(folder, dict(value["identity"]), differences, limit, version, files)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{DESCRIPTION}: {type(error).__name__}: {error}") from error


def discard(folder: Path, reason: str | None) -> None:
    """Set a kept model aside; on a cache that cannot be written it only is not used."""
    try:
        set_aside(folder, f"the converted model is damaged: {reason}")
    except StoreError as error:
        logger.warning("%s", error)


def bring(models: Path, network: Network) -> None:
    """Let a kept model lie beside the features, too, where other machines find it.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    kept = find_kept(models, network)
    if kept is not None and kept.folder.parent != models:
        doing = f"cannot keep the converted model in {models}"
        with atomic_folder(models / kept.folder.name, doing) as folder:
            shutil.copytree(kept.folder, folder, dirs_exist_ok=True)


@dataclass(frozen=True)
class ComparedModel:
    """A converted model that was held against a reference, to be kept.

    Args:
        network: What it is.
        model: It.
        differences: How far each output is from the reference.
        limit: How far it may be; a model beyond is remembered without its files.
    """

    network: Network
    model: "ov.Model"
    differences: Mapping[str, float]
    limit: float

    def keep_somewhere(self, models: Path) -> None:
        """Keep it where `place_of` says, else in ``models`` beside the features; else say so."""
        places = list(dict.fromkeys((place_of(models, self.network), models)))
        for place in places:
            try:
                self.keep(place)
            except StoreError as error:
                further = f"; it is kept in {models}" if place != places[-1] else ""
                logger.warning("%s%s", str(error).partition(";")[0] if further else error, further)
            else:
                return

    def keep(self, models: Path) -> None:
        """Publish it in a folder of kept models, whole or not at all.

        Raises:
            StoreError: The folder cannot be written, or the disk is full.
        """
        ov = import_openvino()
        accepted = max(self.differences.values()) <= self.limit
        final = models / _folder_name(self.network, accepted)
        doing = f"cannot keep the converted model in {models}"
        way_out = "free some space or name another folder with --cache"
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "identity": dict(self.network.identity),
            "differences": {name: min(far, LARGEST) for name, far in self.differences.items()},
            "limit": self.limit,
            "openvino": metadata.version("openvino"),
        }
        if final.exists() and not (final / DESCRIPTION).is_file():
            set_aside(final, f"it has no {DESCRIPTION}")
        try:
            with atomic_folder(final, doing, way_out) as folder:
                if accepted:
                    ov.save_model(self.model, folder / FILES[0], compress_to_fp16=False)
                files = {name: sha256(folder / name) for name in FILES if accepted}
                text = json.dumps({**description, "files": files}, indent=2)
                (folder / DESCRIPTION).write_text(text + "\n", "utf-8")
        except RuntimeError as error:  # OpenVINO reports a full disk so
            raise StoreError(f"{doing}: {' '.join(str(error).split())}; {way_out}") from error


def _folder_name(network: Network, accepted: bool) -> str:
    parts = (network.name[:120], network_key(network)[:12], metadata.version("openvino"))
    name = "-".join(parts if accepted else (*parts, "refused"))
    return "".join(c if c.isalnum() or c in "-_.+=(),@" else "_" for c in name)
