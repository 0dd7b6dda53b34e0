"""Stage 1 on workers: what is missing, in batches, each of which becomes a shard."""

import logging
from contextlib import closing
from dataclasses import dataclass
from time import monotonic
from typing import Any

from pipeline.backbones.engines import find_kept, open_engine
from pipeline.backbones.engines.kept import bring
from pipeline.cluster.batches import Batches, ShardTask
from pipeline.cluster.checks import check_sight, check_versions, sample_pictures, token_in
from pipeline.cluster.connection import Workers, connected
from pipeline.cluster.flight import Died, Flight
from pipeline.cluster.worker import (
    FAILED,
    Plain,
    compute_batch,
    installed,
    open_job,
    sent_config,
)
from pipeline.errors import ClusterError
from pipeline.features import Computation, Forecast, Outcome
from pipeline.features.passes import PART, Waits, tell_forecast
from pipeline.features.preflight import bytes_of_row, check_disk
from pipeline.images import Failure
from pipeline.system.progress import Reporter

logger = logging.getLogger(__name__)


class ClusterComputation(Computation):
    """The same on workers, all of which must reach the pictures and the cache."""

    def run(self, reporter: Reporter) -> Outcome:
        """Compute everything there is to do; what is done stays, however this ends.

        Raises:
            ClusterError: There are no workers, they do not see what they must, or all are lost.
        """
        assert self.config.cluster is not None
        pictures = sample_pictures(self.dataset, self.work.rows)
        with connected(self.config.cluster) as workers, token_in(self.config.cache) as token:
            job = self._job(token)
            check_versions(workers)
            engines = check_sight(workers, job, pictures, self.dataset)
            self._convert(engines)
            opened = self._open(workers, job)
            outcome = self._compute(workers, job, opened, reporter)
        self.caches.refresh()
        return outcome

    def _job(self, token: Plain) -> Plain:
        return {
            "config": sent_config(self.config),
            "base": self.base.to_dict(),
            "recipe": self.base.recipe.digest,
            "versions": installed(),
            "token": token,
        }

    def _convert(self, engines: set[str]) -> None:
        """Convert the base once, here, where a worker would otherwise: all of them only load it."""
        config = self.config
        if "openvino" in engines:
            if find_kept(config.converted, self.base) is None:
                open_engine(
                    self.base, "openvino", self.base.precision, config.batch_size, config.converted
                )
            bring(config.converted, self.base)

    def _open(self, workers: Workers, job: Plain) -> Plain:
        """Let every worker load the base; return what one says of it."""
        source = _Openings([job] * len(workers.known()))
        with closing(Flight(workers, open_job, source).run()) as answers:
            for _, opened in answers:
                if isinstance(opened, Died):
                    raise ClusterError(
                        f"expected workers that can load {self.base.name}, {opened.n_workers} died "
                        f"of it: give them more memory, or choose a smaller --backbone"
                    )
                _raise_failed(opened)
        return dict(opened)

    def _compute(self, workers: Workers, job: Plain, opened: Plain, reporter: Reporter) -> Outcome:
        row_bytes, n_rows = bytes_of_row(opened["shapes"], self.base.dtype), len(self.work)
        disk = check_disk(n_rows, row_bytes, self.config.cache)
        seen = Forecast(n_rows, *disk, opened["memory"], seconds=None)
        tell_forecast(seen, viewed=self.caches.viewed is not None)
        n_workers = len(workers.known())
        batches = Batches(job, self.dataset, self.work, row_bytes, n_workers)
        gathering = _Gathering(Outcome("", seen, workers=n_workers), batches, n_rows, reporter)
        began = monotonic()
        try:
            with closing(Flight(workers, compute_batch, batches).run()) as results:
                for batch, result in results:
                    gathering.take(batch, result)
        finally:
            self.caches.clean.quarantine(gathering.outcome.bad)
        gathering.outcome.seconds = monotonic() - began
        return gathering.outcome


@dataclass(frozen=True)
class _Openings:
    """The job, once for each worker that there is: most load the base before the first batch."""

    waiting: list[Plain]

    def next(self, n_in_flight: int) -> Plain | None:
        return self.waiting.pop() if self.waiting else None

    def put_back(self, job: Plain) -> None:
        self.waiting.append(job)

    def arguments(self, job: Plain) -> tuple[Any, ...]:
        return (job,)


class _Gathering:
    """Puts together what comes back: counts, failures, where the time went."""

    def __init__(self, outcome: Outcome, batches: Batches, n_rows: int, reporter: Reporter) -> None:
        self.outcome, self._batches = outcome, batches
        self._n_rows, self._reporter = n_rows, reporter
        self._engines: set[str] = set()
        self._waits = Waits()
        self._done = 0
        self._tell()

    def take(self, batch: ShardTask, result: Any) -> None:
        """Take what became of a batch; one whose workers died is tried again in parts.

        Raises:
            PipelineError: A worker cannot go on, and so no other can: the disk is full, say.
        """
        if isinstance(result, Died):
            self._search(batch, result)
            return
        _raise_failed(result)
        self._add(batch, result)
        self._batches.tell(len(batch), result["seconds"])
        self._done += len(batch)
        self._tell()

    def _search(self, batch: ShardTask, died: Died) -> None:
        """Find the picture that workers die of: divide, then try each suspect alone."""
        if len(batch.rows) > 1:
            logger.warning(
                "%d workers died of one batch: its %d pictures are tried again in parts",
                died.n_workers,
                len(batch.rows),
            )
            self._batches.divide(batch)
        elif not batch.alone:
            self._batches.suspect(batch)
        else:
            reason = f"{died.n_workers} workers died while computing it"
            self.outcome.in_flux.append(Failure(int(batch.rows[0]), reason, transient=True))
            self._done += len(batch)
            self._tell()

    def _add(self, batch: ShardTask, result: Plain) -> None:
        outcome = self.outcome
        outcome.pictures += result["pictures"]
        outcome.views += result["views"]
        outcome.reading += result["reading"]
        outcome.decoding += result["decoding"]
        outcome.bad.update(result["bad"])
        for place, reason in result["in_flux"]:
            outcome.in_flux.append(Failure(int(batch.rows[place]), reason, transient=True))
        self._engines.add(result["engine"])
        outcome.engine = ", ".join(sorted(self._engines))
        self._waits.add(result["waits"])
        outcome.waits = dict(self._waits.seconds)

    def _tell(self) -> None:
        where = f"{self.outcome.workers} workers, {self._waits.describe()}"
        self._reporter.advance(PART, self._done, self._n_rows, where=where if self._done else "")


def _raise_failed(result: Plain) -> None:
    """Raise what stopped a worker, which could only send it as text."""
    if FAILED not in result:
        return
    raise ClusterError(f"{result[FAILED]} (on the worker {result['where']})")
