"""A search's units on workers, through joblib's own Dask backend."""

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed, parallel_config
from threadpoolctl import threadpool_limits

from pipeline.classify.search import Measured, MeasureUnits, Pool, Unit, measured
from pipeline.cluster.checks import check_versions
from pipeline.cluster.connection import Workers, connected
from pipeline.errors import ClusterError
from pipeline.system.machine import core_count

N_TRIES = 5
"""Times that a search goes on after workers took what they had been sent with them."""


@contextmanager
def search_workers(cluster: str) -> Iterator[MeasureUnits]:
    """Yield what measures units on workers; ``local`` is one worker a core.

    They are connected, or started, when the first unit comes: a search that was done before needs
    none.
    """
    with ExitStack() as stack:
        searching = _Searching(cluster, stack)
        try:
            yield searching.measure
        finally:
            searching.forget()


class _Searching:
    def __init__(self, cluster: str, stack: ExitStack) -> None:
        self._cluster, self._stack = cluster, stack
        self._workers: Workers | None = None
        self._sent: dict[int, tuple[Pool, Any, list[Any]]] = {}

    def forget(self) -> None:
        """Let go of the features that were sent."""
        self._sent.clear()

    def measure(self, pool: Pool, units: Sequence[tuple[int, Unit]]) -> Iterator[Measured]:
        """Yield each unit's place and trials, as they come."""
        workers, left = self._connected(), dict(units)
        for _ in range(N_TRIES):
            try:
                for place, trials in self._in_parallel(workers, pool, left):
                    del left[place]
                    yield place, trials
                return
            except CancelledError:  # the scheduler was lost, or a worker with what only it had
                self._sent.clear()
                workers.wait()
        raise ClusterError(
            f"expected workers that stay, those of --cluster {self._cluster} were lost "
            f"{N_TRIES} times; what was measured is kept, start again and it goes on from there"
        )

    def _connected(self) -> Workers:
        if self._workers is None:
            self._workers = self._stack.enter_context(connected(self._cluster, core_count()))
            check_versions(self._workers)
        return self._workers

    def _in_parallel(
        self, workers: Workers, pool: Pool, units: dict[int, Unit]
    ) -> Iterator[Measured]:
        from distributed import KilledWorker

        rest, features = self._scattered(workers, pool)
        tasks = (
            delayed(measured_there)(place, unit, rest, *(features[cut] for cut in unit.cuts))
            for place, unit in list(units.items())
        )
        try:
            with parallel_config("dask", client=workers.client):
                yield from Parallel(n_jobs=-1, return_as="generator_unordered")(tasks)
        except KilledWorker as error:
            raise ClusterError(
                f"expected workers with memory for one unit of the search, "
                f"{error.allowed_failures + 1} died of the same one; name fewer --layers or "
                f"--heads, or start fewer workers a machine"
            ) from error

    def _scattered(self, workers: Workers, pool: Pool) -> tuple[Any, list[Any]]:
        """Send a pool to all workers once: its features array by array, and the rest."""
        if id(pool) not in self._sent:
            rest = replace(pool, features=())
            sent = workers.client.scatter([rest, *pool.features], broadcast=True, hash=False)
            self._sent[id(pool)] = (pool, sent[0], sent[1:])
        return self._sent[id(pool)][1:]


def measured_there(place: int, unit: Unit, rest: Pool, *features: np.ndarray) -> Measured:
    """Measure one unit on a worker, with one thread of linear algebra, as without a cluster."""
    with threadpool_limits(1), parallel_config("sequential"):
        return measured(place, unit, replace(rest, features=features))
