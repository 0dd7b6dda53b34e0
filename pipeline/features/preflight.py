"""Before anything long: what computing will take, and whether disk and memory hold it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from math import prod
from pathlib import Path
from time import perf_counter

import numpy as np

from pipeline.backbones.engines import Engine
from pipeline.config import PredictConfig
from pipeline.errors import InputError, StoreError
from pipeline.features.worklist import Work
from pipeline.system.machine import available_memory, free_bytes
from pipeline.system.units import size_text

DISK_SHARE = 1.05
"""What shards take beside their rows."""
PROGRAM_BYTES = 300 << 20
SHARD_BYTES_IN_MEMORY = 128 << 20
"""Rows being collected, the shard being laid out, and its image, at most."""
BATCHES_AHEAD = 4
"""Decoded ahead, for each device that computes."""
BATCHES_IN_MEMORY = 2 * BATCHES_AHEAD
"""Decoded ahead, on their way through the base, and being filled, for each device."""
N_SAMPLES = 8
MIN_TRIALS, TRIAL_BATCHES = 200, 3
"""Where the work is less than so many trials, trying would take a share of it."""


@dataclass(frozen=True)
class Forecast:
    """What computing will take.

    Args:
        rows: Passes through the base.
        disk_bytes: Size of the features.
        disk_free: What the disk of the cache holds.
        memory_bytes: What the process may need.
        seconds: About how long; None where it is too little to try.
        engine_rate: Pictures a second of the engine alone; None where it was not tried.
    """

    rows: int
    disk_bytes: int
    disk_free: int
    memory_bytes: int
    seconds: float | None
    engine_rate: float | None = None


def forecast(
    engine: Engine,
    work: Work,
    dtype: str,
    cache: Path,
    batch: tuple[int, ...],
    decode_seconds: Callable[[], float],
) -> Forecast:
    """Foresee disk, memory and time, and refuse what cannot end well.

    A batch has the shape (k, size, size, 3); ``decode_seconds`` returns how long one picture takes
    to read and decode.

    Raises:
        StoreError: The disk cannot hold the features.
        InputError: The memory cannot hold the batches.
    """
    row_bytes = bytes_of_row(engine.output_shapes, dtype)
    disk_bytes, free = check_disk(len(work), row_bytes, cache)
    memory = check_memory(row_bytes, batch, engine.device.count)
    seconds = rate = None
    if len(work) >= MIN_TRIALS * engine.trial_size:
        of_one = _engine_seconds(engine, batch[1:])
        seconds, rate = len(work) * of_one + len(work.rows) * decode_seconds(), 1 / of_one
    return Forecast(len(work), disk_bytes, free, memory, seconds, rate)


def bytes_of_row(shapes: Iterable[tuple[int, ...]], dtype: str) -> int:
    """Return how many bytes the features of one picture take, all cuts together."""
    return sum(map(prod, shapes)) * np.dtype(dtype).itemsize


def check_disk(n_rows: int, row_bytes: int, cache: Path) -> tuple[int, int]:
    """Return how many bytes the features will take, and how many the disk can take.

    Raises StoreError if it cannot hold them.
    """
    disk_bytes, free = int(n_rows * (row_bytes + 36) * DISK_SHARE), free_bytes(cache)
    if disk_bytes > free:
        raise StoreError(
            f"expected {size_text(disk_bytes)} free for {n_rows:,} times {size_text(row_bytes)} in "
            f"{cache}, received {size_text(free)}: name fewer --layers, use --pooling avg instead "
            f"of none, --dtype float16 for half, or a --cache on another disk"
        )
    return disk_bytes, free


def step_size(batch_size: int, n_rows: int) -> int:
    """Return how many pictures a step takes: of a larger one than there are, memory would stay."""
    return min(batch_size, max(n_rows, PredictConfig.batch_size))


def check_memory(row_bytes: int, batch: tuple[int, ...], n_devices: int = 1) -> int:
    """Return the bytes that a process may need for batches of shape (k, size, size, 3).

    Raises InputError if the memory cannot hold them.
    """
    batches = BATCHES_IN_MEMORY * n_devices * batch[0] * (prod(batch[1:]) + row_bytes)
    available = available_memory()
    if available is not None and batches > available:
        raise InputError(
            f"expected memory of {size_text(batches)} for batches of {batch[0]} pictures, received "
            f"{size_text(available)}; choose a smaller --batch-size"
        )
    return PROGRAM_BYTES + SHARD_BYTES_IN_MEMORY + batches


def _engine_seconds(engine: Engine, shape: tuple[int, ...]) -> float:
    """Time some batches, after one that warms up; seconds per picture."""
    images = engine.empty((engine.trial_size, *shape))
    images[:] = 0
    for n_batches in (1, TRIAL_BATCHES):
        began = perf_counter()
        for _ in engine.run(repeat(images, n_batches)):
            pass
    return (perf_counter() - began) / len(images) / TRIAL_BATCHES


def sample(rows: np.ndarray) -> Iterator[int]:
    """Yield a few rows, evenly spread."""
    yield from rows[:: max(1, len(rows) // N_SAMPLES)][:N_SAMPLES].tolist()
