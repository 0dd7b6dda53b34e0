"""What there is to compute, in batches: each becomes one shard on some worker."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np

from pipeline.features import Work
from pipeline.features.store.writer import SHARD_BYTES
from pipeline.images import Dataset
from pipeline.images.sources import sent_files
from pipeline.images.splits import content_numbers

BATCH_SECONDS = 20.0
"""About how long a worker has for a batch: what its end can cost."""
LEAST_SECONDS = 0.5
"""What is less is not worth a shard of its own."""
FIRST_PASSES, MOST_PASSES = 128, 8192
SHARES = 3
"""Of what is left each worker gets a third of its share, so that all end together."""
N_PARTS = 8
"""A batch that workers died of is tried again in so many parts, to find the picture."""


@dataclass(frozen=True)
class ShardTask:
    """Some pictures for one worker.

    Args:
        rows: Rows of the data set, (k,) int, no two of the same content.
        views: For each of ``rows`` the views wanted of it.
        copies: Rows of the same contents as some of them, read where those cannot be.
        alone: Whether nothing else is in flight beside it.
    """

    rows: np.ndarray
    views: list[tuple[int, ...]]
    copies: np.ndarray
    alone: bool = False

    def __len__(self) -> int:
        """Return the number of passes through the base."""
        return sum(map(len, self.views))


class Batches:
    """Hands out batches: small ones first, then as large as the workers are quick.

    The job says what to do with each, as plain values. A batch fits in one shard, of ``row_bytes``
    a pass.
    """

    def __init__(
        self, job: dict[str, Any], dataset: Dataset, work: Work, row_bytes: int, n_workers: int
    ) -> None:
        self._job, self._dataset, self._work = job, dataset, work
        self._most = max(1, min(MOST_PASSES, SHARD_BYTES // max(1, row_bytes)))
        self._n_workers = n_workers
        self._ends = np.cumsum([len(views) for views in work.views])
        self._at = 0
        self._seconds_per_pass: float | None = None
        self._waiting: list[ShardTask] = []
        self._suspects: list[ShardTask] = []
        self._contents = content_numbers(dataset.digests)
        self._several = np.flatnonzero(np.bincount(self._contents)[self._contents] > 1)

    def next(self, n_in_flight: int) -> ShardTask | None:
        """Return the next batch; a suspected picture only when nothing else is in flight."""
        if self._waiting:
            return self._waiting.pop()
        if self._at < len(self._work.rows):
            return self._cut()
        return self._suspects.pop() if self._suspects and not n_in_flight else None

    def arguments(self, batch: ShardTask) -> tuple[Any, ...]:
        """Return plain values for `worker.compute_batch`."""
        rows = np.concatenate([batch.rows, batch.copies])
        paths = [self._dataset.paths[row] for row in rows.tolist()]
        sent = {
            "n": len(batch.rows),
            "paths": paths,
            "digests": self._dataset.digests[rows].tobytes(),
            "views": batch.views,
            "files": sent_files(self._dataset.files, paths),
        }
        return self._job, sent

    def put_back(self, batch: ShardTask) -> None:
        """Take a batch again that was lost."""
        self._waiting.append(batch)

    def suspect(self, batch: ShardTask) -> None:
        """Take one picture again whose worker died, to be tried alone.

        Its workers may have died of another one that they had at the same time.
        """
        self._suspects.append(replace(batch, alone=True))

    def tell(self, n_passes: int, seconds: float) -> None:
        """Learn how long a worker takes; older batches count less and less."""
        now, before = max(seconds, 1e-3) / max(1, n_passes), self._seconds_per_pass
        self._seconds_per_pass = now if before is None else (before + now) / 2

    def _cut(self) -> ShardTask:
        done = int(self._ends[self._at - 1]) if self._at else 0
        size = self._size(int(self._ends[-1]) - done)
        end = int(np.searchsorted(self._ends, done + size, "right"))
        start, self._at = self._at, max(end, self._at + 1)
        rows = self._work.rows[start : self._at]
        return self._batch(rows, self._work.views[start : self._at])

    def _size(self, n_left: int) -> int:
        """Return how many passes the next batch has."""
        seconds = self._seconds_per_pass
        if seconds is None:
            return min(self._most, FIRST_PASSES)
        share = n_left / (SHARES * self._n_workers)
        wanted = max(min(share, BATCH_SECONDS / seconds), LEAST_SECONDS / seconds)
        return max(1, min(self._most, ceil(wanted)))

    def _batch(self, rows: np.ndarray, views: list[tuple[int, ...]]) -> ShardTask:
        same = np.isin(self._contents[self._several], self._contents[rows])
        return ShardTask(rows, views, np.setdiff1d(self._several[same], rows))

    def divide(self, batch: ShardTask) -> None:
        """Take a batch again in parts."""
        step = ceil(len(batch.rows) / N_PARTS)
        for at in range(0, len(batch.rows), step):
            part = slice(at, at + step)
            self._waiting.append(self._batch(batch.rows[part], batch.views[part]))
