"""Feed decoded pictures in batches: threads decode ahead, row order and memory stay fixed.

Each row's file is read once and decoded once, and every view of it that is wanted is made of that.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar

import numpy as np

from pipeline.errors import DecodeError, InputError
from pipeline.images.decode import decode_remarked
from pipeline.images.recipe import DecodeRecipe
from pipeline.images.remarks import N_NUMBERS, Remark
from pipeline.images.scale import RgbPicture, resize
from pipeline.images.views import ViewRecipe, make_view
from pipeline.system.files import EXHAUSTED, unreadable
from pipeline.system.machine import thread_count


@dataclass
class LoadTimes:
    """Seconds that loading threads spend, added up over the threads.

    Two threads that decode for one second make two seconds: divided by the number of threads it is
    wall time. All attributes may be read while threads are at work.

    Attributes:
        reading: Seconds of reading files.
        decoding: Seconds of checking, decoding and resizing, views included.
        n_files: Files read.
        n_bytes: Bytes read.

    >>> times = LoadTimes()
    >>> times.add(0.5, 1.0, 2000)
    >>> times.reading, times.decoding, times.n_files, times.n_bytes
    (0.5, 1.0, 1, 2000)
    """

    reading: float = 0.0
    decoding: float = 0.0
    n_files: int = 0
    n_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def add(self, reading: float, decoding: float, n_bytes: int) -> None:
        """Count one file: seconds of reading it, seconds of all that followed, and its length."""
        with self._lock:
            self.reading += reading
            self.decoding += decoding
            self.n_files += 1
            self.n_bytes += n_bytes


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


Loaded = tuple[list[np.ndarray], Remark] | Failure
"""A uint8 array (size, size, 3) for each view wanted, and what was lost; or why there is none."""


@dataclass(frozen=True)
class RowLoader:
    """What turns a row number into arrays; used by several threads at once.

    Args:
        read: Returns the bytes of a row's file; an OSError counts as a failed row.
        recipe: How to decode.
        expected_digests: uint8 (n, 32), indexed by row number like ``Dataset.digests``; a file
            whose SHA-256 is another fails. None to take every file.
        view_recipe: How to make views from 1 on; None where none are wanted.
        times: Where to count the seconds and bytes of all threads.
    """

    read: Callable[[int], bytes]
    recipe: DecodeRecipe
    expected_digests: np.ndarray | None = None
    view_recipe: ViewRecipe | None = None
    times: LoadTimes = field(default_factory=LoadTimes)

    def load(self, row: int, numbers: tuple[int, ...]) -> Loaded:
        """Return one array per view number, in their order, or why there is none."""
        began = perf_counter()
        try:
            data = self.read(row)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise unreadable(error.filename or "a picture", error) from error
            reason = f"cannot be read: {error.strerror or type(error).__name__}"
            return Failure(row, reason, transient=True)
        done_reading = perf_counter()
        loaded = self._decode(row, numbers, data)
        self.times.add(done_reading - began, perf_counter() - done_reading, len(data))
        return loaded

    def _decode(self, row: int, numbers: tuple[int, ...], data: bytes) -> Loaded:
        digest = hashlib.sha256(data).digest()
        if self.expected_digests is not None and digest != self.expected_digests[row].tobytes():
            return Failure(row, CHANGED, transient=True)
        try:
            image, remark = decode_remarked(data, self.recipe)
        except DecodeError as error:
            return Failure(row, str(error), transient=False)
        return [self._view(image, digest, number) for number in numbers], remark

    def _view(self, image: RgbPicture, digest: bytes, number: int) -> np.ndarray:
        if number == 0:
            return resize(image, self.recipe)
        assert self.view_recipe is not None  # the loader asked for it
        return make_view(image, self.recipe, self.view_recipe, digest, number)


Made = TypeVar("Made")

ViewsOfRows = Sequence[Sequence[int]]
"""For each row asked for, the numbers of the views wanted of it."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures that could be decoded, and those met on the way that could not.

    Args:
        rows: int64 (k,), row numbers in the order asked for; a row once for each of its views.
        images: uint8 (k, size, size, 3), RGB 0–255, row-aligned with ``rows``.
        failed: Rows without a picture, each once.
        views: int32 (k,), numbers of views, row-aligned with ``rows``; 0 is the clean picture.
        remarks: int32 (k, 4), what was lost of each picture, see `pipeline.images.remarks`.
    """

    rows: np.ndarray
    images: np.ndarray
    failed: tuple[Failure, ...]
    views: np.ndarray
    remarks: np.ndarray


_Job = tuple[int, tuple[int, ...]]
"""The number of a row whose file is read, and those of the views to make of it."""


def empty_pictures(shape: tuple[int, ...]) -> np.ndarray:
    """Return uint8 memory of a shape."""
    return np.empty(shape, np.uint8)


def load_batches(
    loader: RowLoader,
    rows: Sequence[int] | np.ndarray,
    batch_size: int,
    *,
    views: ViewsOfRows | None = None,
    n_threads: int | None = None,
    prefetch: int = 4,
    empty: Callable[[tuple[int, ...]], np.ndarray] = empty_pictures,
) -> Generator[Batch, None, None]:
    """Decode rows in threads and yield them in batches.

    A row that fails is replaced by the next good one, so every batch but the last is full. Every
    row asked for comes back exactly once for each view wanted, or once in ``failed``. Only if no
    row at all can be decoded is there a batch without pictures (k = 0). Closing the generator, or
    an exception while it is in use, ends the threads.

    Each file is read and decoded once, and all its views are made of the full-size picture.

    Args:
        loader: What turns a row number into arrays.
        rows: Row numbers, in the order wanted.
        batch_size: Pictures a batch.
        views: For each of ``rows`` the numbers of the views wanted, 0 for the clean picture; None
            for the clean picture of each. A row of which no view is wanted is not read.
        n_threads: Decoding threads; None for one a core.
        prefetch: Batches to be decoded ahead; bounds memory. Of a row with more views than fit
            in, all are made at once.
        empty: Returns uint8 memory of a shape, for the pictures of a batch.

    Returns:
        A generator of batches, rows in the order of ``rows`` and views in the order given.

    Raises:
        InputError: If a count is below 1, or the views do not fit the rows or the view recipe.
    """
    for name, value in (("batch_size", batch_size), ("prefetch", prefetch)):
        if value < 1:
            raise InputError(f"expected {name} of 1 or more; received {name}={value!r}")
    jobs = _jobs(rows, views, loader.view_recipe)
    ahead = _map_ahead(loader, jobs, thread_count(n_threads), prefetch * batch_size)
    size = loader.recipe.size
    return _fill_batches(ahead, lambda: _empty(empty((batch_size, size, size, 3))))


def _jobs(
    rows: Sequence[int] | np.ndarray, views: ViewsOfRows | None, view_recipe: ViewRecipe | None
) -> Iterator[_Job]:
    """Pair rows with views, after a look at all of them."""
    if views is None:
        return ((int(row), (0,)) for row in rows)
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
    return ((int(row), tuple(map(int, wanted))) for row, wanted in pairs if len(wanted))


def _map_ahead(
    loader: RowLoader, jobs: Iterator[_Job], n_threads: int, n_ahead: int
) -> Generator[tuple[_Job, Loaded], None, None]:
    """Yield (job, result) in order with at most ``n_ahead`` pictures waiting."""
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="decode")
    waiting: deque[tuple[_Job, Future[Loaded]]] = deque()
    n_waiting = 0
    try:
        for row, views in jobs:
            while waiting and n_waiting + len(views) > n_ahead:
                job, future = waiting.popleft()
                n_waiting -= len(job[1])
                yield job, future.result()
            waiting.append(((row, views), pool.submit(loader.load, row, views)))
            n_waiting += len(views)
        while waiting:
            job, future = waiting.popleft()
            yield job, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _fill_batches(
    results: Generator[tuple[_Job, Loaded], None, None], empty: Callable[[], Batch]
) -> Generator[Batch, None, None]:
    batch, n_filled = empty(), 0
    failed: list[Failure] = []
    try:
        for (row, views), result in results:
            if isinstance(result, Failure):
                failed.append(result)
                continue
            images, remark = result
            for number, image in zip(views, images, strict=True):
                # A full batch waits for the next good row: failures at the very end belong to it.
                if n_filled == len(batch.rows):
                    yield _first_rows(batch, n_filled, failed)
                    batch, n_filled, failed = empty(), 0, []
                batch.rows[n_filled], batch.images[n_filled] = row, image
                batch.views[n_filled], batch.remarks[n_filled] = number, remark
                n_filled += 1
        if n_filled or failed:
            yield _first_rows(batch, n_filled, failed)
    finally:
        # Not left to garbage collection: the threads end when the consumer does.
        results.close()


def _empty(images: np.ndarray) -> Batch:
    rows, views = np.empty(len(images), np.int64), np.empty(len(images), np.int32)
    return Batch(rows, images, (), views, np.empty((len(images), N_NUMBERS), np.int32))


def _first_rows(batch: Batch, n: int, failed: list[Failure]) -> Batch:
    return Batch(
        batch.rows[:n], batch.images[:n], tuple(failed), batch.views[:n], batch.remarks[:n]
    )


def paired(
    run: Callable[[Iterator[np.ndarray]], Generator[Made, None, None]],
    batches: Generator[Batch, None, None],
) -> Generator[tuple[Batch, Made], None, None]:
    """Pair each batch with what ``run`` makes of its pictures, although that runs ahead.

    An engine's ``run`` is one: it turns batches of pictures into outputs, in order. Closing it
    closes both, so that what is on its way ends before what it reads from.
    """
    waiting: deque[Batch] = deque()

    def images() -> Iterator[np.ndarray]:
        for batch in batches:
            waiting.append(batch)
            yield batch.images

    with closing(batches), closing(run(images())) as computed:
        for outputs in computed:
            yield waiting.popleft(), outputs
