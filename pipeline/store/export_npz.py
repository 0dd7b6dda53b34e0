"""A table as one ``.npz`` file, which ``numpy.load`` reads without pickle."""

import zipfile
from pathlib import Path

import numpy as np

from pipeline.store.columns import Column, Table, blocks

TEXT = "U"


def write_npz(path: Path, table: Table) -> None:
    """Write one array per column, ``classes``, and one text per attribute.

    Raises:
        OSError: The disk is full, or the like.
    """
    texts = {"classes": list(table.classes), **table.attributes}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.array(text, TEXT), allow_pickle=False)
        for column in table.columns:
            _write(archive, column, table.n_rows)


def _write(archive: zipfile.ZipFile, column: Column, n_rows: int) -> None:
    dtype = _stored(column.dtype)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (n_rows, *column.shape),
    }
    with archive.open(f"{column.name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start, stop in blocks(n_rows, column.shape, dtype):
            rows = column.read(start, stop)
            texts = np.char.decode(rows, "utf-8") if dtype.kind == TEXT else rows
            file.write(texts.astype(dtype, order="C", copy=False).data.cast("B"))


def _stored(dtype: np.dtype) -> np.dtype:
    """Texts are stored as NumPy's own, which everybody can compare with ``==``."""
    return np.dtype(f"{TEXT}{dtype.itemsize}") if dtype.kind == "S" else dtype


def npz_bytes(table: Table) -> int:
    """Return about how large the file will be."""
    sizes = (_stored(column.dtype).itemsize * column.n_values for column in table.columns)
    return table.n_rows * sum(sizes)
