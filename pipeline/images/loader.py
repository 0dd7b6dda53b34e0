"""Feed decoded pictures in batches: threads decode ahead, row order and memory stay fixed."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.errors import InputError
from pipeline.images.recipe import DecodeRecipe
from pipeline.images.row import Failure, Loaded, RowLoader
from pipeline.images.threads import thread_count
from pipeline.images.times import LoadTimes
from pipeline.images.views import ViewRecipe

Views = Sequence[Sequence[int]]
"""For each row asked for, the numbers of the views wanted of it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures that could be decoded, and those met on the way that could not.

    Args:
        rows: int64 (k,), row numbers in the order asked for; a row once for each of its views.
        images: uint8 (k, size, size, 3), RGB 0–255, row-aligned with ``rows``.
        failed: Rows without a picture, each once.
        views: int32 (k,), numbers of views, row-aligned with ``rows``; 0 is the clean picture.
    """

    rows: np.ndarray
    images: np.ndarray
    failed: tuple[Failure, ...]
    views: np.ndarray


@dataclass(frozen=True)
class _Job:
    """One file to read, and the views to make of it."""

    row: int
    views: tuple[int, ...]


def load_batches(
    read: Callable[[int], bytes],
    rows: Sequence[int] | np.ndarray,
    recipe: DecodeRecipe,
    batch_size: int,
    *,
    expected_digests: np.ndarray | None = None,
    n_threads: int | None = None,
    prefetch: int = 4,
    views: Views | None = None,
    view_recipe: ViewRecipe | None = None,
    times: LoadTimes | None = None,
) -> Generator[Batch, None, None]:
    """Decode rows in threads and yield them in batches.

    A row that fails is replaced by the next good one, so every batch but the last is full. Every
    row asked for comes back exactly once for each view wanted, or once in ``failed``. Only if no
    row at all can be decoded is there a batch without pictures (k = 0). Closing the generator, or
    an exception while it is in use, ends the threads.

    Each file is read and decoded once, and all its views are made of the full-size picture.

    Args:
        read: Returns the bytes of a row's file; called from several threads. An OSError counts as
            a failed row.
        rows: Row numbers, in the order wanted.
        recipe: How to decode.
        batch_size: Pictures a batch.
        expected_digests: uint8 (n, 32), indexed by row number like ``Dataset.digests``; a file
            whose SHA-256 is another fails.
        n_threads: Decoding threads; None for one a core.
        prefetch: Batches to be decoded ahead; bounds memory. Of a row with more views than fit
            in, all are made at once.
        views: For each of ``rows`` the numbers of the views wanted, 0 for the clean picture; None
            for the clean picture of each. A row of which no view is wanted is not read.
        view_recipe: How to make views from 1 on.
        times: Where to count the seconds that the threads spend.

    Returns:
        A generator of batches, rows in the order of ``rows`` and views in the order given.

    Raises:
        InputError: If a count is below 1, or the views do not fit the rows or the view recipe.
    """
    for name, value in (("batch_size", batch_size), ("prefetch", prefetch)):
        if value < 1:
            raise InputError(f"expected {name} of 1 or more; received {name}={value!r}")
    jobs = _jobs(rows, views, view_recipe)
    loader = RowLoader(read, recipe, expected_digests, view_recipe, times or LoadTimes())
    ahead = _map_ahead(loader, jobs, thread_count(n_threads), prefetch * batch_size)
    return _fill_batches(ahead, batch_size, recipe.size)


def _jobs(
    rows: Sequence[int] | np.ndarray, views: Views | None, view_recipe: ViewRecipe | None
) -> Iterator[_Job]:
    """Pair rows with views, after a look at all of them."""
    if views is None:
        return (_Job(int(row), (0,)) for row in rows)
    if len(views) != len(rows):
        raise InputError(
            f"expected the views of each row; received {len(views)} of views, {len(rows)} of rows"
        )
    numbers = {number for wanted in views for number in wanted}
    lowest, highest = min(numbers, default=0), max(numbers, default=0)
    if lowest < 0 or (highest > 0 and view_recipe is None):
        raise InputError(
            "expected numbers of views from 0, and a view_recipe for those above 0; received "
            f"numbers from {lowest} to {highest} and view_recipe={view_recipe!r}"
        )
    pairs = zip(rows, views, strict=True)
    return (_Job(int(row), tuple(map(int, wanted))) for row, wanted in pairs if len(wanted))


def _map_ahead(
    loader: RowLoader, jobs: Iterator[_Job], n_threads: int, n_ahead: int
) -> Generator[tuple[_Job, Loaded], None, None]:
    """Yield (job, result) in order with at most ``n_ahead`` pictures waiting."""
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decode")
    waiting: deque[tuple[_Job, Future[Loaded]]] = deque()
    n_waiting = 0
    try:
        for job in jobs:
            while waiting and n_waiting + len(job.views) > n_ahead:
                n_waiting -= len(waiting[0][0].views)
                yield _next_result(waiting)
            waiting.append((job, pool.submit(loader.load, job.row, job.views)))
            n_waiting += len(job.views)
        while waiting:
            yield _next_result(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _next_result(waiting: deque[tuple[_Job, Future[Loaded]]]) -> tuple[_Job, Loaded]:
    job, future = waiting.popleft()
    return job, future.result()


def _fill_batches(
    results: Generator[tuple[_Job, Loaded], None, None], batch_size: int, size: int
) -> Generator[Batch, None, None]:
    filling = _Filling(batch_size, size)
    failed: list[Failure] = []
    try:
        for job, result in results:
            if isinstance(result, Failure):
                failed.append(result)
                continue
            for number, image in zip(job.views, result, strict=True):
                # A full batch waits for the next good row: failures at the very end belong to it.
                if filling.n == batch_size:
                    yield filling.batch(failed)
                    filling, failed = _Filling(batch_size, size), []
                filling.add(job.row, number, image)
        if filling.n or failed:
            yield filling.batch(failed)
    finally:
        # Not left to garbage collection: the threads end when the consumer does.
        results.close()


class _Filling:
    """The batch that is being filled, its first ``n`` rows so far."""

    def __init__(self, batch_size: int, size: int) -> None:
        self.n = 0
        self._rows = np.empty(batch_size, np.int64)
        self._views = np.empty(batch_size, np.int32)
        self._images = np.empty((batch_size, size, size, 3), np.uint8)

    def add(self, row: int, number: int, image: np.ndarray) -> None:
        self._rows[self.n], self._views[self.n], self._images[self.n] = row, number, image
        self.n += 1

    def batch(self, failed: list[Failure]) -> Batch:
        n = self.n
        return Batch(self._rows[:n], self._images[:n], tuple(failed), self._views[:n])
