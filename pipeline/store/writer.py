"""Filling shards: rows are collected, joined and published while others are being computed."""

import uuid
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from types import TracebackType

import numpy as np

from pipeline.store.files import write_json
from pipeline.store.recipe import Cut, Recipe
from pipeline.store.shard import FORMAT, FORMAT_VERSION, Rows, write_shard

SHARD_BYTES = 64 << 20
SHARD_SECONDS = 60.0


class ShardWriter:
    """Collects rows and writes them as shards in a thread of its own while others compute.

    A shard is finished at 64 MiB or after a minute, whichever comes first: that is what a sudden
    end can cost. Leaving the context writes the rest, also when the reason is an exception or an
    interruption: rows that were computed are kept.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, engine: str, versions: Mapping[str, str]
    ) -> None:
        self.folder, self.recipe = folder, recipe
        self._engine, self._versions = engine, versions
        self._pool = ThreadPoolExecutor(1, "shard-writer")
        self._pending: Future[None] | None = None
        self._clear()

    def _clear(self) -> None:
        self._parts: list[Rows] = []
        self._n_bytes, self._since = 0, monotonic()

    def __enter__(self) -> "ShardWriter":
        prepare_folder(self.folder, self.recipe)
        return self

    def add(self, digests: np.ndarray, features: Mapping[Cut, np.ndarray]) -> None:
        """Take clean rows: digests (n, 32) uint8 and one (n, …) array per cut, row-aligned."""
        self._parts.append(Rows(digests, np.zeros(len(digests), np.int32), features))
        self._n_bytes += sum(array.nbytes for array in features.values())
        if self._n_bytes >= SHARD_BYTES or monotonic() - self._since >= SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand the collected rows to the writing thread, after the shard before is done."""
        self._wait()
        if self._parts:
            path = self.folder / f"shard-{uuid.uuid4().hex}.h5"
            arguments = (path, self.recipe, _join(self._parts), self._engine, self._versions)
            self._pending = self._pool.submit(write_shard, *arguments)
        self._clear()

    def _wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
    )


def prepare_folder(folder: Path, recipe: Recipe) -> None:
    """Make the recipe's folder and its ``recipe.json``."""
    path = folder / "recipe.json"
    if not path.exists():
        value = {"format": FORMAT, "format_version": FORMAT_VERSION, **recipe.to_dict()}
        write_json(path, value)
