"""A table as one Parquet file, with pyarrow, which is not needed for anything else."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import InputError
from pipeline.store.columns import Column, Table, table_blocks

if TYPE_CHECKING:
    import pyarrow as pa


def check_pyarrow() -> None:
    """Raise `InputError` unless pyarrow is installed."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise InputError(
            "expected pyarrow to write a .parquet file, received none; "
            "pip install 'bottleneck-pipeline[parquet]', or name a .h5 or .npz file"
        ) from error


def write_parquet(path: Path, table: Table) -> None:
    """Write one column per column, rows of arrays as lists of fixed length.

    The classes (JSON) and the attributes are metadata of the schema; the shape of a map's rows,
    which become flat, is metadata of its field.

    Raises:
        OSError: The disk is full, or the like.
    """
    import pyarrow as pa
    from pyarrow import parquet

    texts = {"classes": json.dumps(list(table.classes)), **table.attributes}
    schema = pa.schema([_field(column) for column in table.columns], metadata=texts)
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        for start, stop in table_blocks(table):
            arrays = [_array(column, start, stop) for column in table.columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _field(column: Column) -> "pa.Field":
    import pyarrow as pa

    if column.dtype.kind == "S":
        return pa.field(column.name, pa.string())
    kind = pa.from_numpy_dtype(column.dtype)
    if not column.shape:
        return pa.field(column.name, kind)
    shape = {"shape": json.dumps(list(column.shape))}
    return pa.field(column.name, pa.list_(kind, column.n_values), metadata=shape)


def _array(column: Column, start: int, stop: int) -> "pa.Array":
    import pyarrow as pa

    rows = column.read(start, stop)
    if column.dtype.kind == "S":
        return pa.array(np.char.decode(rows, "utf-8").tolist(), pa.string())
    flat = pa.array(np.ascontiguousarray(rows).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, column.n_values) if column.shape else flat
