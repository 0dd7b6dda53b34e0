"""Filling shards: rows are collected, joined and published while others are being computed."""

import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import numpy as np

from pipeline.errors import StoreError
from pipeline.features.store.folders import prepare_folder
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.features.store.shard import Rows, write_shard
from pipeline.images.remarks import N_NUMBERS

SHARD_BYTES = 32 << 20
FIRST_SECONDS, SHARD_SECONDS = 10.0, 60.0

OnShard = Callable[[Path, Recipe], None]
"""Told of a finished shard and its recipe."""


class ShardWriter:
    """Collects rows and writes them as shards in a thread of its own while others compute.

    A shard is finished at 32 MiB or after ten seconds, then twenty, forty and a minute, whichever
    comes first: that is what a sudden end can cost. Leaving the context writes the rest, also when
    the reason is an exception or an interruption: rows that were computed are kept. ``on_shard`` is
    told of each finished shard, in the writing thread.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        engine: str,
        versions: Mapping[str, str],
        on_shard: OnShard | None = None,
    ) -> None:
        self.folder, self.recipe = folder, recipe
        self._engine, self._versions = engine, versions
        self._on_shard = on_shard
        self._pool = ThreadPoolExecutor(1, "shard-writer")
        self._pending: Future[None] | None = None
        self._seconds = FIRST_SECONDS
        self._clear()

    def _clear(self) -> None:
        self._parts: list[Rows] = []
        self._n_bytes, self._since = 0, monotonic()

    def __enter__(self) -> "ShardWriter":
        prepare_folder(self.folder, self.recipe)
        return self

    def add(
        self,
        digests: np.ndarray,
        features: Mapping[CutName, np.ndarray],
        views: np.ndarray | None = None,
        remarks: np.ndarray | None = None,
    ) -> None:
        """Take rows, all row-aligned; ``views`` are those of clean pictures if left out.

        Args:
            digests: SHA-256 of the files' bytes, (n, 32) uint8.
            features: One float array (n, …) per cut; stored in the recipe's dtype.
            views: View numbers (n,) int.
            remarks: What was lost of each picture, (n, 4) int32; None where nothing was.

        Raises:
            StoreError: A feature is not finite, or becomes infinite in the recipe's dtype; none of
                these rows is taken. Or a shard before could not be written.
        """
        if views is None:
            views = np.zeros(len(digests), np.int32)
        if remarks is None:
            remarks = np.zeros((len(digests), N_NUMBERS), np.int32)
        stored = {
            cut: _as_stored(values, self.recipe.dtype, cut, digests)
            for cut, values in features.items()
        }
        self._parts.append(Rows(digests, views.astype(np.int32, copy=False), stored, remarks))
        self._n_bytes += sum(array.nbytes for array in stored.values())
        if self._n_bytes >= SHARD_BYTES or monotonic() - self._since >= self._seconds:
            self._seconds = min(2 * self._seconds, SHARD_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Hand the collected rows to the writing thread, after the shard before is done."""
        self._wait()
        if self._parts:
            self._pending = self._pool.submit(self._publish, self._parts)
        self._clear()

    def _publish(self, parts: list[Rows]) -> None:
        prepare_folder(self.folder, self.recipe)  # it may have been taken away since we began
        rows = _join(parts)
        parts.clear()  # else every row would be held twice while it is written
        path = self.folder / f"shard-{uuid.uuid4().hex}.h5"
        write_shard(path, self.recipe, rows, self._engine, self._versions)
        del rows
        if self._on_shard is not None:
            self._on_shard(path, self.recipe)

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __exit__(self, *reason: object) -> None:
        try:
            self.flush()
            self._wait()
        finally:
            self._pool.shutdown()


def _join(parts: list[Rows]) -> Rows:
    return Rows(
        np.concatenate([part.digests for part in parts]),
        np.concatenate([part.views for part in parts]),
        {cut: np.concatenate([part.features[cut] for part in parts]) for cut in parts[0].features},
        np.concatenate([part.remarks for part in parts if part.remarks is not None]),
    )


def _as_stored(values: np.ndarray, dtype: str, cut: CutName, digests: np.ndarray) -> np.ndarray:
    """Return the values in the stored dtype; refuse what is not finite in it."""
    name = ":".join(cut)
    finite = _finite_rows(values)
    if not finite.all():
        picture = digests[int(np.argmin(finite))].tobytes().hex()
        raise StoreError(
            f"expected finite features, received NaN or infinity from {name} for the picture with "
            f"SHA-256 {picture}; try --precision float32, or other weights"
        )
    with np.errstate(over="ignore"):
        stored = values.astype(dtype, copy=False)
    if not _finite_rows(stored).all():
        farthest = values.flat[int(np.argmax(np.abs(values)))]
        raise StoreError(
            f"expected features from -{np.finfo(dtype).max:.0f} to {np.finfo(dtype).max:.0f} to "
            f"store as {dtype}, received {farthest:.6g} from {name}; use --dtype float32"
        )
    return stored


def _finite_rows(values: np.ndarray) -> np.ndarray:
    return np.isfinite(values.reshape(len(values), -1)).all(axis=1)
