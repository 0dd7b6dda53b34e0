"""Converted models that are kept beside the cache, so that TensorFlow is needed once per base.

``<models>/<name>-<key>/`` holds ``model.xml`` and ``model.bin`` (OpenVINO's IR, float32) and
``model.json``: format, the network's identity and outputs, how far it was from TensorFlow, and the
SHA-256 of both files. A model that failed the gate is remembered by its ``model.json`` alone.
A kept model serves every request for some of its outputs.
"""

import hashlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.engines.network import Network, network_key
from pipeline.errors import StoreError
from pipeline.files import TEMPORARY_PREFIX, fsync
from pipeline.store.aside import DAMAGED_PREFIX

if TYPE_CHECKING:
    import openvino as ov

logger = logging.getLogger("pipeline")

FORMAT = "bottleneck-model"
FORMAT_VERSION = 1
"""Grows also when the same network would give other numbers."""
FILES = ("model.xml", "model.bin")


@dataclass(frozen=True)
class KeptModel:
    """A converted model on disk, or the memory of one that failed the gate.

    Args:
        folder: Where it lies.
        differences: For each output, how far it was from TensorFlow, relative to the greatest
            value.
        accepted: Whether it passed.
        openvino: The version that it was converted and compared with.
    """

    folder: Path
    differences: Mapping[str, float]
    accepted: bool
    openvino: str

    def read(self) -> "ov.Model":
        """Load the model."""
        import openvino as ov

        return ov.Core().read_model(self.folder / FILES[0], self.folder / FILES[1])


def find_kept(models: Path, network: Network) -> KeptModel | None:
    """Return a kept model that has every output of ``network``, or None.

    One whose files are not what they were is set aside, and a refusal by another version of
    OpenVINO is forgotten.
    """
    for folder, description in _descriptions(models):
        same = description["identity"] == json.loads(json.dumps(dict(network.identity)))
        if not same or not set(network.outputs) <= set(description["outputs"]):
            continue
        kept = KeptModel(
            folder, description["differences"], description["accepted"], description["openvino"]
        )
        if not kept.accepted and kept.openvino == metadata.version("openvino"):
            return kept
        if kept.accepted and _is_whole(folder, description["files"]):
            return kept
    return None


def _descriptions(models: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(models.glob("*/model.json")):
        if path.parent.name.startswith((DAMAGED_PREFIX, TEMPORARY_PREFIX)):
            continue
        try:
            description = json.loads(path.read_text("utf-8"))
            ours = description["format"] == FORMAT
            if ours and description["format_version"] == FORMAT_VERSION:
                yield path.parent, description
        except (OSError, ValueError, KeyError, TypeError) as error:
            _set_aside(path.parent, f"model.json: {error}")


def _is_whole(folder: Path, files: Mapping[str, str]) -> bool:
    for name in FILES:
        path = folder / name
        if not path.is_file() or _sha256(path) != files.get(name):
            _set_aside(folder, f"{name} was altered or lost")
            return False
    return True


def _set_aside(folder: Path, reason: str) -> None:
    aside = folder.with_name(f"{DAMAGED_PREFIX}{folder.name}-{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(aside)
    except OSError as error:
        logger.warning("the converted model %s is damaged: %s (%s)", folder, reason, error.strerror)
    else:
        logger.warning("set aside as %s: the converted model is damaged: %s", aside.name, reason)


def keep(
    models: Path, network: Network, model: "ov.Model", differences: Mapping[str, float], ok: bool
) -> None:
    """Publish a converted model, whole or not at all.

    Args:
        models: Folder of the kept models.
        network: What the model is.
        model: The converted model.
        differences: How far each output is from TensorFlow.
        ok: Whether it passed the gate; one that did not is remembered without its files.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    refused = "" if ok else f"-refused-{metadata.version('openvino')}"
    final = models / _safe(f"{network.name[:120]}-{network_key(network)[:12]}{refused}")
    temporary = models / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        temporary.mkdir(parents=True)
        _write(temporary, network, model, differences, ok)
        if not (final / "model.json").is_file():
            os.rename(temporary, final)
            fsync(models)
    except (OSError, RuntimeError) as error:  # OpenVINO reports a full disk as RuntimeError
        raise StoreError(
            f"cannot keep the converted model in {models}: {' '.join(str(error).split())}; free "
            f"some space or name another folder with --cache"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(
    folder: Path, network: Network, model: "ov.Model", differences: Mapping[str, float], ok: bool
) -> None:
    import openvino as ov

    files = {}
    if ok:
        ov.save_model(model, folder / FILES[0], compress_to_fp16=False)
        files = {name: _sha256(folder / name) for name in FILES}
    description = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "identity": dict(network.identity),
        "outputs": list(network.outputs),
        "accepted": ok,
        "differences": {name: _json_float(value) for name, value in differences.items()},
        "openvino": metadata.version("openvino"),
        "files": files,
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    for path in folder.iterdir():
        fsync(path)
    fsync(folder)


def _json_float(value: float) -> float:
    return value if value < 1e300 else 1e300  # JSON knows no infinity


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_.+=(),@" else "_" for c in name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
