"""Writing a table into one file for people and programs that know nothing of this cache."""

import shutil
from pathlib import Path

from pipeline.errors import InputError, StoreError, UnknownNameError
from pipeline.files import atomic_path
from pipeline.store.columns import Table
from pipeline.store.export_hdf5 import write_hdf5
from pipeline.store.export_npz import npz_bytes, write_npz
from pipeline.store.export_parquet import check_pyarrow, write_parquet

WRITERS = {".h5": write_hdf5, ".npz": write_npz, ".parquet": write_parquet}
SPARE_BYTES = 4 << 20


def check_target(path: Path, overwrite: bool) -> None:
    """Refuse a file that cannot be written, before anything is read.

    Raises:
        UnknownNameError: Its suffix is none that can be written.
        InputError: It exists and ``overwrite`` is off; it is a folder; or pyarrow is not installed.
    """
    if path.suffix.lower() not in WRITERS:
        hint = f"name a file that ends in {', '.join(WRITERS)}"
        raise UnknownNameError("kind of file", path.suffix or path.name, WRITERS, hint)
    if path.is_dir() or (path.exists() and not overwrite):
        kind, way_out = ("folder", "") if path.is_dir() else ("file", ", or use --overwrite")
        raise InputError(
            f"expected a new file, received out={path}, a {kind} that exists; "
            f"name another one{way_out}"
        )
    if path.suffix.lower() == ".parquet":
        check_pyarrow()


def export_table(path: Path, table: Table) -> None:
    """Write a table in the format that the suffix names: whole or not at all, in little memory.

    Args:
        path: A file that `check_target` lets pass.
        table: What to write.

    Raises:
        StoreError: The folder cannot be written, or the disk is full.
    """
    suffix = path.suffix.lower()
    _check_space(path, npz_bytes(table) if suffix == ".npz" else table.n_bytes)
    with atomic_path(path) as temporary:
        WRITERS[suffix](temporary, table)


def _check_space(path: Path, n_bytes: int) -> None:
    """Refuse what will not fit, before hours of writing."""
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    if n_bytes + SPARE_BYTES > free:
        raise StoreError(
            f"expected {_mebibytes(n_bytes)} of free space to write {path}, received "
            f"{_mebibytes(free)}; free some or name a file elsewhere"
        )


def _mebibytes(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 20):,.0f} MiB"
