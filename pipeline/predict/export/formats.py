"""The formats: names, suffixes, the packages they need; and where a model of each may go.

Nothing of the user's is overwritten, and a model appears whole or not at all.
"""

import importlib.util
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, UnknownNameError
from pipeline.system.files import TEMPORARY_PREFIX, atomic_folder, output_path, rename

PARTS = ("model.xml", "model.bin")
"""What OpenVINO's folder holds; one that holds anything else is never replaced."""


@dataclass(frozen=True)
class Format:
    """A row of the table.

    Args:
        name: What the user types.
        title: What people call it.
        suffix: How its file ends; nothing for a folder.
        packages: What it needs beside what is always there.
        input_dtype: Type of the pictures that it takes.
    """

    name: str
    title: str
    suffix: str
    packages: tuple[str, ...] = ()
    input_dtype: str = "uint8"


FORMATS: Mapping[str, Format] = {
    row.name: row
    for row in (
        Format("keras", "Keras", ".keras", input_dtype="float32"),
        Format("onnx", "ONNX", ".onnx", ("onnx", "onnxruntime", "tf2onnx")),
        Format("openvino", "OpenVINO", ""),
        Format("tflite", "TFLite", ".tflite", ("ai_edge_litert",)),
    )
}
SUFFIXES = tuple(row.suffix for row in FORMATS.values() if row.suffix)


def find_format(name: str | None, out: Path) -> Format:
    """Return the format of that name, or, without one, the one that the suffix of ``out`` names.

    Raises:
        UnknownNameError: There is no such format, or no suffix says which.
        InputError: The suffix is another format's.
    """
    suffix = out.suffix.lower()
    if name is None:
        for found in FORMATS.values():
            if found.suffix and found.suffix == suffix:
                return found
        hint = f"name a file that ends in {', '.join(SUFFIXES)}, or a folder with --format openvino"
        raise UnknownNameError("kind of model", out.suffix or out.name, SUFFIXES, hint)
    if name not in FORMATS:
        raise UnknownNameError("format", name, FORMATS, f"known: {', '.join(FORMATS)}")
    found = FORMATS[name]
    if not found.suffix and suffix in (*SUFFIXES, *(Path(part).suffix for part in PARTS)):
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


def check_packages(wanted: Format) -> None:
    """Raise `InputError` unless what a format needs is installed; nothing is imported."""
    missing = [name for name in wanted.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            f"expected {', '.join(wanted.packages)} to write and check {wanted.title}, received no "
            f"{', '.join(missing)}; pip install 'bottleneck-pipeline[{wanted.name}]', or choose "
            f"--format openvino"
        )


def description_path(out: Path) -> Path:
    """Return where the description of a model lies: beside it, as ``<out>.json``."""
    return out.with_name(f"{out.name}.json")


def check_place(wanted: Format, out: Path, overwrite: bool) -> None:
    """Refuse a place that is taken, before anything is computed.

    Raises InputError if something is there, and ``overwrite`` is off or it is no exported model.
    """
    for path in (out, description_path(out)):
        is_folder = path == out and not wanted.suffix
        if not path.exists() or (overwrite and _is_ours(path, is_folder)):
            continue
        way_out = ", or use --overwrite" if _is_ours(path, is_folder) else ""
        raise InputError(
            f"expected a new {'folder' if is_folder else 'file'}, received out={out}, and {path} "
            f"exists; name another one{way_out}"
        )


def _is_ours(path: Path, is_folder: bool) -> bool:
    if not is_folder:
        return path.is_file()
    return path.is_dir() and {entry.name for entry in path.iterdir()} <= set(PARTS)


@contextmanager
def published(wanted: Format, out: Path) -> Iterator[Path]:
    """Yield a temporary file or folder that becomes ``out`` when the context ends well.

    Raises StoreError if the folder cannot be written, or the disk is full.
    """
    if wanted.suffix:
        with output_path(out) as temporary:
            yield temporary
        return
    with _replaced(out) as temporary:
        yield temporary


@contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Yield a folder that takes the place of ``out``, which is put back where that fails."""
    old = out.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        with atomic_folder(out, way_out="make room or name another folder") as temporary:
            yield temporary
            if out.is_dir():
                rename(out, old)
    except BaseException:
        if old.is_dir() and not out.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)
