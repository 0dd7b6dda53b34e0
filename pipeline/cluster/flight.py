"""Tasks in flight: a bounded number at a time, again where they were lost, in order of arrival."""

import logging
import uuid
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Generic, Protocol, TypeVar

from pipeline.cluster.connection import POLL_SECONDS, STAYS, Workers
from pipeline.errors import ClusterError

logger = logging.getLogger(__name__)

AHEAD = 2
"""Tasks in flight for each that runs: the next one lies ready."""
LOOK_SECONDS = 5.0
"""Between looks at which workers there are."""
RESULT_SECONDS = 60
"""For a result of a few bytes to arrive; after that it counts as not finished yet."""
IDLE_SECONDS = 300
"""Without any worker before it is given up."""
N_RETRIES = 2
"""Times that Dask runs a task again that raised something."""
GPU = "GPU"
LOST = (CancelledError, OSError)
"""What a broken connection or a forgotten task look like; timeouts are OSErrors as well."""


FlightTask = TypeVar("FlightTask")


class TaskSource(Protocol[FlightTask]):
    """Where tasks come from; some come back to it."""

    def next(self, n_in_flight: int) -> FlightTask | None:
        """Return the next task; None if there is none, or none to be had beside others."""

    def put_back(self, task: FlightTask) -> None:
        """Take a task again that was lost."""

    def arguments(self, task: FlightTask) -> tuple[Any, ...]:
        """Return plain values for the function that does a task."""


@dataclass(frozen=True)
class Died:
    """In place of a result: every worker that tried a task died."""

    n_workers: int


@dataclass(frozen=True)
class Flight(Generic[FlightTask]):
    """Hands tasks of a source to workers, on which the function can be imported.

    Memory does not grow with their number: few are known to the scheduler at any time, and each is
    forgotten when its result is here. What a lost worker had, another gets; what the scheduler
    forgot is handed out again once it is back.
    """

    workers: Workers
    function: Callable[..., Any]
    source: TaskSource[FlightTask]

    def run(self) -> Generator[tuple[FlightTask, Any], None, None]:
        """Yield each task with its result, or with `Died`, as they come.

        Closing it, or an exception meanwhile, cancels what is in flight.

        Raises:
            ClusterError: The scheduler is gone, or all workers are for a long time.
        """
        in_flight: dict[Any, FlightTask] = {}
        crew = _Crew(self.workers)
        try:
            while True:
                crew.look()
                self._fill(in_flight, crew)
                if not in_flight:
                    return
                arrived = [future for future in in_flight if future.status != "pending"]
                for future in arrived:
                    result = self._result(future)
                    task = in_flight.pop(future)
                    if result is None:
                        self.source.put_back(task)
                    else:
                        crew.is_well()
                        yield task, result
                if not arrived:
                    self.workers.check()
                    sleep(POLL_SECONDS)
        finally:
            if in_flight and self.workers.is_running:
                with suppress(*LOST):  # we leave either way
                    self.workers.client.cancel(list(in_flight), force=True)

    def _fill(self, in_flight: dict[Any, FlightTask], crew: "_Crew") -> None:
        if not self.workers.is_running:  # it may come back; what is submitted now would be lost
            if not in_flight:
                logger.warning("the connection to %s is lost; trying again", self.workers.name)
                self.workers.wait()
            return
        while len(in_flight) < AHEAD * max(1, crew.n_slots):
            task = self.source.next(len(in_flight))
            if task is None:
                return
            in_flight[self._submit(task, crew)] = task

    def _submit(self, task: FlightTask, crew: "_Crew") -> Any:
        return self.workers.client.submit(
            self.function,
            *self.source.arguments(task),
            key=f"pipeline-{self.function.__name__}-{uuid.uuid4().hex}",
            pure=False,
            retries=N_RETRIES,
            resources={GPU: 1} if crew.has_gpus else None,
        )

    def _result(self, future: Any) -> Any:
        """Return a task's result, `Died`, or None where it was lost on the way; forget it."""
        from distributed import KilledWorker

        try:
            if future.status == "error":
                error = future.exception(timeout=RESULT_SECONDS)
                if isinstance(error, KilledWorker):
                    return Died(error.allowed_failures + 1)
                raise error
            return future.result(timeout=RESULT_SECONDS)
        except LOST:
            if future.status == "error":  # not the connection failed, but the task itself
                raise
            return None
        finally:
            future.release()


class _Crew:
    """Which workers there are, looked at now and then: others may join, and some may leave."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._looked = -LOOK_SECONDS
        self._well = monotonic()
        self.n_slots, self.has_gpus = 1, False

    def is_well(self) -> None:
        """Note that something was done."""
        self._well = monotonic()

    def look(self) -> None:
        """Count the workers, every few seconds."""
        now = monotonic()
        if now - self._looked < LOOK_SECONDS or not self._workers.is_running:
            return
        self._looked, found = now, self._workers.known()
        gpus = sum(info["resources"].get(GPU, 0) for info in found.values())
        self.has_gpus = self.has_gpus or gpus > 0  # what asks for one cannot do without any more
        threads = sum(info["nthreads"] for info in found.values())
        self.n_slots = int(gpus if self.has_gpus else threads)
        if self.n_slots:
            self.is_well()
        elif now - self._well > IDLE_SECONDS:
            raise ClusterError(
                f"expected workers at {self._workers.name}, all are gone for {IDLE_SECONDS} "
                f"seconds; start some, {STAYS}"
            )
