"""Stage 2: train heads on cached features, experiment after experiment, without the pictures."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.classify import (
    Experiment,
    Result,
    Selection,
    check_memory,
    default_preparation,
    prepared,
    select_by,
    tune,
)
from pipeline.classify.learning_curve import describe as describe_curve
from pipeline.classify.learning_curve import learning_curve
from pipeline.classify.search import Spread
from pipeline.config import ClassifyConfig
from pipeline.features.base import asks_for_best, inputs_of
from pipeline.features.extract import CachedFeatures
from pipeline.features.table import FeatureTable, Input, check_classes
from pipeline.heads import HeadSpec, parse_heads
from pipeline.images import Dataset
from pipeline.runs import (
    RunFolder,
    best_run,
    is_transplantable,
    keep_learning_curve,
    learning_curve_of,
)

logger = logging.getLogger("pipeline")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Classification:
    """What stage 2 did.

    Args:
        results: One per input and head, in the order asked for; one per head after a search.
        best: The run with the highest selection accuracy; the test split had no say.
        leaked: Test pictures that are byte-identical to a training picture.
        contradictory: Pictures that are byte-identical to one of another class.
        curve: Whether more pictures would help the best run's head; None unless asked for.
    """

    results: tuple[Result, ...]
    best: RunFolder
    leaked: int
    contradictory: int
    curve: Mapping[str, Any] | None = None


def classify(
    config: ClassifyConfig,
    cached: CachedFeatures,
    progress: Progress | None = None,
    searching: Progress | None = None,
    learning: Progress | None = None,
    spread: Spread | None = None,
) -> Classification:
    """Train every head on every input and keep each experiment as a run.

    Choosing happens inside train: by stratified cross-validation, or on the validation split where
    the data has one beside its test split. Each head is then fitted on train and judged on the test
    split once. An experiment that was done before is answered from its run folder.

    Args:
        config: Heads, inputs, what judges, and what is searched.
        cached: The pictures and their features.
        progress: Told of finished experiments.
        searching: Told of a search's finished pieces of work.
        learning: Told of rows, where features do not fit in memory and are learnt in blocks.
        spread: What measures a search's pieces of work on workers; this machine if left out.

    Raises:
        DataError: Too few pictures for what was asked.
        StoreError: Features are missing from the cache.
    """
    dataset, inputs = cached.dataset, inputs_of(config, cached.base)
    table = cached.table(config.views, config.test_views)
    selection = select_by(config, dataset, table.rows("train"), table.rows("validation"))
    if selection.note:
        logger.warning("%s", selection.note)
    planned = _planned(config, table, selection, inputs, searching, spread)
    experiments = [replace(experiment, progress=learning) for experiment in planned]
    for experiment in experiments:
        check_memory(experiment.task)
    results = []
    for experiment in experiments:
        results.append(experiment.run())
        if progress is not None:
            progress(len(results), len(experiments))
    best = best_run([result.run for result in results], config.runs)
    curve = None
    if config.learning_curve:
        place = [result.run.name for result in results].index(best.name)
        curve = _curve(experiments[place], best)
    return Classification(tuple(results), best, dataset.n_leaked, dataset.n_contradictory, curve)


def _planned(
    config: ClassifyConfig,
    table: FeatureTable,
    selection: Selection,
    inputs: tuple[Input, ...],
    searching: Progress | None,
    spread: Spread | None,
) -> list[Experiment]:
    """Return what is to be done: every head on every input, or on what a search finds for it."""
    specs, parts = _specs(config), (config, table, selection)
    preparation = default_preparation(config.prepare, table.labels("train"))
    if not config.tune and not asks_for_best(config.layers):
        heads = prepared(specs, preparation)
        return [Experiment(*parts, joined, spec) for joined in inputs for spec in heads]
    found = tune(*parts, inputs, specs, preparation, searching, spread)
    return [Experiment(*parts, *one) for one in found]


def _specs(config: ClassifyConfig) -> list[HeadSpec]:
    specs = parse_heads(config.heads)
    return specs if config.class_weight == "none" else [spec.balanced() for spec in specs]


def _curve(experiment: Experiment, run: RunFolder) -> Mapping[str, Any]:
    """Return the learning curve of a run's head, and keep it; the test split has no part in it."""
    if (kept := learning_curve_of(run)) is not None:
        return kept
    table, config = experiment.table, experiment.config
    train = table.rows("train")
    curve = learning_curve(
        experiment.spec,
        table.features(experiment.joined, train),
        table.dataset.labels[train],
        len(table.dataset.classes),
        table.dataset.bundles(train),
        config.folds,
        config.seed,
    )
    described = describe_curve(curve)
    from pipeline.evaluate.plots import plot_learning_curve

    plot_learning_curve(described, run.path / "plots" / "learning_curve.svg")
    return keep_learning_curve(run, described)


def check_settings(config: ClassifyConfig) -> None:
    """Raise what `classify` would raise about its settings, before any picture is read."""
    _specs(config)
    default_preparation(config.prepare, np.zeros(1, int))


def check(config: ClassifyConfig, dataset: Dataset) -> None:
    """Raise what `classify` would raise about its data, before anything long begins."""
    check_classes(dataset, np.ones(len(dataset), bool))
    select_by(config, dataset, dataset.select("train"), dataset.select("validation"))


def describe(classification: Classification) -> dict[str, Any]:
    """Return the stage's ``--json`` value."""
    return {
        "best": classification.best.name,
        "results": [_describe_result(result) for result in classification.results],
        "can_finetune": is_transplantable(classification.best),
        "leaked": classification.leaked,
        "contradictory": classification.contradictory,
        "learning_curve": classification.curve,
    }


def _describe_result(result: Result) -> dict[str, Any]:
    run, selection, test = result.run, result.run.selection, result.run.test
    return {
        "run": run.name,
        "head": run.head,
        "layers": list(run.layers),
        "params": run.params,
        "selected_by": selection.by,
        "selection_accuracy": selection.accuracy,
        "selection_ci95": selection.ci95 and list(selection.ci95),
        "selection_log_loss": selection.log_loss,
        "cv_accuracy": selection.cv_accuracy,
        "uncorrected_accuracy": selection.uncorrected,
        "candidates": selection.candidates,
        "threshold": selection.threshold and selection.threshold.to_dict(),
        "test": {
            **test.summary(),
            "balanced_accuracy": test.balanced_accuracy and test.balanced_accuracy.value,
            "macro_f1": test.macro_f1 and test.macro_f1.value,
            "log_loss": test.log_loss,
            "confused": test.confused,
            "mistakes": test.mistakes,
            "answered": test.answered,
        },
        "seconds": run.seconds,
        "reused": result.reused,
    }
