"""One stage after the other: what runs first, what each is given. No stage's logic, no printing.

The stages never import one another; who wants several calls them here. A base is resolved once a
command and a cache opened once: what follows is handed them.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backbones.given_files import GRAPHS, refuse_graph
from pipeline.config import CheckConfig, ClassifyConfig, FeaturesConfig, FinetuneConfig
from pipeline.errors import DataError, InputError, UnclearError
from pipeline.features import Computation, resolve
from pipeline.features.base import FrozenBase
from pipeline.features.explain import Explanation, explain
from pipeline.features.export import ExportedFeatures, check_export, export_features
from pipeline.features.extract import CachedFeatures, Extraction, extract
from pipeline.features.quantised import kept_for
from pipeline.images import Dataset, index
from pipeline.images.indexing import index_pool, is_pool
from pipeline.images.own import is_own
from pipeline.system.files import expanded
from pipeline.system.progress import Reporter
from pipeline.system.startup import import_keras, require_framework

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.check.check import DataCheck
    from pipeline.classify.classify import Classification
    from pipeline.classify.search import MeasureUnits
    from pipeline.finetune.finetune import Finetuned


def indexed(
    data: str, config: FeaturesConfig, reporter: Reporter, *, look: bool = False
) -> Dataset:
    """Index a location; digests are remembered beside the cache, unless it is only to ``look``."""
    dataset = index(
        data,
        config,
        memory=config.cache / "index",
        remember=not look,
        reporter=reporter,
    )
    logger.info("%s is read so: %s", dataset.location, dataset.reading.sentence)
    return dataset


def computed(
    config: FeaturesConfig,
    base: FrozenBase,
    dataset: Dataset,
    reporter: Reporter,
    *,
    mend: bool = False,
) -> CachedFeatures:
    """Run stage 1 on pictures, in this process or on a cluster."""
    compute = Computation
    if config.cluster is not None:
        from pipeline.cluster.computing import ClusterComputation

        compute = ClusterComputation
    return extract(config, base, dataset, reporter, compute, mend=mend)


def features(
    data: str, config: FeaturesConfig, reporter: Reporter, *, unlabelled: bool = False
) -> Extraction:
    """Run stage 1 on a location, and mend the cache for it; return what was done.

    What can be nothing but a pool is taken without labels even if nobody said so.
    """
    base = resolve(config)  # first: a wrong name shows before any picture is read
    dataset = taken(data, config, reporter, unlabelled=unlabelled)
    extraction = computed(config, base, dataset, reporter, mend=True).extraction
    return extraction.without_labels() if is_pool(dataset) else extraction


def taken(
    data: str,
    config: FeaturesConfig,
    reporter: Reporter,
    *,
    unlabelled: bool = False,
    look: bool = False,
) -> Dataset:
    """Index a location; without labels where that is asked for, or where it can be nothing else."""
    if not unlabelled:
        try:
            return indexed(data, config, reporter, look=look)
        except UnclearError as error:
            if not error.is_pool:
                raise DataError(f"{error}, or --unlabelled to take them without labels") from error
            logger.info("no labels are seen in %s: its pictures are taken without", data)
    return pooled(data, config, reporter, look=look)


def pooled(data: str, config: FeaturesConfig, reporter: Reporter, *, look: bool = False) -> Dataset:
    """Index a location without labels, with the digests remembered beside the cache."""
    memory = config.cache / "index"
    return index_pool(data, config, memory=memory, remember=not look, reporter=reporter)


def classified(
    data: str, config: ClassifyConfig, reporter: Reporter
) -> tuple["Classification", Extraction]:
    """Run stage 2 on a location, after stage 1 for what is missing."""
    from pipeline.classify.bases import contenders
    from pipeline.classify.classify import check, check_settings, classify, joined
    from pipeline.classify.corrected import before_and_after
    from pipeline.runs import note_asked

    check_settings(config)
    bases = contenders(config)
    dataset = indexed(data, config, reporter)
    check(config, dataset)
    bases = [one.settled(dataset) for one in bases]

    def extracted(one: ClassifyConfig, base: FrozenBase, some: Dataset) -> CachedFeatures:
        return computed(one, base, some, reporter)

    contest = None
    if len(bases) > 1:
        from pipeline.api.bases import Contest

        contest = Contest(config, dataset, bases, extracted)
    kept = bases if contest is None else contest.run()
    found = [extracted(one.config, one.base, dataset) for one in kept]
    among = None if contest is None else contest.among(found)
    each = [
        classify(one.config, cached, reporter, _searching(config), among)
        for one, cached in zip(kept, found, strict=True)
    ]
    note_asked(config.runs, dataset.location, dataset.name, dataset.digest)
    classification, place = each[0], 0
    if contest is not None:
        comparison = contest.comparison
        alive = dict(zip(comparison.alive, each, strict=True))
        classification = joined(config, alive, comparison.rows)
        place = [one.best.name for one in each].index(classification.best.name)
    if dataset.corrections is not None:
        one = kept[place]
        as_it_was = index(data, replace(config, corrections=None), memory=config.cache / "index")
        before = extracted(one.config, one.base, as_it_was)
        run = classification.best
        change = before_and_after(one.config, before, found[place], run, reporter)
        classification = replace(classification, change=change)
    return classification, found[place].extraction


def _searching(config: ClassifyConfig) -> AbstractContextManager["MeasureUnits | None"]:
    """Return what measures the pieces of a search: workers, where there are some."""
    if config.cluster is None:
        return nullcontext()
    from pipeline.cluster.searching import search_workers

    return search_workers(config.cluster)


def finetuned(
    data: str, config: FinetuneConfig, reporter: Reporter
) -> tuple["Finetuned", Extraction]:
    """Run stage 3 on a location, after stage 1 for what the run's head learns from."""
    from pipeline.finetune.settings import check_asked, stage1_config
    from pipeline.finetune.task import check_classes
    from pipeline.runs import index_settings, note_asked, source_run, transplantable_head

    check_asked(config)
    require_framework("tensorflow", "fine-tuning")
    as_then = index_settings(config.runs, config.source, data)
    if (table := as_then.get("corrections")) is not None and not is_own(table):
        raise InputError(
            f"expected corrections of {data} that a command of yours has read here, received "
            f"corrections={table} from {config.source}: run `pipeline classify {data} "
            f"--corrections {table}` first, if you mean it"
        )
    if (root := as_then.get("root")) is not None and not is_own(root):
        raise InputError(
            f"expected paths of {data} that are relative to a place which a command of yours has "
            f"read here, received root={root} from {config.source}: run `pipeline classify {data} "
            f"--root {root}` first, if you mean it"
        )
    dataset = indexed(data, FeaturesConfig(cache=config.cache, **as_then), reporter)
    source = source_run(config.runs, config.source, data, dataset.digest)
    check_classes(dataset, source)
    transplantable_head(source)
    if (kind := source.frozen(look=True).spec.backbone.given) in GRAPHS:
        raise refuse_graph(kind, "fine-tuning")
    base = source.frozen(weights=config.weights)
    import_keras("tensorflow")  # before stage 1, which could choose another for its GPU
    found = computed(stage1_config(config, source, base), base, dataset, reporter)
    from pipeline.finetune.finetune import finetune

    tuned = finetune(config, found, source, reporter)
    note_asked(config.runs, dataset.location, dataset.name, dataset.digest)
    return tuned, found.extraction


def checked(data: str, config: CheckConfig, reporter: Reporter) -> "DataCheck":
    """Look at what is in a location, after stage 1 for what is missing."""
    from pipeline.check.check import check

    base = resolve(config)  # first: a wrong name shows before any picture is read
    found = computed(config, base, indexed(data, config, reporter), reporter)
    return check(config, found, reporter)


def explained(
    data: str, config: FeaturesConfig, reporter: Reporter, *, unlabelled: bool = False
) -> Explanation:
    """Compare a location with the cache; nothing is changed."""
    base = resolve(config, look=True)
    dataset = taken(data, config, reporter, unlabelled=unlabelled, look=True)
    return explain(config, kept_for(config, base, dataset), dataset)


def features_exported(
    data: str,
    config: FeaturesConfig,
    out: Path,
    overwrite: bool,
    reporter: Reporter,
    *,
    unlabelled: bool = False,
) -> ExportedFeatures:
    """Write cached features of a location into one file; the cache is not changed."""
    out = expanded(out)
    check_export(config, out, overwrite)
    base = resolve(config, look=True)
    dataset = taken(data, config, reporter, unlabelled=unlabelled, look=True)
    base = kept_for(config, base, dataset)
    return export_features(config, base, dataset, out, overwrite=overwrite, reporter=reporter)
