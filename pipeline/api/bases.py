"""Several bases in one command: stage 1 on few pictures of each, on all of those that are worth it.

What decides is in `pipeline.classify.screening`; here is the order of stages.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

import numpy as np

from pipeline.classify.bases import ChosenBase, Contender
from pipeline.classify.screening import ComparedBases, Judged, ScreeningPlan, judge, sample_rows
from pipeline.classify.search.trial import Trial
from pipeline.config import ClassifyConfig
from pipeline.features import Caches
from pipeline.features.base import FrozenBase, inputs_of
from pipeline.features.extract import CachedFeatures
from pipeline.features.preflight import bytes_of_row
from pipeline.images import Dataset
from pipeline.system.files import write_json
from pipeline.system.typed import read_json
from pipeline.system.units import counted, time_text

logger = logging.getLogger(__name__)

Extract = Callable[[ClassifyConfig, FrozenBase, Dataset], CachedFeatures]
"""Stage 1 on some pictures, on this machine or elsewhere."""

N_TIMED = 64
"""Pictures of which a base's rate is taken."""


class Contest:
    """Finds out which bases are worth all pictures, and has these computed."""

    def __init__(
        self,
        config: ClassifyConfig,
        dataset: Dataset,
        bases: Sequence[Contender],
        extract: Extract,
    ) -> None:
        self._config, self._dataset, self._bases, self._extract = config, dataset, bases, extract
        self.comparison = ComparedBases(config, [one.row() for one in bases])

    def run(self) -> list[Contender]:
        """Compare the bases on parts of the pictures; return those that are worth all."""
        comparison, seconds = self.comparison, [self._seconds(one) for one in self._bases]
        for row, took in zip(comparison.rows, seconds, strict=True):
            row.images_per_second = round(1 / took, 1) if took else None
        n_images, n_classes = len(self._dataset), len(self._dataset.classes)
        plan = ScreeningPlan.of(self._config, n_images, n_classes, seconds)
        if self._one_network and self._config.budget is None:
            plan = replace(plan, budget=inf)  # how alike its precisions are is the question
        self._tell(plan, seconds)
        left, n, done = plan.budget, plan.n_per_class, 0

        def costs(n_pictures: int) -> float:
            return n_pictures * sum(seconds[place] for place in comparison.alive)

        while True:
            rows = sample_rows(self._dataset, n, self._config.seed)
            logger.info("%d bases on %d pictures", len(comparison.alive), rows.sum())
            left -= costs(int(rows.sum()) - done)
            done = int(rows.sum())
            comparison.note({place: self._judged(place, rows, n) for place in comparison.alive})
            if costs(n_images - done) <= left:
                break
            comparison.halve(left)
            # Another round has to leave the time for all pictures of whichever base comes first.
            dearest = max(seconds[place] for place in comparison.alive)
            if costs(n_images - done) > left < costs(done) + dearest * (n_images - 2 * done):
                comparison.keep_best(left)
            if len(comparison.alive) == 1 or costs(n_images - done) <= left:
                break
            n *= 2
        return [self._bases[place] for place in comparison.alive]

    @property
    def _one_network(self) -> bool:
        """Whether all differ in their precision alone."""
        return len({one.base.in_float for one in self._bases}) == 1

    def among(self, found: Sequence[CachedFeatures]) -> ChosenBase:
        """Return what being the best of all adds to a figure, by all pictures of those kept."""
        rows = sample_rows(self._dataset, len(self._dataset), self._config.seed)
        kept = (self._bases[place] for place in self.comparison.alive)
        pairs = zip(kept, found, strict=True) if len(found) > 1 else ()
        whole = [self._trial(one, cached, rows) for one, cached in pairs]
        specs = [(one.base.recipe.base, one.base.source.digest) for one in self._bases]
        return ChosenBase(tuple(specs), self.comparison.optimism(int(rows.sum()), whole))

    def _judged(self, place: int, rows: np.ndarray, n: int) -> Judged:
        one = self._bases[place]
        cached = self._extract(one.clean, one.base, self._dataset.taking(rows))
        shapes = map(cached.caches.clean.row_shape, one.base.recipe.cuts)
        return Judged(n, self._trial(one, cached, rows), bytes_of_row(shapes, one.base.dtype))

    def _trial(self, one: Contender, cached: CachedFeatures, rows: np.ndarray) -> Trial:
        inputs = inputs_of(one.config, one.base)
        return judge(one.config, self._dataset, cached.caches.clean, inputs, rows)

    def _seconds(self, one: Contender) -> float:
        """Return what a picture takes through a base here; 0 where all is cached and unknown.

        It is remembered beside the runs, so that the same question has the same answer again.
        """
        path = self._config.runs / ".search" / f"rate-{one.base.recipe.id}.json"
        try:
            return float(read_json(path)["seconds"])
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            pass
        missing = ~Caches(one.clean, one.base).clean.has(self._dataset.digests)
        rows = missing & sample_rows(self._dataset, N_TIMED, self._config.seed)
        places = np.flatnonzero(rows)[:: max(1, int(rows.sum()) // N_TIMED)][:N_TIMED]
        timed = np.zeros(len(rows), bool)
        timed[places] = True
        if not timed.any():
            return 0.0
        done = self._extract(one.clean, one.base, self._dataset.taking(timed)).extraction
        if not done.images_per_second:
            return 0.0
        write_json(path, {"seconds": 1 / done.images_per_second})
        return 1 / done.images_per_second

    def _tell(self, plan: ScreeningPlan, seconds: Sequence[float]) -> None:
        n_images = len(self._dataset)
        for one, took in zip(self._bases, seconds, strict=True):
            said = "cached"
            if took:
                whole = time_text(took * n_images)
                said = f"{1 / took:.0f} pictures/s, all {n_images:,} in {whole}"
            logger.info("%s: %s", one.base.recipe.base, said)
        if plan.budget == inf:
            return
        logger.info(
            "all bases would take %s; with a budget of %s, each first sees %s of every class",
            time_text(n_images * sum(seconds)),
            time_text(plan.budget),
            counted(plan.n_per_class, "picture"),
        )
