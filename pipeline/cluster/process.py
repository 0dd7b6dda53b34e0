"""A worker process of ours, before it does anything: its cores, its signals, its silence.

Dask calls `dask_setup` when it starts a worker with ``--preload pipeline.cluster.process``.
"""

import logging
import os
import signal
from typing import Any

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
