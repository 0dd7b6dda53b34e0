"""Reading shards: their index, some of their rows, or all there is to check.

Nothing is handed out unchecked: what cannot be read as it was written is a `DamagedShardError`. A
reading that fails is done again, of bytes that came another way, before it says anything about the
file: what is not the file's fault is a `StoreError` that names the fault, or is made good by then.
"""

import json
import stat
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from shlex import quote
from typing import BinaryIO, TypeVar

import h5py
import numpy as np

from pipeline.errors import DamagedShardError, StoreError
from pipeline.features.store.checksum import check_file, read_chunks, text_of
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.features.store.shard import (
    FORMAT,
    FORMAT_VERSION,
    REMARK,
    check_version,
    dataset_names,
)
from pipeline.features.store.structure import Structure
from pipeline.images.remarks import N_NUMBERS
from pipeline.system.files import read_file, unreadable

UNREADABLE = (LookupError, TypeError, ValueError, OSError, RuntimeError, OverflowError, MemoryError)
"""What h5py and the checksums raise on damaged files, and on sound ones on a machine in need."""

SPARE_BYTES = 64 << 20
"""HDF5 does not say when it lacks memory: who cannot have as much cannot call a file damaged."""

MOST_BYTES = 1 << 30
"""A shard that is read as a whole; ours have 32 MiB, or one batch."""

ReadOut = TypeVar("ReadOut")


@dataclass(frozen=True)
class Shard:
    """What a shard says about itself.

    Args:
        path: Where it is.
        recipe: What its features were made with.
        engine: What computed them.
        n_rows: Its rows.
        shapes: Of one row of each cut: (d,) or (h, w, c).
    """

    path: Path
    recipe: Recipe
    engine: str
    n_rows: int
    shapes: Mapping[CutName, tuple[int, ...]]


@dataclass(frozen=True)
class ShardIndex:
    """Which pictures and views a shard holds: digests (n, 32) uint8 and views (n,), by row.

    And what was lost of each picture, (n, 4) int32; None where nothing was.
    """

    shard: Shard
    digests: np.ndarray
    views: np.ndarray
    remarks: np.ndarray | None


def read_index(path: Path) -> ShardIndex:
    """Read a shard's recipe and its columns of digests and views.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        DamagedShardError: It is truncated, altered, or not a shard.
        StoreError: It cannot be read, or is gone.
    """

    def read(file: h5py.File) -> ShardIndex:
        shard = _read_shard(path, file)
        digests, views = (_column(file[name]) for name in ("digest", "view"))
        if views.min() < 0:
            raise ValueError("view numbers below 0")
        remarks = _column(file[REMARK]) if REMARK in file else None
        return ShardIndex(shard, digests, views, remarks)

    return _read(path, read)


def _column(dataset: h5py.Dataset) -> np.ndarray:
    return np.concatenate([rows for _, rows in read_chunks(dataset)])


def _read_shard(path: Path, file: h5py.File) -> Shard:
    recipe = Recipe.from_dict(json.loads(file.attrs["recipe"]))
    n_rows, names = int(file.attrs["n_rows"]), dataset_names(recipe)
    check_file(file, names)
    for name in _stored(file, names):
        _check_dataset(file[name], n_rows, recipe)
    shapes = {cut: file[recipe.dataset_name(cut)].shape[1:] for cut in recipe.cuts}
    return Shard(path, recipe, text_of(file.attrs["engine"]), n_rows, shapes)


def _stored(file: h5py.File, names: list[str]) -> list[str]:
    """Return the datasets that a recipe names, and the one that may be missing, if it is there."""
    return [*names, REMARK] if REMARK in file else names


def _check_dataset(dataset: h5py.Dataset, n_rows: int, recipe: Recipe) -> None:
    """Refuse a dataset of other rows, sides or types than the format says."""
    name, shape = dataset.name.removeprefix("/"), dataset.shape
    if len(dataset) != n_rows:
        raise ValueError(f"{n_rows} rows announced, {len(dataset)} found in {name}")
    exact = {"digest": (n_rows, 32), "view": (n_rows,), REMARK: (n_rows, N_NUMBERS)}
    fits = shape == exact[name] if name in exact else len(shape) in (2, 4)
    dtype = {"digest": "uint8", "view": "int32", REMARK: "int32"}.get(name, recipe.dtype)
    if not fits or dataset.dtype.newbyteorder("=") != np.dtype(dtype):
        raise ValueError(f"{name} of {shape} {dataset.dtype} where {dtype} is expected")


def read_rows(shard: Shard, cut: CutName, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Read the features of ``rows`` in that order: (len(rows), d) or (len(rows), h, w, c).

    Only the chunks that hold them are read, each once.

    Raises:
        ValueError: The shard's recipe has no such cut; the shard itself is sound.
        DamagedShardError: A checksum does not hold or the dataset is not there.
        StoreError: It cannot be read, or is gone.
    """
    if cut not in shard.recipe.cuts:
        raise ValueError(f"expected a cut of {shard.recipe.id}, received {cut}")
    wanted, name = np.asarray(rows, np.int64), shard.recipe.dataset_name(cut)

    def read(file: h5py.File) -> np.ndarray:
        dataset = file[name]
        if dataset.shape != (shard.n_rows, *shard.shapes[cut]):
            raise ValueError(f"{shard.n_rows} rows announced, {dataset.shape} found in {cut}")
        chunk_of = wanted // dataset.chunks[0]
        order = np.argsort(chunk_of, kind="stable")
        numbers, begins = np.unique(chunk_of[order], return_index=True)
        features = np.empty((len(wanted), *dataset.shape[1:]), dataset.dtype)
        places = np.split(order, begins)[1:]
        for where, (start, chunk) in zip(places, read_chunks(dataset, numbers), strict=True):
            features[where] = chunk[wanted[where] - start]
        return features

    return _read(shard.path, read)


def check_shard(path: Path) -> Generator[tuple[Path, int], None, Shard]:
    """Read everything in a shard, a chunk at a time.

    Yields:
        (path, bytes) of each chunk. Whoever is told of them is no part of the reading: what goes
        wrong there does not mean that the shard is damaged.

    Returns:
        What the shard says of itself.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        DamagedShardError: A checksum does not hold, or a feature is not finite.
        StoreError: It cannot be read, or is gone.
    """
    try:
        with _opened(path) as file:
            return (yield from _check_all(path, file))
    except UNREADABLE:
        return _read_again(path, lambda file: _returned(_check_all(path, file)))


def _check_all(path: Path, file: h5py.File) -> Generator[tuple[Path, int], None, Shard]:
    shard = _read_shard(path, file)
    for name in _stored(file, dataset_names(shard.recipe)):
        for start, rows in read_chunks(file[name]):
            if rows.dtype.kind == "f" and not np.isfinite(rows).all():
                raise ValueError(f"features that are not finite among the rows from {start}")
            yield path, rows.nbytes
    return shard


def checked_shard(path: Path) -> Shard:
    """Read everything in a shard; returns and raises what `check_shard` does."""
    return _returned(check_shard(path))


def _returned(steps: Generator[object, None, ReadOut]) -> ReadOut:
    """Go through a generator to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _read(path: Path, read: Callable[[h5py.File], ReadOut]) -> ReadOut:
    """Read something of a shard; what fails is done again before it is believed."""
    try:
        with _opened(path) as file:
            return read(file)
    except UNREADABLE:
        return _read_again(path, read)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a shard of a format we know."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("no file")
    identity = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    version = _look_once(path, identity)
    # Finished shards never change: no lock is needed, and not every file system has them.
    with h5py.File(path, "r", locking=False) as file:
        _check_version(path, file, version)
        yield file


@lru_cache(1 << 14)
def _look_once(path: Path, identity: tuple[int, ...]) -> int:
    """Look at the structure of a file that was not looked at before, or has changed since."""
    with path.open("rb") as file:
        return _look(file)


def _look(file: BinaryIO) -> int:
    """Return a shard's version; refuse what is not ours, and what HDF5 must not see."""
    structure = Structure(file)
    received = structure.attributes.get("format", b"")
    if received != FORMAT.encode():
        raise ValueError(f"format={received[:40]!r} where a shard has {FORMAT!r}")
    version = int.from_bytes(structure.attributes["format_version"], "little")
    if version <= FORMAT_VERSION:  # of what is newer, nothing but its attributes is known
        recipe = Recipe.from_dict(json.loads(structure.attributes["recipe"]))
        names = structure.check()
        if sorted({*names} - {REMARK}) != sorted(dataset_names(recipe)):
            raise ValueError(f"datasets {', '.join(names)[:200]} where its recipe has others")
    return version


def _check_version(path: Path, file: h5py.File, version: int) -> None:
    """Refuse what is newer than we are, once HDF5 has checked that it says so."""
    if version > FORMAT_VERSION:
        check_version(path, int(file.attrs["format_version"]))
        raise ValueError(f"format_version={version}")


def _read_again(path: Path, read: Callable[[h5py.File], ReadOut]) -> ReadOut:
    """Read the whole file without HDF5, and what is wanted out of its bytes.

    Raises:
        DamagedShardError: It fails again, so the bytes themselves are wrong.
        StoreError: The file or the memory for it cannot be had.
    """
    try:
        return _read_bytes(path, read)
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error


def _read_bytes(path: Path, read: Callable[[h5py.File], ReadOut]) -> ReadOut:
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise StoreError(
            f"cannot tell whether {path} is damaged: reading it failed, and it is too large to be "
            f"read again at once; start again, or move it away, its rows are computed again"
        )
    try:
        data = read_file(path, MOST_BYTES)
        version = _look(BytesIO(data))
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    try:
        with h5py.File(h5py.h5f.open_file_image(data)) as file:
            _check_version(path, file, version)
            return read(file)
    except UNREADABLE as error:
        np.empty(SPARE_BYTES, np.uint8)  # a MemoryError where it cannot be had
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DamagedShardError:
    cache = quote(str(path.parent.parent))
    return DamagedShardError(
        f"expected a whole shard, received a damaged file {path}: "
        f"{' '.join(str(error).split())}; run `pipeline verify --cache {cache}`, which sets it "
        f"aside; `pipeline features` then computes its rows again"
    )


def gather_rows(
    shards: Sequence[Shard], cut: CutName, numbers: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Read rows of many shards, at least one, each shard opened once.

    All have the cut in one shape. ``numbers`` (n,) says which of the shards, ``rows`` (n,) which
    row there.

    Returns:
        (n, d) or (n, h, w, c), in the order asked for and in the stored dtype.

    Raises:
        DamagedShardError: A checksum does not hold.
        StoreError: A shard cannot be read.
    """
    order = np.argsort(numbers, kind="stable")
    distinct, begins = np.unique(numbers[order], return_index=True)
    features: np.ndarray | None = None
    for number, where in zip(distinct, np.split(order, begins)[1:], strict=True):
        part = read_rows(shards[number], cut, rows[where])
        if features is None:
            features = np.empty((len(rows), *part.shape[1:]), part.dtype)
        features[where] = part
    return read_rows(shards[0], cut, rows) if features is None else features
