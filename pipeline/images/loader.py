"""Feed decoded pictures in batches: threads decode ahead, row order and memory stay fixed."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from pipeline.errors import DecodeError, InputError
from pipeline.images.decode import DecodeRecipe, decode
from pipeline.images.threads import thread_count

CHANGED = "changed since it was indexed"


@dataclass(frozen=True)
class Failure:
    """A row without a picture.

    Args:
        row: Its row number.
        reason: Why there is none.
        transient: Whether the file could not be read or is in flux, so that another time may be
            different; else its content cannot be decoded, now or ever.
    """

    row: int
    reason: str
    transient: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures that could be decoded, and those met on the way that could not.

    Args:
        rows: int64 (k,), row numbers in the order asked for.
        images: uint8 (k, size, size, 3), RGB 0–255, row-aligned with ``rows``.
        failed: Rows without a picture.
    """

    rows: np.ndarray
    images: np.ndarray
    failed: tuple[Failure, ...]


Loaded = np.ndarray | Failure


def load_batches(
    read: Callable[[int], bytes],
    rows: Sequence[int] | np.ndarray,
    recipe: DecodeRecipe,
    batch_size: int,
    *,
    expected_digests: np.ndarray | None = None,
    n_threads: int | None = None,
    prefetch: int = 4,
) -> Generator[Batch, None, None]:
    """Decode rows in threads and yield them in batches.

    A row that fails is replaced by the next good one, so every batch but the last is full. Every
    row asked for comes back exactly once, in ``rows`` or in ``failed``. Only if no row at all can
    be decoded is there a batch without pictures (k = 0). Closing the generator, or an exception
    while it is in use, ends the threads.

    Args:
        read: Returns the bytes of a row's file; called from several threads. An OSError counts as
            a failed row.
        rows: Row numbers, in the order wanted.
        recipe: How to decode.
        batch_size: Pictures a batch.
        expected_digests: uint8 (n, 32), indexed by row number like ``Dataset.digests``; a file
            whose SHA-256 is another fails.
        n_threads: Decoding threads; None for one a core.
        prefetch: Batches to be decoded ahead; bounds memory.

    Returns:
        A generator of batches, rows in the order of ``rows``.

    Raises:
        InputError: If a count is below 1.
    """
    for name, value in (("batch_size", batch_size), ("prefetch", prefetch)):
        if value < 1:
            raise InputError(f"expected {name} of 1 or more; received {name}={value!r}")

    def load(row: int) -> Loaded:
        expected = None if expected_digests is None else expected_digests[row].tobytes()
        return _load(read, row, expected, recipe)

    ahead = _map_ahead(load, rows, thread_count(n_threads), prefetch * batch_size)
    return _fill_batches(ahead, batch_size, recipe.size)


def _load(
    read: Callable[[int], bytes], row: int, expected: bytes | None, recipe: DecodeRecipe
) -> Loaded:
    """Return the picture, or why there is none."""
    try:
        data = read(row)
        if expected is not None and hashlib.sha256(data).digest() != expected:
            return Failure(row, CHANGED, transient=True)
        return decode(data, recipe)
    except DecodeError as error:
        return Failure(row, str(error), transient=False)
    except OSError as error:
        reason = f"cannot be read: {error.strerror or type(error).__name__}"
        return Failure(row, reason, transient=True)


def _map_ahead(
    load: Callable[[int], Loaded],
    rows: Sequence[int] | np.ndarray,
    n_threads: int,
    n_ahead: int,
) -> Generator[tuple[int, Loaded], None, None]:
    """Yield (row, result) in order with at most ``n_ahead`` results waiting."""
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decode")
    waiting: deque[tuple[int, Future[Loaded]]] = deque()
    try:
        for row in map(int, rows):
            if len(waiting) == n_ahead:
                yield _next_result(waiting)
            waiting.append((row, pool.submit(load, row)))
        while waiting:
            yield _next_result(waiting)
    finally:
        pool.shutdown(cancel_futures=True)


def _next_result(
    waiting: deque[tuple[int, Future[Loaded]]],
) -> tuple[int, Loaded]:
    row, future = waiting.popleft()
    return row, future.result()


def _fill_batches(
    results: Generator[tuple[int, Loaded], None, None], batch_size: int, size: int
) -> Generator[Batch, None, None]:
    rows: list[int] = []
    images = np.empty((batch_size, size, size, 3), np.uint8)
    failed: list[Failure] = []
    try:
        for row, result in results:
            if isinstance(result, Failure):
                failed.append(result)
                continue
            # A full batch waits for the next good row: failures at the very end belong to it.
            if len(rows) == batch_size:
                yield _batch(rows, images, failed)
                rows, images, failed = [], np.empty_like(images), []
            images[len(rows)] = result
            rows.append(row)
        if rows or failed:
            yield _batch(rows, images, failed)
    finally:
        # Not left to garbage collection: the threads end when the consumer does.
        results.close()


def _batch(rows: list[int], images: np.ndarray, failed: list[Failure]) -> Batch:
    return Batch(np.array(rows, dtype=np.int64), images[: len(rows)], tuple(failed))
