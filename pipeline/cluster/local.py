"""Workers of this machine: each has its own cores, or its own GPU, one worker for each.

Dask calls `dask_setup` when it starts a worker with ``--preload pipeline.cluster.local``.
"""

import logging
import math
import os
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pipeline.system.machine import core_count, usable_cores

if TYPE_CHECKING:
    from distributed import SpecCluster


DEVICE = re.compile(r"nvidia\d+")


def visible_gpus(
    system: Path = Path("/"), environment: Mapping[str, str] = os.environ
) -> tuple[str, ...]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them.

    No library is asked. The order is that of the variable.
    """
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        names = [name.strip() for name in allowed.split(",")]
        end = names.index("-1") if "-1" in names else len(names)  # CUDA ignores what follows it
        return tuple(name for name in names[:end] if name)
    # CUDA counts those that are there: in a container they may begin with /dev/nvidia3.
    found = [path for path in (system / "dev").glob("nvidia*") if DEVICE.fullmatch(path.name)]
    n_found = len(found) or int((system / "dev/dxg").exists())  # Windows shows all of its as one
    return tuple(map(str, range(n_found)))


CPUS = "PIPELINE_CPUS"
"""Environment variable: numbers of the cores that a worker has for itself, with commas."""

NOISY = ("distributed", "tornado", "asyncio", "bokeh")

SILENT = logging.CRITICAL + 1


def dask_setup(worker: Any) -> None:
    """Keep to the worker's own cores, and leave an interruption of the program to the program."""
    silence()
    # A terminal sends it to all processes; the program then ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cores = os.environ.get(CPUS)
    if cores and hasattr(os, "sched_setaffinity"):
        # Threads that are started from now on inherit it: OpenVINO's, TensorFlow's, decoding.
        os.sched_setaffinity(0, set(map(int, cores.split(","))))


def silence() -> dict[str, int]:
    """Let Dask's loggers say nothing; return the level that each had.

    What they report (lost connections, workers that died) is told in our own words.
    """
    names = [*NOISY, *logging.root.manager.loggerDict]
    loggers = {name: logging.getLogger(name) for name in names if name.split(".")[0] in NOISY}
    levels = {name: logger.level for name, logger in loggers.items()}
    for logger in loggers.values():
        logger.setLevel(SILENT)
    return levels


def restore(levels: dict[str, int]) -> None:
    """Give loggers the levels back that `silence` returned."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


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

PRELOAD = "pipeline.cluster.local"


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
    their number see none. Threads are those that all of them together should use; a container may
    allow fewer than it shows cores.
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

    None stands for one a GPU, or one for every four cores where there is none.
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
