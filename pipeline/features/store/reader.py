"""Reading shards: their index, some of their rows, or all there is to check.

Nothing is handed out unchecked: what cannot be read as it was written is a `DamagedShardError`.
"""

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from pipeline.errors import DamagedShardError, StoreError
from pipeline.features.store.checksum import check_file, check_heaps, read_chunks, text_of
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.features.store.shard import FORMAT, REMARK, check_version, dataset_names
from pipeline.images.remarks import N_NUMBERS
from pipeline.system.files import OnDamage

UNREADABLE = (KeyError, TypeError, ValueError, OSError, RuntimeError, OverflowError)
"""What h5py and the checksums raise on damaged files."""


@dataclass(frozen=True)
class Shard:
    """What a shard says about itself.

    Args:
        path: Where it is.
        recipe: What its features were made with.
        engine: What computed them.
        n_rows: Its rows.
    """

    path: Path
    recipe: Recipe
    engine: str
    n_rows: int


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
        StoreError: It may not be read, or is gone.
    """
    with _opened(path) as file:
        shard = _read_shard(path, file)
        digests, views = (_column(file[name]) for name in ("digest", "view"))
        remarks = _column(file[REMARK]) if REMARK in file else None
        if remarks is not None and remarks.shape != (shard.n_rows, N_NUMBERS):
            raise ValueError(f"{shard.n_rows} rows announced, {REMARK} is {remarks.shape}")
    return ShardIndex(shard, digests, views, remarks)


def _column(dataset: h5py.Dataset) -> np.ndarray:
    return np.concatenate([rows for _, rows in read_chunks(dataset)])


def _read_shard(path: Path, file: h5py.File) -> Shard:
    recipe = Recipe.from_dict(json.loads(file.attrs["recipe"]))
    engine = text_of(file.attrs["engine"])
    shard = Shard(path, recipe, engine, int(file.attrs["n_rows"]))
    names = dataset_names(recipe)
    check_file(file, names)
    for name in names:
        if len(file[name]) != shard.n_rows:
            raise ValueError(f"{shard.n_rows} rows announced, {len(file[name])} found in {name}")
    return shard


def read_rows(shard: Shard, cut: CutName, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Read the features of ``rows`` in that order: (len(rows), d) or (len(rows), h, w, c).

    Only the chunks that hold them are read, each once.

    Raises:
        ValueError: The shard's recipe has no such cut; the shard itself is sound.
        DamagedShardError: A checksum does not hold or the dataset is not there.
    """
    if cut not in shard.recipe.cuts:
        raise ValueError(f"expected a cut of {shard.recipe.id}, received {cut}")
    wanted, name = np.asarray(rows, np.int64), shard.recipe.dataset_name(cut)
    with _opened(shard.path) as file:
        dataset = file[name]
        if len(dataset) != shard.n_rows:
            raise ValueError(f"{shard.n_rows} rows announced, {len(dataset)} found in {cut}")
        chunk_of = wanted // dataset.chunks[0]
        order = np.argsort(chunk_of, kind="stable")
        numbers, begins = np.unique(chunk_of[order], return_index=True)
        features = np.empty((len(wanted), *dataset.shape[1:]), dataset.dtype)
        places = np.split(order, begins)[1:]
        for where, (start, chunk) in zip(places, read_chunks(dataset, numbers), strict=True):
            features[where] = chunk[wanted[where] - start]
    return features


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
        StoreError: It may not be read, or is gone.
    """
    with _opened(path) as file:
        shard = _read_shard(path, file)
        for name in (*dataset_names(shard.recipe), *({REMARK} & file.keys())):
            for start, rows in read_chunks(file[name]):
                if rows.dtype.kind == "f" and not np.isfinite(rows).all():
                    raise ValueError(f"features that are not finite among the rows from {start}")
                yield path, rows.nbytes
    return shard


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a shard of a format we know; what goes wrong with it inside means that it is damaged."""
    try:
        _check_readable(path)
        # Finished shards never change: no lock is needed, and not every file system has them.
        with h5py.File(path, "r", locking=False) as file:
            _check_format(path, file)
            yield file
    except UNREADABLE as error:
        raise DamagedShardError(
            f"expected a whole shard, received a damaged file {path}: "
            f"{' '.join(str(error).split())}; run the same command again, or "
            f"`pipeline features` where that one only reads: its rows are computed again"
        ) from error


def _check_readable(path: Path) -> None:
    """Look before HDF5 does, which says the same of a forbidden file and of a damaged one."""
    try:
        check_heaps(path)
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; make it readable, nothing is lost"
        ) from error


def _check_format(path: Path, file: h5py.File) -> None:
    """Refuse what is not ours, and what is newer than we are."""
    received = file.attrs.get("format", "")
    if not isinstance(received, bytes | str) or text_of(received) != FORMAT:
        raise DamagedShardError(
            f"expected an HDF5 file with format={FORMAT!r}, received format={received!r} in "
            f"{path}; move it out of the cache"
        )
    check_version(path, int(file.attrs["format_version"]))


def gather_rows(
    shards: Sequence[Shard],
    cut: CutName,
    numbers: np.ndarray,
    rows: np.ndarray,
    on_damage: OnDamage,
) -> np.ndarray:
    """Read rows of many shards, each shard opened once.

    Args:
        shards: At least one.
        cut: A cut that all of them hold.
        numbers: (n,) int, which of the shards.
        rows: (n,) int, which row of that shard.
        on_damage: Told of a damaged shard before the error goes on.

    Returns:
        (n, d) or (n, h, w, c), in the order asked for and in the stored dtype.

    Raises:
        DamagedShardError: A checksum does not hold.
    """
    order = np.argsort(numbers, kind="stable")
    distinct, begins = np.unique(numbers[order], return_index=True)
    features: np.ndarray | None = None
    for number, where in zip(distinct, np.split(order, begins)[1:], strict=True):
        part = _read_or_tell(shards[number], cut, rows[where], on_damage)
        if features is None:
            features = np.empty((len(rows), *part.shape[1:]), part.dtype)
        features[where] = part
    return _read_or_tell(shards[0], cut, rows, on_damage) if features is None else features


def _read_or_tell(shard: Shard, cut: CutName, rows: np.ndarray, on_damage: OnDamage) -> np.ndarray:
    try:
        return read_rows(shard, cut, rows)
    except DamagedShardError as error:
        on_damage(shard.path, error)
        raise
