"""Decode, compute and write, all three at once, with memory bounded by the queues between them.

`Passes` is some pictures on their way, here or on a worker; `Computation` is everything that is
missing, on this machine, in this process.
"""

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from time import monotonic, perf_counter
from typing import TypeVar

import numpy as np

from pipeline.backbones.engines import Engine, open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import FrozenBase
from pipeline.features.caches import Caches, versions, view_recipe, wanted_recipes
from pipeline.features.preflight import BATCHES_AHEAD, Forecast, forecast, sample, step_size
from pipeline.features.store import ShardWriter
from pipeline.features.store.writer import OnShard
from pipeline.features.worklist import Work
from pipeline.images import Batch, Dataset, Failure, LoadTimes, RowLoader, load_batches, paired
from pipeline.images.files import Files
from pipeline.system.machine import N_WAITING_THREADS
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.units import size_text, time_text

Item = TypeVar("Item")

Stream = Generator[Item, None, None]


class Waits:
    """Seconds that the thread which drives a pipeline spent waiting, by what it waited for.

    It is the one figure that says which of its stages is the slowest.

    >>> waits = Waits()
    >>> list(waits.counted("pictures", (letter for letter in "ab")))
    ['a', 'b']
    >>> list(waits.seconds)
    ['pictures', 'engine', 'disk']
    """

    def __init__(self) -> None:
        self.seconds = {"pictures": 0.0, "engine": 0.0, "disk": 0.0}

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what another pipeline waited, by what it waited for."""
        for name, more in seconds.items():
            self.seconds[name] += more

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count what the block takes."""
        began = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - began

    def counted(self, name: str, items: Stream[Item]) -> Stream[Item]:
        """Pass items on, and count the waiting for each, without that of stages further in."""
        with closing(items):
            while True:
                before = self._others(name)
                with self.of(name):
                    item = next(items, None)
                self.seconds[name] -= self._others(name) - before
                if item is None:
                    return
                yield item

    def _others(self, name: str) -> float:
        return sum(seconds for other, seconds in self.seconds.items() if other != name)

    def describe(self) -> str:
        """Say where the time went: ``waiting for pictures 3 %, engine 96 %, disk 1 %``."""
        total = sum(self.seconds.values()) or 1.0
        shares = (f"{name} {seconds / total:.0%}" for name, seconds in self.seconds.items())
        return f"waiting for {', '.join(shares)}"


Computed = tuple[Batch, tuple[np.ndarray, ...]]

PART = "features"
"""What a reporter is told of."""


@dataclass(frozen=True)
class PictureRows:
    """Pictures by row number.

    Args:
        files: What reads them.
        paths: n paths.
        digests: SHA-256 of each file, (n, 32) uint8.
    """

    files: Files
    paths: Sequence[str]
    digests: np.ndarray

    def read(self, row: int) -> bytes:
        """Return the bytes of a row's file; raises OSError."""
        return self.files.read(self.paths[row])


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
        workers: Processes that computed.
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
    workers: int = 1

    @property
    def passes(self) -> int:
        """Passes through the base."""
        return self.pictures + self.views


class Passes:
    """Some pictures on their way through the base and into shards, each of which is told."""

    def __init__(
        self,
        config: FeaturesConfig,
        base: FrozenBase,
        pictures: PictureRows,
        work: Work,
        on_shard: OnShard | None = None,
    ) -> None:
        self.config, self.base, self.pictures, self.work = config, base, pictures, work
        self._on_shard = on_shard
        self._waits, self._times = Waits(), LoadTimes()

    def run(self, engine: Engine, outcome: Outcome, reporter: Reporter = SILENT) -> None:
        """Compute everything there is to do; what is done stays, however this ends."""
        began = monotonic()
        with ExitStack() as stack:
            writers = []
            for recipe in wanted_recipes(self.config, self.base):
                folder = self.config.cache / recipe.id
                writer = ShardWriter(folder, recipe, engine.name, versions(), self._on_shard)
                writers.append(stack.enter_context(writer))
            self._compute(engine, writers, outcome, reporter)
        outcome.seconds = monotonic() - began
        outcome.reading, outcome.decoding = self._times.reading, self._times.decoding
        outcome.waits = dict(self._waits.seconds)

    def _compute(
        self, engine: Engine, writers: Sequence[ShardWriter], outcome: Outcome, reporter: Reporter
    ) -> None:
        n_failed = 0
        reporter.advance(PART, 0, len(self.work))
        with closing(self._computed(engine)) as computed:
            for batch, outputs in computed:
                n_failed += len(batch.failed)
                self._note_failures(batch, outcome)
                with self._waits.of("disk"):
                    self._write(writers, batch, outputs, outcome)
                done = outcome.passes + n_failed
                reporter.advance(PART, done, len(self.work), where=self._waits.describe())

    def _computed(self, engine: Engine) -> Generator[Computed, None, None]:
        batches = load_batches(
            RowLoader(
                self._read,
                self.base.decoding,
                self.pictures.digests,
                view_recipe(self.config),
                self._times,
            ),
            self.work.rows,
            engine.batch_size,
            views=self.work.views,
            n_threads=N_WAITING_THREADS if self.pictures.files.waits else None,
            prefetch=BATCHES_AHEAD * engine.device.count,
            empty=engine.empty,
        )
        pictures = self._waits.counted("pictures", batches)
        return self._waits.counted("engine", paired(engine.run, pictures))

    def _read(self, row: int) -> bytes:
        """Return a row's bytes, from a copy of the file where it cannot be read itself."""
        try:
            return self.pictures.read(row)
        except OSError:
            same = (self.pictures.digests == self.pictures.digests[row]).all(axis=1)
            for copy in np.setdiff1d(np.flatnonzero(same), row).tolist():
                with suppress(OSError):
                    return self.pictures.read(copy)
            raise

    def _note_failures(self, batch: Batch, outcome: Outcome) -> None:
        """Content that cannot be decoded is remembered; a file that is in flux only reported."""
        for failure in batch.failed:
            if failure.transient:
                outcome.in_flux.append(failure)
            else:
                outcome.bad[self.pictures.digests[failure.row].tobytes().hex()] = failure.reason

    def _write(
        self,
        writers: Sequence[ShardWriter],
        batch: Batch,
        outputs: tuple[np.ndarray, ...],
        outcome: Outcome,
    ) -> None:
        """Give each row to the cache that it belongs to: pictures as they are, or views."""
        clean, digests = batch.views == 0, self.pictures.digests[batch.rows]
        for writer, its in zip(writers, (clean, ~clean), strict=False):
            if its.any():
                rows = (output[its] for output in outputs)
                features = dict(zip(self.base.recipe.cuts, rows, strict=True))
                writer.add(digests[its], features, batch.views[its], batch.remarks[its])
        outcome.pictures += int(clean.sum())
        outcome.views += int((~clean).sum())


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computation:
    """Everything that is missing of one data set, on one engine.

    Features land in the caches, and pictures that cannot be decoded are quarantined there.
    """

    config: FeaturesConfig
    base: FrozenBase
    dataset: Dataset
    caches: Caches
    work: Work

    def run(self, reporter: Reporter) -> Outcome:
        """Compute everything there is to do; what is done stays, however this ends."""
        config = self.config
        if config.batch_size is not None:
            config = replace(config, batch_size=step_size(config.batch_size, len(self.work)))
        engine = open_engine(
            self.base, config.engine, self.base.precision, config.batch_size, config.converted
        )
        outcome = Outcome(engine.name, self._foresee(engine))
        dataset = self.dataset
        pictures = PictureRows(dataset.files, dataset.paths, dataset.digests)
        try:
            passes = Passes(config, self.base, pictures, self.work, self.caches.send)
            passes.run(engine, outcome, reporter)
        finally:
            self.caches.clean.quarantine(outcome.bad)
        self.caches.refresh()
        return outcome

    def _foresee(self, engine: Engine) -> Forecast:
        size, n_rows = self.base.decoding.size, len(self.work)
        batch = (min(engine.batch_size, n_rows), size, size, 3)
        seen = forecast(
            engine, self.work, self.base.dtype, self.config.cache, batch, self._decode_seconds
        )
        tell_forecast(seen, viewed=self.caches.viewed is not None)
        return seen

    def _decode_seconds(self) -> float:
        """Read and decode a few pictures; return the seconds of one with all threads at work."""
        began, rows = perf_counter(), list(sample(self.work.rows))
        loader = RowLoader(self.dataset.read, self.base.decoding)
        for _ in load_batches(loader, rows, len(rows)):
            pass
        return (perf_counter() - began) / len(rows)


def tell_forecast(seen: Forecast, *, viewed: bool) -> None:
    """Log what computing will take."""
    logger.info(
        "to compute: %s, %s%s on a disk with %s free, up to %s of memory",
        f"{seen.rows:,} {'pictures and views' if viewed else 'pictures'}",
        "" if seen.seconds is None else f"about {time_text(seen.seconds)}, ",
        size_text(seen.disk_bytes),
        size_text(seen.disk_free),
        size_text(seen.memory_bytes),
    )
