"""Decode, compute and write, all three at once, with memory bounded by the queues between them."""

import logging
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from time import monotonic, perf_counter

import numpy as np

from pipeline.backbones.frozen import FrozenBase
from pipeline.compute.caches import Caches, Writers
from pipeline.compute.preflight import Forecast, forecast, sample
from pipeline.compute.waits import Waits
from pipeline.compute.worklist import Work
from pipeline.config import FeaturesConfig
from pipeline.engines import Engine, open_engine, paired
from pipeline.images import Batch, Dataset, Failure, LoadTimes, load_batches
from pipeline.images.threads import N_WAITING_THREADS
from pipeline.units import size_text, time_text

logger = logging.getLogger("pipeline")

Computed = tuple[Batch, tuple[np.ndarray, ...]]
Progress = Callable[[int, int, str], None]
"""Called with (done, total, where the time goes)."""


@dataclass
class Outcome:
    """What a computation did, kept up to date while it runs.

    Args:
        engine: What ran the base.
        forecast: What it was going to take.
        pictures: Pictures as they are that went through the base.
        views: Augmented views that did.
        bad: Pictures that cannot be decoded: ``{digest in hex: reason}``.
        in_flux: Rows of files that could not be read or were changing, with the reason.
        seconds: Wall time of computing.
        reading: Seconds of reading files, added up over the threads.
        decoding: Seconds of decoding them, added up over the threads.
        waits: Seconds that were spent waiting for pictures, for the engine and for the disk.
    """

    engine: str
    forecast: Forecast | None = None
    pictures: int = 0
    views: int = 0
    bad: dict[str, str] = field(default_factory=dict)
    in_flux: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    reading: float = 0.0
    decoding: float = 0.0
    waits: dict[str, float] = field(default_factory=dict)

    @property
    def passes(self) -> int:
        """Passes through the base."""
        return self.pictures + self.views


class Computation:
    """Everything that is missing of one data set, on one engine.

    Args:
        config: Engine, batch size, where converted models are kept.
        base: The frozen base.
        dataset: The pictures.
        caches: Where features land; pictures that cannot be decoded are quarantined there.
        work: What is missing.
    """

    def __init__(
        self,
        config: FeaturesConfig,
        base: FrozenBase,
        dataset: Dataset,
        caches: Caches,
        work: Work,
    ) -> None:
        self.config, self.base, self.dataset = config, base, dataset
        self.caches, self.work = caches, work
        self._waits, self._times = Waits(), LoadTimes()

    def run(self, progress: Progress | None) -> Outcome:
        """Compute everything there is to do; what is done stays, however this ends."""
        config = self.config
        engine = open_engine(
            self.base, config.engine, config.precision, config.batch_size, config.models
        )
        outcome = Outcome(engine.name, self._foresee(engine))
        began = monotonic()
        try:
            with Writers(self.caches, self.base, engine.name) as writers:
                self._compute(engine, writers, outcome, progress)
        finally:
            self.caches.clean.quarantine(outcome.bad)
        outcome.seconds = monotonic() - began
        outcome.reading, outcome.decoding = self._times.reading, self._times.decoding
        outcome.waits = dict(self._waits.seconds)
        self.caches.refresh()
        return outcome

    def _compute(
        self, engine: Engine, writers: Writers, outcome: Outcome, progress: Progress | None
    ) -> None:
        n_failed = 0
        if progress is not None:
            progress(0, len(self.work), "")
        with closing(self._computed(engine)) as computed:
            for batch, outputs in computed:
                n_failed += len(batch.failed)
                self._note_failures(batch, outcome)
                with self._waits.of("disk"):
                    self._write(writers, batch, outputs, outcome)
                if progress is not None:
                    done = outcome.passes + n_failed
                    progress(done, len(self.work), self._waits.describe())

    def _computed(self, engine: Engine) -> Generator[Computed, None, None]:
        batches = load_batches(
            self._read,
            self.work.rows,
            self.base.decoding,
            self.config.batch_size,
            expected_digests=self.dataset.digests,
            views=self.work.views,
            view_recipe=self.caches.view,
            times=self._times,
            n_threads=N_WAITING_THREADS if self.dataset.files.waits else None,
        )
        pictures = self._waits.inner("pictures", batches)
        return self._waits.outer("engine", paired(engine.run, pictures))

    def _read(self, row: int) -> bytes:
        """Return a row's bytes, from a copy of the file where it cannot be read itself."""
        try:
            return self.dataset.read(row)
        except OSError:
            for copy in self._copies(row):
                with suppress(OSError):
                    return self.dataset.read(copy)
            raise

    def _copies(self, row: int) -> list[int]:
        same = (self.dataset.digests == self.dataset.digests[row]).all(axis=1)
        return [copy for copy in np.flatnonzero(same).tolist() if copy != row]

    def _note_failures(self, batch: Batch, outcome: Outcome) -> None:
        """Content that cannot be decoded is remembered; a file that is in flux only reported."""
        for failure in batch.failed:
            if failure.transient:
                outcome.in_flux.append(failure)
            else:
                outcome.bad[self.dataset.digests[failure.row].tobytes().hex()] = failure.reason

    def _write(
        self, writers: Writers, batch: Batch, outputs: tuple[np.ndarray, ...], outcome: Outcome
    ) -> None:
        if len(batch.rows):
            writers.add(self.dataset.digests[batch.rows], batch.views, outputs)
        n_clean = int(np.sum(batch.views == 0))
        outcome.pictures += n_clean
        outcome.views += len(batch.rows) - n_clean

    def _foresee(self, engine: Engine) -> Forecast:
        size, n_rows = self.base.decoding.size, len(self.work)
        batch = (min(self.config.batch_size, n_rows), size, size, 3)
        seen = forecast(
            engine, self.work, self.base.dtype, self.config.cache, batch, self._decode_seconds
        )
        logger.info(
            "to compute: %s, %s%s on a disk with %s free, up to %s of memory",
            f"{n_rows:,} {'pictures' if self.caches.viewed is None else 'pictures and views'}",
            "" if seen.seconds is None else f"about {time_text(seen.seconds)}, ",
            size_text(seen.disk_bytes),
            size_text(seen.disk_free),
            size_text(seen.memory_bytes),
        )
        return seen

    def _decode_seconds(self) -> float:
        """Read and decode a few pictures; return the seconds of one with all threads at work."""
        began, rows = perf_counter(), list(sample(self.work.rows))
        for _ in load_batches(self.dataset.read, rows, self.base.decoding, len(rows)):
            pass
        return (perf_counter() - began) / len(rows)
