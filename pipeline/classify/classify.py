"""Stage 2: train heads on cached features, experiment after experiment, without the pictures."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

import numpy as np

from pipeline.classify.bases import BaseRow, ChosenBase, mark_pareto
from pipeline.classify.experiment import Experiment, Result
from pipeline.classify.learning_curve import learning_curve
from pipeline.classify.pace import Pace, Portion
from pipeline.classify.search import MeasureUnits
from pipeline.classify.selection import heads_of, select_by
from pipeline.classify.tuning import tune
from pipeline.config import ClassifyConfig
from pipeline.features.base import inputs_of
from pipeline.features.extract import CachedFeatures
from pipeline.features.inputs import asks_for_best
from pipeline.heads.streamed import check_fits
from pipeline.heads.typical import check_unknown
from pipeline.images import Dataset
from pipeline.images.usable import check_different, check_every_class
from pipeline.runs import (
    RunFolder,
    best_run,
    is_transplantable,
    keep_bases,
    keep_learning_curve,
    leaderboard,
    learning_curve_of,
)
from pipeline.system.progress import SILENT, Reporter
from pipeline.system.startup import require_framework

logger = logging.getLogger(__name__)

THIS_MACHINE: AbstractContextManager[MeasureUnits | None] = nullcontext()


@dataclass(frozen=True)
class Classification:
    """What stage 2 did.

    Args:
        results: One per input and head, in the order asked for; one per head after a search.
        best: The run with the highest selection accuracy; the test split had no say.
        leaked: Test pictures that are byte-identical to a training picture.
        contradictory: Pictures that are byte-identical to one of another class.
        curve: Whether more pictures would help the best run's head; None unless asked for.
        bases: What is known of each of several bases; empty where one alone was asked for.
        change: What corrections change for the best run's head; None without them.
    """

    results: tuple[Result, ...]
    best: RunFolder
    leaked: int
    contradictory: int
    curve: Mapping[str, Any] | None = None
    bases: tuple[BaseRow, ...] = ()
    change: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the stage's ``--json`` value."""
        return {
            "best": self.best.name,
            "results": [result.to_dict() for result in self.results],
            "can_finetune": is_transplantable(self.best),
            "leaked": self.leaked,
            "contradictory": self.contradictory,
            "learning_curve": self.curve,
            "bases": [row.to_dict() for row in self.bases],
            **(self.change or {}),
        }


def classify(
    config: ClassifyConfig,
    cached: CachedFeatures,
    reporter: Reporter = SILENT,
    workers: AbstractContextManager[MeasureUnits | None] = THIS_MACHINE,
    among: ChosenBase | None = None,
) -> Classification:
    """Train every head on every input and keep each experiment as a run.

    Choosing happens inside train: by stratified cross-validation, or on the validation split where
    the data has one beside its test split. Each head is then fitted on train and judged on the test
    split once. An experiment that was done before is answered from its run folder.

    Args:
        config: Heads, inputs, what judges, and what is searched.
        cached: The pictures and their features.
        reporter: Told of a search's pieces of work, of finished experiments, and of rows where
            features do not fit in memory and are learnt in blocks.
        workers: What measures a search's pieces of work; entered for the search alone, so that
            what workers hold is free when the heads are trained. This machine if left out.
        among: The bases that this one is compared with, if any.

    Raises:
        DataError: Too few pictures for what was asked.
        StoreError: Features are missing from the cache.
    """
    dataset, inputs = cached.dataset, inputs_of(config, cached.base)
    table = cached.table(config.views, config.test_views)
    selection = select_by(config, dataset, table.rows("train"), table.rows("validation"))
    if selection.note:
        logger.warning("%s", selection.note)

    if config.tune or asks_for_best(config.layers):
        with workers as spread:
            experiments = tune(config, table, selection, inputs, reporter, spread)
    else:
        heads = heads_of(config, table.labels("train"))
        parts = (config, table, selection)
        experiments = [Experiment(*parts, joined, spec) for joined in inputs for spec in heads]
    experiments = [replace(experiment, among=among) for experiment in experiments]
    for experiment in experiments:
        check_fits(experiment.spec, table.n_bytes(experiment.joined))

    results = _run(experiments, reporter)
    best = best_run([result.run for result in results], config.runs)
    if (threshold := best.selection.threshold) is not None and not threshold.reached:
        logger.warning("%s", threshold.describe())

    curve = None
    if config.learning_curve:
        place = [result.run.name for result in results].index(best.name)
        curve = _learning_curve(experiments[place], best, reporter)
    used = table.used
    return Classification(tuple(results), best, used.n_leaked, used.n_contradictory, curve)


def joined(
    config: ClassifyConfig, found: Mapping[int, Classification], rows: Sequence[BaseRow]
) -> Classification:
    """Return what came of several bases as one: the best of all, and what is known of each base.

    Args:
        config: Where the runs are.
        found: What came of the bases that were not dropped, by their place among ``rows``.
        rows: All bases; what their heads came to is added.
    """
    best = best_run([one.best for one in found.values()], config.runs)
    mark_pareto(rows)
    (table,) = leaderboard([one.best for one in found.values()])
    behind = {one.run.name: one.to_dict()["difference"] for one in table}
    for place, one in found.items():
        selection, row = one.best.selection, rows[place]
        row.accuracy, row.ci95 = selection.accuracy, selection.ci95
        row.chosen, row.difference = one.best.name == best.name, behind[one.best.name]
    told = [row.to_dict() for row in rows]
    keep_bases(best, told)
    from pipeline.evaluate.plots import plot_bases

    plot_bases(told, best.path / "plots" / "bases.svg")
    chosen = next(one for one in found.values() if one.best.name == best.name)
    results = tuple(result for one in found.values() for result in one.results)
    return replace(chosen, results=results, bases=tuple(rows))


def _run(experiments: Sequence[Experiment], reporter: Reporter) -> list[Result]:
    """Return what came of each, in their order; what was done before takes no time."""
    waiting = [place for place, one in enumerate(experiments) if one.finished() is None]
    costs = {place: experiments[place].expected_seconds for place in waiting}
    # Without a search it is the heads that were trained on one input that tell of the next.
    heads: dict[int, Portion]
    heads = {place: ((experiments[place].spec.head.name,), 1.0) for place in waiting}
    searched: dict[int, Portion]
    searched = {place: (("search",), cost) for place, cost in costs.items() if cost is not None}
    pieces = searched if len(searched) == len(waiting) else heads
    pace = Pace(pieces.values())
    results: list[Result] = []
    told = partial(reporter.advance_unlike, "classify", total=len(experiments), unit="experiments")
    told(done=0, seconds_left=None)
    for place, experiment in enumerate(experiments):
        began = monotonic()
        results.append(experiment.run(reporter))
        if place in pieces:
            pace.finish(pieces[place], monotonic() - began)
        told(done=len(results), seconds_left=pace.seconds_left)
    return results


def _learning_curve(
    experiment: Experiment, run: RunFolder, reporter: Reporter
) -> Mapping[str, Any]:
    """Return the learning curve of a run's head, and keep it; the test split has no part in it."""
    if (kept := learning_curve_of(run)) is not None:
        return kept
    config, dataset = experiment.config, experiment.table.dataset
    train = experiment.selection.train
    score = experiment.learner(reporter).out_of_fold
    curve = learning_curve(
        score, dataset.labels[train], dataset.bundles(train), config.folds, config.seed
    ).to_dict()
    from pipeline.evaluate.plots import plot_learning_curve

    plot_learning_curve(curve, run.path / "plots" / "learning_curve.svg")
    return keep_learning_curve(run, curve)


def check_settings(config: ClassifyConfig) -> None:
    """Raise what `classify` would raise about its settings, before any picture is read."""
    if any(spec.head.name == "dense" for spec in heads_of(config, np.zeros(1, int))):
        require_framework("tensorflow", "the head dense")


def check(config: ClassifyConfig, dataset: Dataset) -> None:
    """Raise what `classify` would raise about its data, before anything long begins."""
    check_unknown(config.min_typical, dataset.classes)
    check_every_class(dataset, dataset.left_out)
    check_different(dataset)
    select_by(config, dataset, dataset.select("train"), dataset.select("validation"))
