"""What a weights file is, by its content, and what is said of one that cannot be read here."""

import json
import zipfile
from pathlib import Path
from typing import Any

from pipeline.errors import WeightsError

HDF5, KERAS, TORCH = "HDF5", ".keras", "PyTorch"
SUFFIXES = (".h5", ".hdf5", ".he5", ".hdf", ".keras")

_BEGINNINGS = {
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"\x80\x02\x8a\nl\xfc\x9cF": TORCH,
}
_TORCH_ZIP = "PyTorch since 1.6"
_FOREIGN = {
    **dict.fromkeys((".pt", ".pth", ".bin"), "PyTorch"),
    **dict.fromkeys((".pb", ".index", ".ckpt", ".meta"), "TensorFlow"),
    ".safetensors": "safetensors",
    ".onnx": "ONNX",
    ".tflite": "TensorFlow Lite",
    ".npz": "NumPy",
    ".pkl": "Python's pickle",
    ".msgpack": "Flax",
}
_WAY_OUT = (
    "get the weights into Keras and save them there with model.save_weights('NAME.weights.h5')"
)


def stored_as(path: Path) -> str | None:
    """Return the format of a file: ``HDF5``, ``KERAS``, ``TORCH``; None if it is another."""
    with path.open("rb") as file:
        beginning = file.read(8)
    if not beginning.startswith(b"PK"):
        return _BEGINNINGS.get(beginning)
    members = _members(path)
    if any(name.endswith("data.pkl") for name in members):
        return _TORCH_ZIP
    return KERAS if "config.json" in members else None


def check_readable(path: Path, torch: bool) -> None:
    """Refuse what holds no weights that can be read.

    Args:
        path: What the user named, a file or a folder.
        torch: Whether the base's own weights are PyTorch's, in the format before 1.6.

    Raises:
        WeightsError: It is a folder, of another framework, or damaged.
    """
    expected = "expected weights as Keras stores them (.weights.h5, .h5, .hdf5, .keras), received"
    if path.is_dir():
        what = "a SavedModel folder" if (path / "saved_model.pb").exists() else "a folder"
        raise WeightsError(f"{expected} {path}, {what}: {_WAY_OUT}")
    found = stored_as(path)
    if found in (HDF5, KERAS) or (found == TORCH and torch):
        return
    if found is not None or (path.suffix.lower() in _FOREIGN and not torch):
        what = found or _FOREIGN[path.suffix.lower()]
        raise WeightsError(f"{expected} {path}, a file of {what}: {_WAY_OUT}")
    raise WeightsError(f"{expected} {path}, which is {_damage(path)}; get the file again")


def not_loaded(path: Path, keras_version: str, error: Exception) -> WeightsError:
    """Return what is said of a ``.keras`` file that Keras did not load."""
    saved_by = str(_metadata(path).get("keras_version", "of another version"))
    if saved_by.startswith("2."):
        reason, name = "files of Keras 2 differ", "NAME.h5"
    else:
        first_line = (str(error).splitlines() or [""])[0]
        reason = first_line.partition(". ")[0][:200] or type(error).__name__
        name = "NAME.weights.h5"
    return WeightsError(
        f"expected a model that Keras {keras_version} loads in safe mode, received {path}, which "
        f"Keras {saved_by} saved: {reason}; where it loads, save its weights with "
        f"model.save_weights('{name}'), which are read here"
    )


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as packed:
            return packed.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return []


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as packed:
            value = json.loads(packed.read("metadata.json"))
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, RuntimeError):
        return {}
    return value if isinstance(value, dict) else {}


def _damage(path: Path) -> str:
    with path.open("rb") as file:
        beginning = file.read(40).lstrip()
    if beginning.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer to the file (git lfs pull brings it)"
    page = " (a web page, as a download that failed leaves)" if beginning.startswith(b"<") else ""
    return f"damaged or of another format{page}"
