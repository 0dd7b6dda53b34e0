"""Stage 1: every picture goes once through the frozen base, and its features land in the cache."""

import importlib.metadata
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from pipeline.backbones.frozen import FrozenBase, frozen_base
from pipeline.config import FeaturesConfig
from pipeline.engines import check_engine, open_engine, paired
from pipeline.errors import DataError
from pipeline.images import Batch, Dataset, load_batches
from pipeline.store import FeatureCache

logger = logging.getLogger("pipeline")

Progress = Callable[[int, int], None]
"""Called with (done, total) pictures."""

VERSIONED = ("tensorflow", "keras", "numpy", "h5py", "pillow")


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
        images_per_second: Computed pictures per second of computing; None when nothing was.
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
    classes: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def extract(
    config: FeaturesConfig,
    dataset: Dataset,
    progress: Progress | None = None,
    base: FrozenBase | None = None,
) -> Extraction:
    """Compute the features that the cache does not hold yet.

    Interrupting is safe: finished shards stay, the rows in hand are written, and the same call goes
    on from there. Pictures that cannot be decoded are quarantined with their reason and reported
    at every run; with ``config.strict`` they are an error.

    Args:
        config: The base, its layers, and where the cache is.
        dataset: The pictures, by content.
        progress: Told after each batch.
        base: The base of a run, where it is given instead of being resolved from the config.

    Raises:
        PipelineError: An argument, the weights or the cache cannot be used.
    """
    began = monotonic()
    check_engine(config.engine, config.precision)
    base = base or frozen_base(config)[0]
    cache = FeatureCache(config.cache, base.recipe, set_aside_damaged=True)
    counts = dataset.counts()
    result = Extraction(
        base.recipe.id,
        len(dataset),
        classes=counts["classes"],
        splits=counts["splits"],
        ignored=list(dataset.ignored),
    )
    todo = missing_rows(dataset, cache)
    if len(todo):
        _compute(config, base, dataset, cache, todo, result, progress)
    _account(dataset, cache, result)
    result.seconds = monotonic() - began
    if config.strict and result.failed:
        raise DataError(_strictly(result.failed, len(dataset.paths)))
    return result


def missing_rows(dataset: Dataset, cache: FeatureCache) -> np.ndarray:
    """Return one row per distinct picture that is neither cached nor quarantined, in row order."""
    _, first = np.unique(dataset.digests, axis=0, return_index=True)
    rows = np.sort(first)
    rows = rows[~cache.has(dataset.digests[rows])]
    known_bad = [dataset.digests[row].tobytes().hex() in cache.quarantined for row in rows]
    return rows[~np.array(known_bad, bool)]


def _compute(
    config: FeaturesConfig,
    base: FrozenBase,
    dataset: Dataset,
    cache: FeatureCache,
    todo: np.ndarray,
    result: Extraction,
    progress: Progress | None,
) -> None:
    """Decode, compute and write, all three at once; undecodable pictures are put aside."""
    engine = open_engine(base.build, config.engine, config.precision, config.batch_size)
    result.engine = engine.name
    bad: dict[str, str] = {}
    computing = monotonic()
    try:
        with cache.writer(engine.name, versions()) as writer:
            for batch, outputs in paired(engine.run, _batches(config, base, dataset, todo)):
                _note_failures(batch, dataset, bad, result)
                if len(batch.rows):
                    features = dict(zip(base.recipe.cuts, outputs, strict=True))
                    writer.add(dataset.digests[batch.rows], features)
                result.computed += len(batch.rows)
                if progress is not None:
                    progress(result.computed + len(bad), len(todo))
    finally:
        cache.quarantine(bad)
    result.images_per_second = result.computed / (monotonic() - computing)
    cache.refresh()


def _batches(
    config: FeaturesConfig, base: FrozenBase, dataset: Dataset, todo: np.ndarray
) -> Iterator[Batch]:
    return load_batches(
        dataset.read,
        todo,
        base.decoding,
        config.batch_size,
        expected_digests=dataset.digests,
    )


def _note_failures(batch: Batch, dataset: Dataset, bad: dict[str, str], result: Extraction) -> None:
    """Content that cannot be decoded is remembered; a file that is in flux is only reported."""
    for failure in batch.failed:
        if failure.transient:
            path = dataset.paths[failure.row]
            result.failed.append({"path": path, "reason": failure.reason})
        else:
            bad[dataset.digests[failure.row].tobytes().hex()] = failure.reason


def _account(dataset: Dataset, cache: FeatureCache, result: Extraction) -> None:
    """Count what was reused and list every picture of this data set without features."""
    result.failed += [{"path": path, "reason": reason} for path, reason in dataset.unreadable]
    cached = cache.has(dataset.digests)
    for row in np.flatnonzero(~cached):
        reason = cache.quarantined.get(dataset.digests[row].tobytes().hex())
        if reason is not None:
            result.failed.append({"path": dataset.paths[row], "reason": reason})
    n_distinct = len(np.unique(dataset.digests[cached], axis=0))
    result.reused = n_distinct - result.computed
    result.copies = int(cached.sum()) - n_distinct


def _strictly(failed: list[dict[str, str]], n_images: int) -> str:
    first = failed[0]
    return (
        f"expected every picture to be readable (--strict), {len(failed)} of {n_images} are not, "
        f"first {first['path']}: {first['reason']}; mend or remove them, the others are cached"
    )


def versions() -> dict[str, str]:
    """Return the versions of the libraries that touch a feature's value."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


def describe(result: Extraction) -> dict[str, Any]:
    """Return the stage's ``--json`` value."""
    return dict(vars(result))
