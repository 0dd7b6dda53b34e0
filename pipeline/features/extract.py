"""Stage 1: every picture goes once through the frozen base, and its features land in the cache."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.features import (
    Caches,
    Computation,
    Outcome,
    cached_views,
    distinct,
    find_work,
    left_out_of,
    wanted_views,
)
from pipeline.features.base import FrozenBase
from pipeline.features.quantised import settled
from pipeline.features.table import FeatureTable
from pipeline.images import Dataset
from pipeline.images.leftout import LeftOut, causes, check_strictly
from pipeline.images.remarks import sentences
from pipeline.images.usable import check_left, usable_rows
from pipeline.system.progress import SILENT, Reporter

logger = logging.getLogger(__name__)

OF_DATA = ("found", "images", "copies", "classes", "splits", "ignored", "reading", "corrections")


@dataclass
class Extraction:
    """What stage 1 did.

    Args:
        recipe: Id of the recipe; the folder of that name holds the shards.
        images: Pictures that are used: ``computed``, ``reused`` and ``copies`` together.
        computed: Distinct pictures that went through the base now.
        reused: Distinct pictures whose features were there already.
        copies: Files that are byte-identical to another one of these.
        failed: Pictures that are left out, as they cannot be read or decoded: ``[{"path",
            "reason"}]``.
        engine: What ran the base; None when there was nothing to compute.
        seconds: Wall time of the whole stage.
        images_per_second: Passes through the base per second; None when nothing was computed.
        computed_views: Augmented views that went through the base now.
        views: Augmented views of these pictures that are cached, of those that were asked for.
        forecast: `preflight.Forecast` as a dict; None when there was nothing to compute.
        where: Seconds of reading and decoding, added up over the threads that do it, and seconds
            waited for pictures, for the engine and for the disk; None when nothing was computed.
        workers: Processes that computed; None when nothing was.
        classes: Pictures of each class that are used.
        splits: Pictures of each split that are used.
        ignored: What lies in the folder and is no picture of a class.
        reading: How the source was read, see `pipeline.images.readings.Reading`.
        remarks: What pictures lose as they are decoded, a sentence for each way.
        found: Pictures that were found: ``images`` and ``failed`` together.
        labelled: Whether they have labels; a pool has none, nor classes and splits.
        corrections: What a table of corrections did; None without one.
    """

    recipe: str
    images: int
    computed: int = 0
    reused: int = 0
    copies: int = 0
    failed: list[dict[str, str]] = field(default_factory=list)
    engine: str | None = None
    seconds: float = 0.0
    images_per_second: float | None = None
    computed_views: int = 0
    views: int = 0
    forecast: dict[str, Any] | None = None
    where: dict[str, float] | None = None
    workers: int | None = None
    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    reading: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    found: int = 0
    labelled: bool = True
    corrections: dict[str, Any] | None = None

    def without_labels(self) -> "Extraction":
        """Return the same of a pool."""
        return replace(self, labelled=False, classes={}, splits={})

    def to_dict(self) -> dict[str, Any]:
        """Return the stage's ``--json`` value, with the reasons of ``failed`` by their kind."""
        return {**vars(self), "reasons": [cause.to_dict() for cause in causes(self.failed)]}

    def data(self) -> dict[str, Any]:
        """Return what it says of the pictures, which is the same however often they are read."""
        return {name: getattr(self, name) for name in OF_DATA}


@dataclass(frozen=True)
class CachedFeatures:
    """A data set whose features are in the cache: what stage 1 hands to the stages after it.

    Args:
        dataset: The pictures.
        base: The frozen base, resolved once for the whole command.
        caches: Where the features are, opened once for the whole command.
        extraction: What stage 1 did.
    """

    dataset: Dataset
    base: FrozenBase
    caches: Caches
    extraction: Extraction

    def table(self, n_views: int = 0, n_test_views: int = 0) -> FeatureTable:
        """Join the pictures with their features; raises what `FeatureTable` does.

        ``n_views`` are of each training picture, to learn from, ``n_test_views`` of all, to judge
        by.
        """
        caches = self.caches
        return FeatureTable(
            self.dataset, caches.clean, self.base, caches.viewed, n_views, n_test_views
        )


def extract(
    config: FeaturesConfig,
    base: FrozenBase,
    dataset: Dataset,
    reporter: Reporter = SILENT,
    compute: type[Computation] = Computation,
    *,
    mend: bool = False,
) -> CachedFeatures:
    """Compute the features that the cache does not hold yet.

    Interrupting is safe: finished shards stay, the rows in hand are written, and the same call goes
    on from there. Pictures that cannot be decoded are quarantined with their reason and reported
    at every run; with ``config.strict`` they are an error. With a remote cache, what it has is
    fetched first, and what it lacks is sent. What is damaged in the cache is set aside if it is to
    ``mend``; else it is raised.

    Raises:
        DataError: Nothing of the data, of a class or of a split can be used; or, with
            ``config.strict``, some picture cannot. What is cached stays.
        PipelineError: An argument, the weights or the cache cannot be used, or the disk or the
            memory will not suffice.
    """
    began = monotonic()
    base = settled(config, base, dataset)
    caches = Caches(config, base, mend=mend)
    caches.exchange()
    result = Extraction(
        base.recipe.id,
        len(dataset),
        ignored=list(dataset.ignored),
        reading=dataset.reading.to_dict(),
        found=dataset.n_found,
        corrections=None if dataset.corrections is None else dataset.corrections.to_dict(),
    )
    in_flux: dict[bytes, str] = {}
    work = find_work(config, dataset, caches.clean, caches.viewed)
    if len(work):
        computation = compute(config, base, dataset, caches, work)
        outcome = computation.run(reporter)
        _note(outcome, result)
        in_flux = {dataset.digests[one.row].tobytes(): one.reason for one in outcome.in_flux}
        caches.send_missing()
    left_out = left_out_of(dataset, caches.clean, in_flux)
    _account(config, dataset, caches, left_out, result)
    result.remarks = sentences(caches.clean.remarks(dataset.digests))
    for sentence in result.remarks:
        logger.warning("%s", sentence)
    result.seconds = monotonic() - began
    check_strictly(config.strict, result.failed, dataset.n_found)
    check_left(dataset, left_out)
    return CachedFeatures(dataset, base, caches, result)


def _note(outcome: Outcome, result: Extraction) -> None:
    result.engine, result.forecast = outcome.engine, vars(outcome.forecast)
    result.computed, result.computed_views = outcome.pictures, outcome.views
    result.images_per_second = outcome.passes / outcome.seconds
    result.workers = outcome.workers
    result.where = {
        "reading": outcome.reading,
        "decoding": outcome.decoding,
        **{f"waited_for_{name}": seconds for name, seconds in outcome.waits.items()},
    }


def _account(
    config: FeaturesConfig,
    dataset: Dataset,
    caches: Caches,
    left_out: Sequence[LeftOut],
    result: Extraction,
) -> None:
    """Count what is used, and of that what was reused."""
    result.failed = [one.to_dict() for one in left_out]
    used = dataset.taking(usable_rows(dataset, (one.path for one in left_out)))
    result.images = len(used)
    result.classes, result.splits = used.counts()["classes"], used.counts()["splits"]
    cached = caches.clean.has(dataset.digests)
    n_distinct = len(distinct(dataset, np.flatnonzero(cached)))
    result.reused = n_distinct - result.computed
    result.copies = int(cached.sum()) - n_distinct
    if caches.viewed is not None:
        rows = distinct(dataset)
        views = cached_views(config, dataset, rows, caches.viewed)
        result.views = int((views & wanted_views(config, dataset, rows)).sum())
