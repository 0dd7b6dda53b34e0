"""One shard: a finished HDF5 file of row-aligned features, and how it is written.

Layout (format ``bottleneck-features``, version 1; n rows):

    digest              (n, 32) uint8   SHA-256 of the picture file's bytes
    view                (n,) int32      0 is the clean picture
    features/<layer>    (n, d) or (n, h, w, c), the recipe's dtype; attributes layer, pooling
    remark              (n, 4) int32    what was lost of a picture; only where something was

Attributes of the file: format, format_version, recipe (JSON), versions (JSON), engine, n_rows, and
checksum over all of these. Every dataset carries a Fletcher-32 checksum per chunk, and in its
attribute crc32 one CRC-32 per chunk; the file's own structures are checksummed by HDF5's version-3
superblock. A chunk is whole rows, about 1 MiB. What reads it is `reader`.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import NewerFormatError
from pipeline.features.store.checksum import CHUNK_SUMS, FILE_SUM, chunk_sums, file_sum
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.system.files import atomic_path, canonical_json

FORMAT = "bottleneck-features"
FORMAT_VERSION = 1
CHUNK_BYTES = 1 << 20
REMARK = "remark"
"""A dataset that may be missing, and that the file's checksum does not cover: earlier versions of
this program read the shard without."""


@dataclass(frozen=True)
class Rows:
    """Rows to store, all aligned: row i of every array is the same picture and view.

    Args:
        digests: SHA-256 of the files' bytes, (n, 32) uint8.
        views: View numbers, (n,) int32.
        features: One array per cut, (n, d) or (n, h, w, c), in the recipe's dtype.
        remarks: What was lost of each picture, (n, 4) int32; None where nothing was.
    """

    digests: np.ndarray
    views: np.ndarray
    features: Mapping[CutName, np.ndarray]
    remarks: np.ndarray | None = None


def write_shard(
    path: Path, recipe: Recipe, rows: Rows, engine: str, versions: Mapping[str, str]
) -> None:
    """Write a shard so that it appears whole or not at all.

    Raises StoreError if the folder cannot be written or the disk is full.
    """
    _check_alignment(recipe, rows)
    image = _file_image(recipe, rows, engine, versions)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _file_image(recipe: Recipe, rows: Rows, engine: str, versions: Mapping[str, str]) -> memoryview:
    """Lay the file out in memory: HDF5 itself crashes the process when the disk is full."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = _text(FORMAT)
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["recipe"] = _text(canonical_json(recipe.to_dict()))
        file.attrs["versions"] = _text(canonical_json(dict(versions)))
        file.attrs["engine"] = _text(engine)
        file.attrs["n_rows"] = len(rows.digests)
        _write(file, "digest", rows.digests)
        _write(file, "view", rows.views.astype(np.int32, copy=False))
        for cut, features in rows.features.items():
            dataset = _write(
                file, recipe.dataset_name(cut), features.astype(recipe.dtype, copy=False)
            )
            dataset.attrs["layer"], dataset.attrs["pooling"] = map(_text, cut)
        if rows.remarks is not None and rows.remarks.any():
            _write(file, REMARK, rows.remarks.astype(np.int32, copy=False))
        file.attrs[FILE_SUM] = _text(file_sum(file, dataset_names(recipe)))
    return image.getbuffer()


def _text(value: str) -> np.bytes_:
    """Make a text of fixed length: HDF5 checksums no others."""
    return np.bytes_(value.encode())


def _write(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    chunk_rows = min(len(array), max(1, CHUNK_BYTES // max(1, array[0].nbytes)))
    chunk = (chunk_rows, *array.shape[1:])
    dataset = file.create_dataset(name, data=array, chunks=chunk, fletcher32=True)
    dataset.attrs[CHUNK_SUMS] = chunk_sums(array, chunk_rows)
    return dataset


def dataset_names(recipe: Recipe) -> list[str]:
    """Return every dataset that a shard of ``recipe`` has."""
    return ["digest", "view", *map(recipe.dataset_name, recipe.cuts)]


def _check_alignment(recipe: Recipe, rows: Rows) -> None:
    assert rows.features.keys() == set(recipe.cuts), (rows.features.keys(), recipe.cuts)
    remarks = () if rows.remarks is None else (rows.remarks,)
    lengths = {len(rows.digests), len(rows.views), *map(len, (*rows.features.values(), *remarks))}
    assert len(lengths) == 1, f"rows are not aligned: {lengths}"
    assert 0 not in lengths, "an empty shard says nothing"


def check_version(path: Path | str, version: int) -> None:
    """Raise `NewerFormatError` when ``version`` is beyond what this program reads."""
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"expected a cache of format version {FORMAT_VERSION} or older, received version "
            f"{version} in {path}; update this program or name another folder with --cache"
        )
