"""Files of networks that users bring: of which kind one is, and its digest. Builds nothing.

keras  ``.keras``, of Keras 3                 h5   a whole model in legacy HDF5, of Keras 2 or 3
onnx   ``.onnx``, with its external data      ir   OpenVINO's ``.xml`` with the ``.bin`` beside it
hub    the folder of a KerasHub preset

The digest is that of the bytes, whatever the file is called and wherever it lies.
"""

import hashlib
import re
from pathlib import Path

from pipeline.backbones.onnx_file import external_files
from pipeline.backbones.weight_formats import HDF5, KERAS, stored_as
from pipeline.errors import InputError, WeightsError
from pipeline.system.files import expanded, sha256

KINDS = ("keras", "h5", "onnx", "ir", "hub")
GRAPHS = ("onnx", "ir")
"""Kinds that OpenVINO computes, and Keras does not hold."""
NAME = re.compile(rf"({'|'.join(KINDS)}):[0-9a-f]{{12}}")
"""What such a base is called: its kind and the beginning of its digest."""
PRESET, RUN = "kerashub:", "run:"
SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx", ".xml")

_WAY_OUT = "save the network as .keras, .onnx or OpenVINO IR: docs/how-to/your-own-base.md says how"
_EXPECTED = "expected a network as .keras, .h5, .onnx, .xml or a KerasHub preset, received"


def looks_given(text: str) -> bool:
    """Return whether a text names a file or folder, and no base of the catalog."""
    suffix = Path(text).suffix.lower()
    return (
        text.startswith((PRESET, RUN))
        or suffix in SUFFIXES
        or "/" in text
        or expanded(text).exists()
    )


def given_path(text: str, runs: Path) -> Path:
    """Return the file or folder that a text names.

    Args:
        text: A path, ``run:NAME`` for a fine-tuned run's own model, or ``kerashub:NAME``.
        runs: Folder of the runs.

    Raises:
        WeightsError: It is not there.
    """
    if text.startswith(PRESET):
        from pipeline.backbones.hub import preset_folder

        return preset_folder(text.removeprefix(PRESET))
    if text.startswith(RUN):
        path = runs / text.removeprefix(RUN) / "bundle" / "model.keras"
        if not path.is_file():
            raise WeightsError(
                f"expected a fine-tuned run, whose model can be a base, received {text}, and "
                f"{path} is not there; `pipeline compare` lists the runs, --runs names their folder"
            )
        return path
    path = expanded(text)
    if not path.exists():
        raise WeightsError(f"{_EXPECTED} {text}, which is not there")
    return path


def kind_of(path: Path) -> str:
    """Return of which of `KINDS` a file or folder is, by what is in it.

    Raises:
        WeightsError: It is none, or cannot be read.
    """
    if path.is_dir():
        return _kind_of_folder(path)
    try:
        found = stored_as(path)
    except OSError as error:
        raise WeightsError(f"{_EXPECTED} {path}: {error.strerror}") from error
    if found == HDF5:
        return "h5"
    if found == KERAS:
        return "keras"
    kind = {".onnx": "onnx", ".xml": "ir"}.get(path.suffix.lower())
    if kind is None or found is not None:
        raise WeightsError(
            f"{_EXPECTED} {path}, a file of {found or 'another format or damaged'}; {_WAY_OUT}"
        )
    if kind == "ir" and not path.with_suffix(".bin").is_file():
        raise WeightsError(
            f"expected {path.with_suffix('.bin').name}, which holds the weights, beside {path}, "
            f"received none; put it there"
        )
    return kind


def _kind_of_folder(path: Path) -> str:
    if (path / "config.json").is_file() and any(path.glob("model*.weights.*")):
        return "hub"
    what = "a SavedModel" if (path / "saved_model.pb").is_file() else "a folder"
    inside = [file for file in sorted(path.glob("*")) if file.suffix in SUFFIXES]
    way_out = f"name {inside[0]}" if len(inside) == 1 else _WAY_OUT
    raise WeightsError(f"{_EXPECTED} {path}, {what}; {way_out}")


def given_digest(kind: str, path: Path) -> str:
    """Return the SHA-256 of a network's bytes, in hex: of all its files where it has several.

    Raises:
        WeightsError: A file is not there or cannot be read.
    """
    try:
        if kind == "hub":
            files = [file for file in path.rglob("*") if file.is_file() and file.suffix != ".md"]
            return _joined({str(file.relative_to(path)): file for file in files})
        if kind == "ir":
            return _joined({"xml": path, "bin": path.with_suffix(".bin")})
        external = external_files(path) if kind == "onnx" else {}
        return _joined({"": path, **external}) if external else sha256(path)
    except OSError as error:
        raise WeightsError(f"{_EXPECTED} {path}: {error.strerror or error}") from error


def _joined(files: dict[str, Path]) -> str:
    lines = [f"{name} {sha256(files[name])}\n" for name in sorted(files)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def refuse_graph(kind: str, doing: str) -> InputError:
    """Return what is said where Keras would have to hold a network that it does not."""
    title = {"onnx": "an ONNX file", "ir": "an OpenVINO IR"}[kind]
    return InputError(
        f"expected a base that Keras holds for {doing}, received {title}, which OpenVINO computes "
        f"as it is; bring the network as .keras, or choose a base of `pipeline backbones`"
    )
