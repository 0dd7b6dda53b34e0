"""Stage 1: every picture goes once through the frozen base, and its features land in the cache."""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.errors import DataError
from pipeline.features import (
    Caches,
    Computation,
    Outcome,
    Progress,
    Work,
    cached_views,
    distinct,
    find_work,
    resolve,
    wanted_views,
)
from pipeline.features.base import FrozenBase
from pipeline.images import Dataset


class Computes(Protocol):
    """Everything that is missing of one data set, ready to be computed."""

    def run(self, progress: Progress | None) -> Outcome:
        """Compute it; what is done stays, however this ends."""


Compute = Callable[[FeaturesConfig, FrozenBase, Dataset, Caches, Work], Computes]


@dataclass
class Extraction:
    """What stage 1 did.

    Args:
        recipe: Id of the recipe; the folder of that name holds the shards.
        images: Pictures in the data set.
        computed: Distinct pictures that went through the base now.
        reused: Distinct pictures whose features were there already.
        copies: Files that are byte-identical to another one of these.
        failed: Pictures that cannot be read or decoded: ``[{"path", "reason"}]``.
        engine: What ran the base; None when there was nothing to compute.
        seconds: Wall time of the whole stage.
        images_per_second: Passes through the base per second; None when nothing was computed.
        computed_views: Augmented views that went through the base now.
        views: Augmented views of these pictures that are cached, of those that were asked for.
        forecast: `preflight.Forecast` as a dict; None when there was nothing to compute.
        where: Seconds of reading and decoding, added up over the threads that do it, and seconds
            waited for pictures, for the engine and for the disk; None when nothing was computed.
        workers: Processes that computed; None when nothing was.
        classes: Pictures of each class.
        splits: Pictures of each split.
        ignored: What lies in the folder and is no picture of a class.
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


def extract(
    config: FeaturesConfig,
    dataset: Dataset,
    progress: Progress | None = None,
    base: FrozenBase | None = None,
    compute: Compute = Computation,
) -> Extraction:
    """Compute the features that the cache does not hold yet.

    Interrupting is safe: finished shards stay, the rows in hand are written, and the same call goes
    on from there. Pictures that cannot be decoded are quarantined with their reason and reported
    at every run; with ``config.strict`` they are an error. With a remote cache, what it has is
    fetched first, and what it lacks is sent.

    Args:
        config: The base, its layers, and where the cache is.
        dataset: The pictures, by content.
        progress: Told after each batch.
        base: The base of a run, where it is given instead of being resolved from the config.
        compute: What computes what is missing: this process, or workers.

    Raises:
        PipelineError: An argument, the weights or the cache cannot be used, or the disk or the
            memory will not suffice.
    """
    began = monotonic()
    base = base or resolve(config)[0]
    caches = Caches(config, base)
    caches.exchange()
    counts = dataset.counts()
    result = Extraction(
        base.recipe.id,
        len(dataset),
        classes=counts["classes"],
        splits=counts["splits"],
        ignored=list(dataset.ignored),
    )
    work = find_work(config, dataset, caches.clean, caches.viewed)
    if len(work):
        computation = compute(config, base, dataset, caches, work)
        _note(computation.run(progress), dataset, result)
        caches.send_missing()
    _account(config, dataset, caches, result)
    result.seconds = monotonic() - began
    if config.strict and result.failed:
        raise DataError(_strictly(result.failed, len(dataset.paths)))
    return result


def _note(outcome: Outcome, dataset: Dataset, result: Extraction) -> None:
    result.engine, result.forecast = outcome.engine, vars(outcome.forecast)
    result.computed, result.computed_views = outcome.pictures, outcome.views
    result.images_per_second = outcome.passes / outcome.seconds
    result.workers = outcome.workers
    result.where = {
        "reading": outcome.reading,
        "decoding": outcome.decoding,
        **{f"waited_for_{name}": seconds for name, seconds in outcome.waits.items()},
    }
    result.failed += [
        {"path": dataset.paths[failure.row], "reason": failure.reason}
        for failure in outcome.in_flux
    ]


def _account(config: FeaturesConfig, dataset: Dataset, caches: Caches, result: Extraction) -> None:
    """Count what was reused and list every picture of this data set without features."""
    result.failed += [{"path": path, "reason": reason} for path, reason in dataset.unreadable]
    cached = caches.clean.has(dataset.digests)
    for row in np.flatnonzero(~cached):
        reason = caches.clean.reason(dataset.digests[row].tobytes())
        if reason is not None:
            result.failed.append({"path": dataset.paths[row], "reason": reason})
    n_distinct = len(distinct(dataset, np.flatnonzero(cached)))
    result.reused = n_distinct - result.computed
    result.copies = int(cached.sum()) - n_distinct
    if caches.viewed is not None:
        rows = distinct(dataset)
        views = cached_views(config, dataset, rows, caches.viewed)
        result.views = int((views & wanted_views(config, dataset, rows)).sum())


def _strictly(failed: list[dict[str, str]], n_images: int) -> str:
    first = failed[0]
    return (
        f"expected every picture to be readable (--strict), {len(failed)} of {n_images} are not, "
        f"first {first['path']}: {first['reason']}; mend or remove them, the others are cached"
    )


def describe(result: Extraction) -> dict[str, Any]:
    """Return the stage's ``--json`` value."""
    return dict(vars(result))
