"""One experiment: a head on an input, chosen by pictures it had not seen, judged by the test split.

An experiment that was done before is answered from its run folder.

What a run folder holds for people: mistakes with their pictures, and plots.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pipeline.classify.learning import Learner, Progress, Task, Views, learner
from pipeline.classify.selection import Selection, Unseen
from pipeline.config import ClassifyConfig, to_dict
from pipeline.evaluate import (
    Threshold,
    choose_threshold,
    confident_mistakes,
    confused_pairs,
    evaluate,
    judge_threshold,
)
from pipeline.evaluate.averaging import ViewAverage, averaged
from pipeline.features.base import JOIN, FrozenBase
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import FittedHead, HeadSpec, softmax
from pipeline.heads.fit import fitting_factor
from pipeline.images import Dataset, ViewRecipe
from pipeline.runs import (
    CLASSIFY,
    FinalTest,
    PredictionRows,
    RunData,
    RunFolder,
    SelectionFigures,
    experiment_digest,
    load_finished,
    load_run,
    new_run,
    run_name,
    save_head,
    write_run,
)
from pipeline.system.files import write_json


def final_test(
    dataset: Dataset,
    rows: np.ndarray,
    probabilities: np.ndarray,
    threshold: Threshold | None,
    seed: int,
) -> FinalTest:
    """Judge the final test, with the most confused pairs of classes and the surest mistakes.

    Args:
        dataset: The pictures.
        rows: Rows of the test split (n,).
        probabilities: (n, k) float, row-aligned.
        threshold: From which probability on a picture is answered, if there is one.
        seed: Of the intervals.
    """
    labels, paths = dataset.labels[rows], [dataset.paths[row] for row in rows]
    given = (probabilities, labels, paths, dataset.classes)
    return FinalTest.of(
        dataset.test_name,
        evaluate(probabilities, labels, seed),
        dataset.classes,
        confused=confused_pairs(*given),
        mistakes=confident_mistakes(*given),
        answered=threshold and judge_threshold(threshold.value, probabilities, labels),
    )


def write_plots(
    folder: Path,
    test: Mapping[str, Any],
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    candidates: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Draw how good a run is, and what a search tried, as SVG files.

    Args:
        folder: Made here.
        test: The test split's part of ``metrics.json``.
        probabilities: (n, k) float, of the test split.
        labels: (n,) int, row-aligned.
        classes: k names.
        candidates: Rows of ``search.json``, if there was a search.
    """
    from pipeline.evaluate.plots import plot_calibration, plot_confusion, plot_ranking, plot_search

    folder.mkdir()
    plot_confusion(test, classes, folder / "confusion.svg")
    plot_calibration(test, folder / "calibration.svg", probabilities.max(1))
    plot_ranking(probabilities, labels, classes, folder / "ranking.svg", test["split"])
    if candidates:
        plot_search(candidates, folder / "search.svg")


logger = logging.getLogger("pipeline")

PROTOCOL = 2
"""Grows when the same settings would give another run."""


@dataclass(frozen=True)
class Result:
    """One experiment: the run it left, and whether it was there before."""

    run: RunFolder
    reused: bool


@dataclass(frozen=True)
class Tuned:
    """What a search says of the candidate that an experiment is.

    Args:
        search: Digest of everything that decided the search.
        optimism: How much too good the candidate's own figure is, for being the best of many.
        candidates: What was tried of this head, as plain JSON rows.
    """

    search: str
    optimism: float
    candidates: tuple[Mapping[str, Any], ...] = field(repr=False)


@dataclass(frozen=True)
class Fit:
    """A fitted head, the factor in its scores, and how it does on pictures unseen."""

    head: FittedHead
    factor: float
    selection: SelectionFigures


@dataclass(frozen=True)
class Experiment:
    """One head on one input of one data set."""

    config: ClassifyConfig
    table: FeatureTable
    selection: Selection
    joined: Input
    spec: HeadSpec
    tuned: Tuned | None = None
    progress: Progress | None = None

    @property
    def task(self) -> Task:
        """What is learnt, however."""
        return Task(self.table, self.selection, self.joined, self.spec, self.config.seed)

    def run(self) -> Result:
        """Answer from the run folder, or train and write it."""
        key = self._key()
        name = run_name(self._name_parts(), experiment_digest(key))
        path = self.config.runs / name
        if (finished := load_finished(path, key)) is not None:
            return Result(finished, reused=True)
        with new_run(self.config.runs, name) as folder:  # made first: it may not be writable
            self._train(key, folder)
        return Result(load_run(path), reused=False)

    @property
    def _base(self) -> FrozenBase:
        return self.table.base.with_cuts(self.joined)

    def _key(self) -> dict[str, Any]:
        """Everything that decides the outcome; where files lie and their names do not."""
        return {
            "kind": CLASSIFY,
            "protocol": PROTOCOL,
            "recipe": self._base.recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in self.joined],
            "head": self.spec.head.name,
            "params": dict(self.spec.params),
            **learnt_from(self.config, self.table),
            **self._asked_for(),
        }

    def _asked_for(self) -> dict[str, Any]:
        """Return what is in the key only where it was asked for."""
        config = self.config
        more: dict[str, Any] = {}
        if config.test_views:
            more["test_views"] = config.test_views
            more["view"] = ViewRecipe(config.view_policy, config.seed).to_dict()
        if config.calibrate:
            more["calibrate"] = True
        if config.max_error is not None:
            more["max_error"] = config.max_error
        if self.tuned is not None:
            more["search"] = self.tuned.search
        return more

    def _name_parts(self) -> tuple[str, ...]:
        layers = JOIN.join(self._base.layers)
        views = (f"views{self.config.views}",) if self.config.views else ()
        name = self.table.dataset.name
        return name, str(self.table.base.spec), layers, str(self.spec), *views

    def _train(self, key: Mapping[str, Any], folder: Path) -> None:
        """Select inside train, fit on train, look at the test split once, write the run."""
        began = monotonic()
        learning = learner(self.task, self.progress)
        fit = self._fit(learning)
        test = self.table.rows("test")
        probabilities = softmax(_mean(learning.scores(fit.head, test)))
        dataset, base = self.table.dataset, self._base
        threshold = fit.selection.threshold
        judged = final_test(dataset, test, probabilities, threshold, self.config.seed)
        run = RunFolder(
            path=folder,
            kind=CLASSIFY,
            experiment=key,
            config=to_dict(self.config),
            base=base.to_dict(),
            recipe=base.recipe,
            dataset=RunData.of(self.table),
            head=str(self.spec),
            layers=base.layers,
            params=dict(self.spec.params),
            seed=self.config.seed,
            selection=fit.selection,
            test=judged,
            factor=fit.factor,
            seconds=round(monotonic() - began, 3),
        )
        write_run(run, PredictionRows.of(dataset, test, probabilities))
        candidates = () if self.tuned is None else self.tuned.candidates
        if candidates:
            write_json(folder / "search.json", list(candidates))
        shown = (judged.to_dict(), probabilities, dataset.labels[test], dataset.classes)
        write_plots(folder / "plots", *shown, candidates)
        save_head(
            folder / "bundle",
            fit.head,
            dataset.classes,
            base.to_dict(),
            test_views=ViewAverage.of(self.config),
            threshold=None if threshold is None else threshold.value,
        )

    def _fit(self, learner: Learner) -> Fit:
        """Fit on train, and see how well such a head does on pictures it has not seen.

        A head whose scores are no log probabilities gets one factor, fitted on those unseen
        pictures, that makes them so; any head does where calibration is asked for.
        """
        head = learner.head()
        if not self.selection.folds:
            return self._fit_unjudged(head, learner)
        places, views = learner.unseen()
        labels = self.table.dataset.labels[self.selection.rows[places]]
        given = self.spec.head.calibrated and not self.config.calibrate
        factor = 1.0 if given else fitting_factor(views[0], labels)
        unseen = Unseen(places, _mean([view * factor for view in views]), labels)
        selection = unseen.figures(self.selection.how)
        if self.tuned is not None:
            selection = _humbled(selection, self.tuned)
        selection = replace(selection, threshold=self._threshold(unseen))
        return Fit(head.sharpened(factor), factor, selection)

    def _fit_unjudged(self, head: FittedHead, learner: Learner) -> Fit:
        """Do what can be done where no picture can be held out.

        The factor comes from the training pictures: as these few show little, `fitting_factor` does
        not make a head surer than (n + 1) / (n + 2) of them.
        """
        train = self.selection.train
        factor = fitting_factor(learner.scores(head, train)[0], self.table.dataset.labels[train])
        nothing = SelectionFigures(by=self.selection.how, n=0, accuracy=None, log_loss=None)
        return Fit(head.sharpened(factor), factor, nothing)

    def _threshold(self, unseen: Unseen) -> Threshold | None:
        if self.config.max_error is None:
            return None
        probabilities, labels = unseen.once()
        threshold = choose_threshold(probabilities, labels, self.config.max_error)
        (logger.info if threshold.reached else logger.warning)("%s", threshold.describe())
        return threshold


def _mean(views: Views) -> np.ndarray:
    """Return scores (n, k) whose softmax is the mean over views."""
    return averaged(views) if len(views) > 1 else views[0]


def learnt_from(config: ClassifyConfig, table: FeatureTable) -> dict[str, Any]:
    """Return what decides the figures of any head on these pictures."""
    key: dict[str, Any] = {
        "dataset": table.dataset.digest,
        "test": table.dataset.test_name,
        "folds": config.folds,
        "repeats": config.repeats,
        "seed": config.seed,
    }
    if config.views:
        view = ViewRecipe(config.view_policy, config.seed).to_dict()
        key |= {"views": config.views, "view": view}
    return key


def _humbled(selection: SelectionFigures, tuned: Tuned) -> SelectionFigures:
    """Take off what being the best of many candidates adds, and say of how many."""
    assert selection.accuracy is not None
    assert selection.ci95 is not None
    low, high = selection.ci95
    n, less = len(tuned.candidates), tuned.optimism
    return replace(
        selection,
        by=f"{selection.by}, corrected for choosing among {n}",
        accuracy=selection.accuracy - less,
        ci95=(max(0.0, low - less), high - less),
        uncorrected=selection.accuracy,
        candidates=n,
    )
