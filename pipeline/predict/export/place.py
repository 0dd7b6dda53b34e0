"""Where an exported model goes: never over anything of the user's, whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import InputError, StoreError
from pipeline.predict.export.formats import Format
from pipeline.system.files import TEMPORARY_PREFIX, atomic_folder, atomic_path

PARTS = ("model.xml", "model.bin")
"""What OpenVINO's folder holds; one that holds anything else is never replaced."""


def description_path(out: Path) -> Path:
    """Return where the description of a model lies: beside it, as ``<out>.json``."""
    return out.with_name(f"{out.name}.json")


def check_place(wanted: Format, out: Path, overwrite: bool) -> None:
    """Refuse a place that is taken, before anything is computed.

    Args:
        wanted: The format.
        out: The file or folder.
        overwrite: Whether an exported model that is there may be replaced.

    Raises:
        InputError: Something is there, and ``overwrite`` is off or it is no exported model.
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

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    if wanted.suffix:
        with atomic_path(out) as temporary:
            yield temporary
        return
    try:
        with _replaced(out) as temporary:
            yield temporary
    except OSError as error:
        raise StoreError(
            f"cannot write {out}: {error.strerror or error}; make room or name another folder"
        ) from error


@contextmanager
def _replaced(out: Path) -> Iterator[Path]:
    """Yield a folder that takes the place of ``out``, which is put back where that fails."""
    old = out.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
    try:
        with atomic_folder(out) as temporary:
            yield temporary
            if out.is_dir():
                os.rename(out, old)
    except BaseException:
        if old.is_dir() and not out.exists():
            os.rename(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)
