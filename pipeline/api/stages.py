"""One stage after the other: what runs first, what each is given. No stage's logic, no printing.

The stages never import one another; who wants several calls them here.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from pipeline.api.progress import Reporter, Told
from pipeline.config import ClassifyConfig, FeaturesConfig, FinetuneConfig
from pipeline.features import Computation
from pipeline.features.base import FrozenBase
from pipeline.features.extract import Compute, Extraction, extract
from pipeline.images import Dataset, index
from pipeline.system.progress import Reporter as SystemReporter
from pipeline.system.startup import import_tensorflow

if TYPE_CHECKING:
    from pipeline.classify.classify import Classification
    from pipeline.classify.search import Spread
    from pipeline.finetune.finetune import Finetuned


class _Counting(SystemReporter):
    """Hands the one part of an index on to a counter."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def advance(
        self, part: str, done: int, total: int, unit: str = "pictures", where: str = ""
    ) -> None:
        self._told.update(done, total, where)


def indexed(data: str, config: FeaturesConfig, reporter: Reporter) -> Dataset:
    """Index a location, with the digests remembered beside the cache.

    Args:
        data: The location.
        config: Seed, label pattern and test share; where the cache is.
        reporter: Told of files.
    """
    with reporter.counter("index", "files") as told:
        return index(
            data,
            seed=config.seed,
            test_fraction=config.test_fraction,
            label_pattern=config.label_pattern,
            memory=config.cache / "index",
            reporter=_Counting(told),
        )


def extracted(
    config: FeaturesConfig, dataset: Dataset, reporter: Reporter, base: FrozenBase | None = None
) -> Extraction:
    """Run stage 1 on an index."""
    with reporter.counter("features", "pictures") as told:
        return extract(config, dataset, told.update, base, _compute(config))


def _compute(config: FeaturesConfig) -> Compute:
    """Return what computes: this process, or the workers of a cluster."""
    if config.cluster is None:
        return Computation
    from pipeline.cluster.computing import ClusterComputation

    return ClusterComputation


def features(data: str, config: FeaturesConfig, reporter: Reporter) -> Extraction:
    """Run stage 1 on a location."""
    from pipeline.features import check_layers, resolve

    base, _ = resolve(config)  # first: a wrong name shows before any picture is read
    check_layers(config, base)
    dataset = indexed(data, config, reporter)
    return extracted(config, dataset, reporter, base)


def classified(
    data: str, config: ClassifyConfig, reporter: Reporter
) -> tuple["Classification", Extraction]:
    """Run stage 2 on a location, after stage 1 for what is missing."""
    from pipeline.classify.classify import check, check_settings, classify

    check_settings(config)
    dataset = indexed(data, config, reporter)
    check(config, dataset)
    extraction = extracted(config, dataset, reporter)
    with (
        reporter.counter("search", "steps") as searching,
        reporter.counter("classify", "experiments") as experiments,
        reporter.counter("learning", "rows") as learning,
        _search_workers(config) as spread,
    ):
        told = (experiments.update, searching.update, learning.update)
        return classify(config, dataset, *told, spread), extraction


def _search_workers(config: ClassifyConfig) -> AbstractContextManager["Spread | None"]:
    """Return what lends a search the workers of a cluster; without one, nothing."""
    if config.cluster is None:
        return nullcontext()
    from pipeline.cluster.searching import search_workers

    return search_workers(config.cluster)


def finetuned(
    data: str, config: FinetuneConfig, reporter: Reporter
) -> tuple["Finetuned", Extraction]:
    """Run stage 3 on a location, after stage 1 for what the run's head learns from."""
    from pipeline.features.base import frozen_from_dict
    from pipeline.finetune.settings import stage1_config
    from pipeline.finetune.task import check_classes
    from pipeline.runs import index_settings, source_run, transplantable_head

    as_then = index_settings(config.runs, config.source, data)
    dataset = indexed(data, FeaturesConfig(cache=config.cache, **as_then), reporter)
    source = source_run(config.runs, config.source, data, dataset.digest)
    check_classes(dataset, source)
    transplantable_head(source)
    base = frozen_from_dict(source.info["base"])
    extraction = extracted(stage1_config(config, source, base), dataset, reporter, base)
    import_tensorflow()
    from pipeline.finetune.finetune import Watch, finetune

    with reporter.epochs() as epochs, reporter.counter("maps", "pictures") as maps:
        watch = Watch(epochs.on_epoch, epochs.on_step, maps.update)
        return finetune(config, dataset, source, watch), extraction
