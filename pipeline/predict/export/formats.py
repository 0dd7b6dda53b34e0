"""The formats: names, suffixes, the packages they need, and the modules that write them."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import keras

Runtime = Callable[[np.ndarray], np.ndarray]
"""Pictures (n, s, s, 3) uint8 in, probabilities (n, k) out."""


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Args:
        name: What the user types.
        title: What people call it.
        suffix: How its file ends; nothing for a folder.
        module: Of this room: has ``write`` and ``load``.
        packages: What it needs beside what is always there.
        input_dtype: Type of the pictures that it takes.
    """

    name: str
    title: str
    suffix: str
    module: str
    packages: tuple[str, ...] = ()
    input_dtype: str = "uint8"

    def write(self, path: Path, model: "keras.Model", description: Mapping[str, Any]) -> None:
        """Write a model with its description inside; needs TensorFlow imported."""
        self._module().write(path, model, description)

    def load(self, path: Path) -> Runtime:
        """Load what `write` wrote in the format's own runtime."""
        runtime: Runtime = self._module().load(path)
        return runtime

    def _module(self) -> Any:
        return importlib.import_module(f"pipeline.exporting.{self.module}")


FORMATS: Mapping[str, Format] = {
    row.name: row
    for row in (
        Format("keras", "Keras", ".keras", "keras_file", input_dtype="float32"),
        Format("onnx", "ONNX", ".onnx", "onnx_file", ("onnx", "onnxruntime", "tf2onnx")),
        Format("openvino", "OpenVINO", "", "openvino_folder"),
        Format("tflite", "TFLite", ".tflite", "tflite_file", ("ai_edge_litert",)),
    )
}
SUFFIXES = tuple(row.suffix for row in FORMATS.values() if row.suffix)
_PARTS = (".xml", ".bin")
"""What lies in OpenVINO's folder; a folder of such a name is a mistake."""


def find_format(name: str | None, out: Path) -> Format:
    """Return the format that is meant.

    Args:
        name: A key of `FORMATS`; None for the one that the suffix of ``out`` names.
        out: Where the model goes.

    Raises:
        UnknownNameError: There is no such format, or no suffix says which.
        InputError: The suffix is another format's.
    """
    if name is None:
        return _by_suffix(out)
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS, f"known: {', '.join(FORMATS)}")
    found, suffix = FORMATS[name], out.suffix.lower()
    if not found.suffix and suffix in (*SUFFIXES, *_PARTS):
        raise InputError(
            f"expected a folder for {found.title}'s model.xml and model.bin, received out={out}; "
            f"name it without {out.suffix}"
        )
    if found.suffix and suffix != found.suffix:
        raise InputError(
            f"expected a file that ends in {found.suffix} for --format {name}, received out={out}; "
            f"rename it, or choose another --format"
        )
    return found


def _by_suffix(out: Path) -> Format:
    for found in FORMATS.values():
        if found.suffix and found.suffix == out.suffix.lower():
            return found
    hint = f"name a file that ends in {', '.join(SUFFIXES)}, or a folder with --format openvino"
    raise UnknownNameError("kind of model", out.suffix or out.name, SUFFIXES, hint)


def check_packages(wanted: Format) -> None:
    """Raise `InputError` unless what a format needs is installed; nothing is imported."""
    missing = [name for name in wanted.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"expected {', '.join(wanted.packages)} to write and check {wanted.title}, received no "
            f"{', '.join(missing)}; pip install 'bottleneck-pipeline[{wanted.name}]', or choose "
            f"--format openvino"
        )
