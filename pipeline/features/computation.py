"""Computing what is missing, on this machine, in this process."""

import logging
from dataclasses import dataclass
from time import perf_counter

from pipeline.backbones.engines import Engine, open_engine
from pipeline.config import FeaturesConfig
from pipeline.features.base import FrozenBase
from pipeline.features.caches import Caches
from pipeline.features.passes import Outcome, Passes, PictureRows
from pipeline.features.preflight import Forecast, forecast, sample
from pipeline.features.worklist import Work
from pipeline.images import Dataset, RowLoader, load_batches
from pipeline.system.progress import Reporter
from pipeline.system.units import size_text, time_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Computation:
    """Everything that is missing of one data set, on one engine.

    Args:
        config: Engine, batch size, where converted models are kept.
        base: The frozen base.
        dataset: The pictures.
        caches: Where features land; pictures that cannot be decoded are quarantined there.
        work: What is missing.
    """

    config: FeaturesConfig
    base: FrozenBase
    dataset: Dataset
    caches: Caches
    work: Work

    def run(self, reporter: Reporter) -> Outcome:
        """Compute everything there is to do; what is done stays, however this ends."""
        config = self.config
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
