"""One shard: a finished HDF5 file of row-aligned features.

Layout (format ``bottleneck-features``, version 1; n rows):

    digest              (n, 32) uint8   SHA-256 of the picture file's bytes
    view                (n,) int32      0 is the clean picture
    features/<layer>    (n, d) or (n, h, w, c), the recipe's dtype; attributes layer, pooling

Attributes of the file: format, format_version, recipe (JSON), versions (JSON), engine, n_rows.
Every dataset carries a Fletcher-32 checksum per chunk; the file's own structures are checksummed by
HDF5's version-3 superblock. A chunk is whole rows, about 1 MiB.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.store.files import atomic_path
from pipeline.store.recipe import Cut, Recipe, canonical_json

FORMAT = "bottleneck-features"
FORMAT_VERSION = 1
CHUNK_BYTES = 1 << 20
DENSE_READ_SHARE = 0.25


@dataclass(frozen=True)
class Rows:
    """Rows to store, all aligned: row i of every array is the same picture and view.

    Args:
        digests: SHA-256 of the files' bytes, (n, 32) uint8.
        views: View numbers, (n,) int32.
        features: One array per cut, (n, d) or (n, h, w, c).
    """

    digests: np.ndarray
    views: np.ndarray
    features: Mapping[Cut, np.ndarray]


def write_shard(
    path: Path, recipe: Recipe, rows: Rows, engine: str, versions: Mapping[str, str]
) -> None:
    """Write a shard so that it appears under ``path`` whole or not at all.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    _check_alignment(recipe, rows)
    image = _file_image(recipe, rows, engine, versions)
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _file_image(recipe: Recipe, rows: Rows, engine: str, versions: Mapping[str, str]) -> bytes:
    """Lay the file out in memory: HDF5 itself crashes the process when the disk is full."""
    image = io.BytesIO()
    with h5py.File(image, "w", libver=("v110", "v110")) as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["recipe"] = canonical_json(recipe.to_dict())
        file.attrs["versions"] = canonical_json(dict(versions))
        file.attrs["engine"] = engine
        file.attrs["n_rows"] = len(rows.digests)
        _write(file, "digest", rows.digests)
        _write(file, "view", rows.views.astype(np.int32))
        for cut, features in rows.features.items():
            dataset = _write(file, recipe.dataset_name(cut), features.astype(recipe.dtype))
            dataset.attrs["layer"], dataset.attrs["pooling"] = cut
    return image.getvalue()


def _write(file: h5py.File, name: str, array: np.ndarray) -> h5py.Dataset:
    row_bytes = max(1, array[0].nbytes)
    chunk = (min(len(array), max(1, CHUNK_BYTES // row_bytes)), *array.shape[1:])
    return file.create_dataset(name, data=array, chunks=chunk, fletcher32=True)


def _check_alignment(recipe: Recipe, rows: Rows) -> None:
    assert rows.features.keys() == set(recipe.cuts), (rows.features.keys(), recipe.cuts)
    lengths = {len(rows.digests), len(rows.views), *map(len, rows.features.values())}
    assert len(lengths) == 1, f"rows are not aligned: {lengths}"
    assert 0 not in lengths, "an empty shard says nothing"


@dataclass(frozen=True)
class ShardIndex:
    """Which pictures and views a shard holds: digests (n, 32) uint8 and views (n,), by row."""

    path: Path
    recipe: Recipe
    engine: str
    digests: np.ndarray
    views: np.ndarray


def read_index(path: Path) -> ShardIndex:
    """Read a shard's recipe and its columns of digests and views.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        DamagedShardError: It is truncated, altered, or not a shard.
    """
    with _open(path) as file:
        try:
            recipe = Recipe.from_dict(json.loads(file.attrs["recipe"]))
            digests, views = file["digest"][:], file["view"][:]
            n_rows, engine = int(file.attrs["n_rows"]), str(file.attrs["engine"])
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise _damaged(path, error) from error
    if not len(digests) == len(views) == n_rows:
        raise _damaged(path, f"{n_rows} rows announced, {len(digests)} found")
    return ShardIndex(path, recipe, engine, digests, views)


def read_rows(path: Path, recipe: Recipe, cut: Cut, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Read the features of ``rows`` in that order: (len(rows), d) or (len(rows), h, w, c).

    Raises:
        DamagedShardError: A checksum does not hold or the dataset is not there.
    """
    wanted = np.asarray(rows)
    with _open(path) as file:
        try:
            dataset = file[recipe.dataset_name(cut)]
            unique, back = np.unique(wanted, return_inverse=True)
            whole = len(unique) >= DENSE_READ_SHARE * len(dataset)
            return dataset[:][wanted] if whole else dataset[unique][back]
        except (KeyError, OSError) as error:
            raise _damaged(path, error) from error


_WAY_OUT = "run the same command again, its rows are computed again"


def _open(path: Path) -> h5py.File:
    try:
        with path.open("rb"):  # HDF5 says the same of a file it may not read and of a damaged one
            pass
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; make it readable, nothing is lost"
        ) from error
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error
    try:
        _check_format(path, file)
    except BaseException:
        file.close()
        raise
    return file


def _check_format(path: Path, file: h5py.File) -> None:
    """Refuse what is not ours, and what is newer than we are."""
    if file.attrs.get("format") != FORMAT:
        raise DamagedShardError(
            f"expected an HDF5 file with format={FORMAT!r}, "
            f"received format={file.attrs.get('format')!r} in {path}; move it out of the cache"
        )
    try:
        version = int(file.attrs["format_version"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise _damaged(path, error) from error
    check_version(path, version)


def check_version(path: Path, version: int) -> None:
    """Raise `NewerFormatError` when ``version`` is beyond what this program reads."""
    if version > FORMAT_VERSION:
        raise NewerFormatError(
            f"expected a cache of format version {FORMAT_VERSION} or older, received version "
            f"{version} in {path}; update this program or name another folder with --cache"
        )


def _damaged(path: Path, reason: object) -> DamagedShardError:
    return DamagedShardError(
        f"expected a whole shard, received a damaged file {path}: "
        f"{' '.join(str(reason).split())}; {_WAY_OUT}"
    )
