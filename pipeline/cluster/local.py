"""Workers of this machine: each has its own cores, or its own GPU."""

import logging
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.cluster.gpus import visible_gpus
from pipeline.cluster.process import CPUS
from pipeline.machine import core_count, usable_cores

if TYPE_CHECKING:
    from distributed import SpecCluster

CORES_PER_WORKER = 4
"""Without a number and without GPUs; one process keeps that many busy."""
THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
UNWATCHED = {"distributed.worker.profile.enabled": False}
"""Dask would look at every thread a hundred times a second."""
QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}
PRELOAD = "pipeline.cluster.process"


def worker_count(n_workers: int | None, gpus: Sequence[str], n_cores: int) -> int:
    """Return how many workers to start: as many as asked for, or one a GPU, or by the cores."""
    return n_workers or len(gpus) or max(1, n_cores // CORES_PER_WORKER)


def worker_options(
    n_workers: int, gpus: Sequence[str], cores: Sequence[int], n_threads: int
) -> list[dict[str, Any]]:
    """Return what each worker is started with.

    Cores are divided among the workers: two on two cores reached 0.95 to 0.98 of the rate of one
    process with a core each, and 0.58 to 0.91 where they shared both. Where there
    are GPUs each worker sees one of them and offers Dask the resource ``GPU``; workers beyond
    their number see none.

    Args:
        n_workers: How many.
        gpus: Names of the GPUs, as ``CUDA_VISIBLE_DEVICES`` has them.
        cores: Numbers of the cores that this process may use.
        n_threads: Threads that all of them together should use; a container may allow fewer than
            it shows cores.
    """
    return [
        {
            "env": _environment(
                _share(cores, place, n_workers),
                max(1, n_threads // n_workers),
                None if not gpus else gpus[place] if place < len(gpus) else "-1",
            ),
            "resources": {"GPU": 1} if place < len(gpus) else {},
        }
        for place in range(n_workers)
    ]


def _share(cores: Sequence[int], place: int, n_workers: int) -> Sequence[int]:
    """Return the cores of one worker, at least one; the shares differ by one core at most."""
    if n_workers >= len(cores):
        return [cores[place % len(cores)]]
    first, last = (math.floor(at * len(cores) / n_workers) for at in (place, place + 1))
    return cores[first:last]


def _environment(cores: Sequence[int], n_threads: int, gpu: str | None) -> dict[str, str]:
    limits = dict.fromkeys(THREAD_LIMITS, str(min(n_threads, len(cores))))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", CPUS: ",".join(map(str, cores))}
    return {**limits, **quiet, **({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})}


@contextmanager
def _started_with(environment: Mapping[str, str]) -> Iterator[None]:
    """Give worker processes variables that count from their first moment on.

    Dask sets them in this process, for its children to inherit; afterwards they go again.
    """
    import dask

    before = {name: os.environ.get(name) for name in (*environment, "PYTHONHASHSEED")}
    try:
        settings = {"distributed.nanny.pre-spawn-environ": dict(environment), **UNWATCHED}
        with dask.config.set(settings):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def local_cluster(n_workers: int | None) -> Iterator["SpecCluster"]:
    """Start workers on this machine, each in a process of its own that is started again if it dies.

    Args:
        n_workers: How many; None for one a GPU, or one for every four cores where there is none.
    """
    from distributed import Nanny, Scheduler, SpecCluster

    gpus, cores = visible_gpus(), usable_cores()
    n = worker_count(n_workers, gpus, core_count())
    with TemporaryDirectory(prefix="pipeline-workers-") as scratch:
        common = {"host": "127.0.0.1", "nthreads": 1, "memory_limit": 0, "dashboard": False}
        common |= {"local_directory": str(Path(scratch)), "preload": [PRELOAD]}
        workers = {
            place: {"cls": Nanny, "options": {**common, **options}}
            for place, options in enumerate(worker_options(n, gpus, cores, core_count()))
        }
        environment = workers[0]["options"]["env"]
        local = {"host": "127.0.0.1", "port": 0, "dashboard": False, "dashboard_address": None}
        scheduler = {"cls": Scheduler, "options": local}
        with (
            _started_with({name: environment[name] for name in THREAD_LIMITS} | QUIET),
            SpecCluster(workers, scheduler, silence_logs=logging.CRITICAL) as cluster,
        ):
            yield cluster
