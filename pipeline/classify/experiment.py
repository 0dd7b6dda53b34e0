"""One experiment: a head on an input, chosen by pictures it had not seen, judged by the test split.

An experiment that was done before is answered from its run folder.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pipeline.backbones.engines.precision import is_quantised
from pipeline.classify.bases import ChosenBase
from pipeline.classify.learning import Learner, ScoresOfViews, learner_of
from pipeline.classify.search.memory import SearchedHead
from pipeline.classify.selection import Selection, selection_figures
from pipeline.config import ClassifyConfig, to_dict
from pipeline.errors import DataError
from pipeline.evaluate import (
    Threshold,
    choose_threshold,
    confident_mistakes,
    confused_pairs,
    evaluate,
    judge_threshold,
    mean_over_views,
)
from pipeline.features.base import FrozenBase
from pipeline.features.inputs import JOIN
from pipeline.features.table import FeatureTable, Input
from pipeline.heads import FittedHead, HeadSpec, softmax
from pipeline.heads.fit import fitting_factor
from pipeline.heads.typical import (
    LEAST_PICTURES,
    MOST_WIDTH,
    Density,
    fit_density,
    sampled,
)
from pipeline.images import Dataset, ViewAverage, ViewRecipe
from pipeline.images.splits import rows_of_bytes
from pipeline.runs import (
    CLASSIFY,
    FinalTest,
    Look,
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
    typical_of,
    write_run,
)
from pipeline.runs.figures import typical_test
from pipeline.runs.folder import TYPICAL_TEST
from pipeline.system.files import write_json
from pipeline.system.progress import SILENT, Reporter

logger = logging.getLogger(__name__)

USUAL_LEAST = 0.01
PROTOCOL = 2
"""Grows when the same settings would give another run."""


@dataclass(frozen=True)
class Result:
    """One experiment: the run it left, and whether it was there before."""

    run: RunFolder
    reused: bool

    def to_dict(self) -> dict[str, Any]:
        """Return its part of the stage's ``--json`` value."""
        run, selection, test = self.run, self.run.selection, self.run.test
        return {
            "run": run.name,
            "backbone": run.recipe.named(run.weights),
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
            "typical": typical_of(run),
            "seconds": run.seconds,
            "reused": self.reused,
        }


@dataclass(frozen=True)
class Experiment:
    """One head on one input of one data set.

    Args:
        config: The stage's settings.
        table: The features.
        selection: What is learnt from, and what judges.
        joined: The input.
        spec: The head.
        searched: What a search says of this head; None where nothing was searched.
        among: The bases that this one was chosen among; None where one alone was asked for.
    """

    config: ClassifyConfig
    table: FeatureTable
    selection: Selection
    joined: Input
    spec: HeadSpec
    searched: SearchedHead | None = None
    among: ChosenBase | None = None

    def run(self, reporter: Reporter = SILENT) -> Result:
        """Answer from the run folder, or train and write it."""
        if (finished := self.finished()) is not None:
            return finished
        key, path = self._key(), self._path()
        with new_run(path.parent, path.name) as folder:  # made first: it may not be writable
            self._train(key, folder, self.learner(reporter))
        return Result(load_run(path), reused=False)

    def finished(self) -> Result | None:
        """Answer from the run folder; None where this was not done before."""
        run = load_finished(self._path(), self._key())
        return None if run is None else Result(run, reused=True)

    @property
    def expected_seconds(self) -> float | None:
        """What a search took to judge this head on this input; None where nothing was searched."""
        layers, head = self._base.layers, str(self.spec)
        candidates = () if self.searched is None else self.searched.candidates
        took = (one.seconds for one in candidates if (one.layers, one.head) == (layers, head))
        return next(took, None)

    def learner(self, reporter: Reporter = SILENT) -> Learner:
        """Return what fits the head; raises InputError where this machine cannot."""
        parts = (self.table, self.selection, self.joined, self.spec, self.config.seed)
        return learner_of(*parts, reporter)

    def _train(self, key: Mapping[str, Any], folder: Path, learner: Learner) -> None:
        """Select inside train, fit on train, look at the test split once, write the run."""
        began, dataset, base = monotonic(), self.table.dataset, self._base
        head, factor, selection = self._fit(learner)
        test, threshold = self.table.rows("test"), selection.threshold
        probabilities = _mean(learner.scores(head, test))
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
            selection=selection,
            test=_final_test(dataset, test, probabilities, threshold, self.config.seed),
            factor=factor,
            seconds=round(monotonic() - began, 3),
        )
        write_run(run, PredictionRows.of(dataset, test, probabilities))
        candidates = [] if self.searched is None else self.searched.rows()
        if candidates:
            write_json(folder / "search.json", candidates)
        drawn = (run.test, probabilities, dataset.labels[test], dataset.classes)
        _write_plots(folder / "plots", *drawn, candidates)
        look = self._look()
        if look.density is not None:
            self._keep_typical(folder, look.density, test)
        save_head(
            folder / "bundle",
            head,
            dataset.classes,
            base.to_dict(),
            test_views=ViewAverage.of(self.config),
            threshold=None if threshold is None else threshold.value,
            look=look,
        )
        if is_quantised(base.precision):
            from pipeline.backbones.engines.quantised import take_along

            take_along(self.config.converted, base, folder / "bundle")

    def _keep_typical(self, folder: Path, density: Density, rows: np.ndarray) -> None:
        """Write how typical the final test's pictures are, the least first."""
        typical = np.empty(len(rows))
        for places, features in self.table.blocks(self.joined, rows):
            typical[places] = density.typical(features)
        least = self.config.min_typical or USUAL_LEAST
        paths = [self.table.dataset.paths[row] for row in rows.tolist()]
        write_json(folder / TYPICAL_TEST, typical_test(typical, paths, least))

    def _look(self) -> Look:
        """Describe the training pictures, each content once, as this input sees them."""
        dataset, train = self.table.dataset, self.selection.train
        contents = rows_of_bytes(dataset.digests[train])
        once = train[sorted({one: place for place, one in enumerate(contents)}.values())]
        some = once[sampled(len(once), self.config.seed)]
        width, density = sum(self.table.widths(self.joined)), None
        if width <= MOST_WIDTH:
            features = np.empty((len(some), width), np.float32)
            for places, rows in self.table.blocks(self.joined, some):
                features[places] = rows
            density = fit_density(features)
        if density is None and self.config.min_typical is not None:
            raise DataError(
                f"expected {LEAST_PICTURES} different training pictures or more, and at most "
                f"{MOST_WIDTH} features, for min_typical={self.config.min_typical}, received "
                f"{len(once)} and {width}: leave --min-typical out"
            )
        return Look(density, np.unique(self.table.used.digests, axis=0), self.config.min_typical)

    def _fit(self, learner: Learner) -> tuple[FittedHead, float, SelectionFigures]:
        """Fit on train, and see how well such a head does on pictures it has not seen.

        A head whose scores are no log probabilities gets one factor, fitted on those unseen
        pictures, that makes them so; any head does where calibration is asked for. Where no picture
        can be held out the factor comes from the training pictures: as these few show little,
        `fitting_factor` does not make a head surer than (n + 1) / (n + 2) of them.

        Returns:
            The head, whose scores are log probabilities; what they were multiplied with to become
            so; how good it is on pictures that heads are chosen by.
        """
        head, selection = learner.head(), self.selection
        labels = self.table.dataset.labels
        if not selection.folds:
            train = selection.train
            factor = fitting_factor(learner.scores(head, train)[0], labels[train])
            nothing = SelectionFigures(by=selection.how, n=0, accuracy=None, log_loss=None)
            return head.sharpened(factor), factor, nothing
        places, views = learner.unseen()
        given = labels[selection.rows[places]]
        calibrated = self.spec.head.calibrated and not self.config.calibrate
        factor = 1.0 if calibrated else fitting_factor(views[0], given)
        probabilities = _mean([view * factor for view in views])
        figures = selection_figures(selection.how, places, probabilities, given)
        if self.searched is not None:
            n, less = len(self.searched.candidates), self.searched.optimism
            figures = _humbled(figures, f"{n}", n, less)
        if self.among is not None:
            n, less = len(self.among.bases), self.among.optimism
            figures = _humbled(figures, f"{n} bases", n, less)
        if self.config.max_error is not None:
            _, first = np.unique(places, return_index=True)  # each picture once
            limit = self.config.max_error
            threshold = choose_threshold(probabilities[first], given[first], limit)
            if threshold.reached:  # of what is not, only the best run's is told
                logger.info("%s", threshold.describe())
            figures = replace(figures, threshold=threshold)
        return head.sharpened(factor), factor, figures

    def _path(self) -> Path:
        config, dataset, base = self.config, self.table.dataset, self._base
        views = (f"views{config.views}",) if config.views else ()
        told = (dataset.name, str(base.spec), JOIN.join(base.layers), str(self.spec), *views)
        return config.runs / run_name(told, experiment_digest(self._key()))

    @property
    def _base(self) -> FrozenBase:
        return self.table.base.with_cuts(self.joined)

    def _key(self) -> dict[str, Any]:
        """Everything that decides the outcome; where files lie and their names do not."""
        config = self.config
        key: dict[str, Any] = {
            "kind": CLASSIFY,
            "protocol": PROTOCOL,
            "recipe": self._base.recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in self.joined],
            "head": self.spec.head.name,
            "params": dict(self.spec.params),
            **self.spec.solver,
            **learnt_from(config, self.table),
        }
        # What follows is there only where it was asked for, so that older runs keep their names.
        if config.test_views:
            key["test_views"] = config.test_views
            key["view"] = ViewRecipe(config.view_policy, config.seed).to_dict()
        if config.calibrate:
            key["calibrate"] = True
        if config.max_error is not None:
            key["max_error"] = config.max_error
        if config.min_typical is not None:
            key["min_typical"] = config.min_typical
        if self.searched is not None:
            key["search"] = self.searched.search
        if self.among is not None:
            key["among"] = self.among.to_dict()
        return key


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


def _mean(views: ScoresOfViews) -> np.ndarray:
    """Return probabilities (n, k): the mean over views."""
    return mean_over_views([softmax(view) for view in views])


def _humbled(figures: SelectionFigures, what: str, n: int, less: float) -> SelectionFigures:
    """Take off what being the best of many candidates adds, and say of how many."""
    assert figures.accuracy is not None, "nothing was judged"
    assert figures.ci95 is not None, "nothing was judged"
    low, high = figures.ci95
    said = " and " if figures.candidates else ", corrected for choosing among "
    return replace(
        figures,
        by=f"{figures.by}{said}{what}",
        accuracy=figures.accuracy - less,
        ci95=(max(0.0, low - less), high - less),
        uncorrected=figures.accuracy if figures.uncorrected is None else figures.uncorrected,
        candidates=n * (figures.candidates or 1),
    )


def _final_test(
    dataset: Dataset,
    rows: np.ndarray,
    probabilities: np.ndarray,
    threshold: Threshold | None,
    seed: int,
) -> FinalTest:
    """Judge the final test's rows (n,) by probabilities (n, k), and show where they are wrong."""
    labels, paths = dataset.labels[rows], [dataset.paths[row] for row in rows]
    given = (probabilities, labels, paths, dataset.classes)
    answered = threshold and judge_threshold(threshold.value, probabilities, labels)
    return FinalTest.of(
        dataset.test_name,
        evaluate(probabilities, labels, seed),
        dataset.classes,
        confused=[pair.to_dict() for pair in confused_pairs(*given)],
        mistakes=[mistake.to_dict() for mistake in confident_mistakes(*given)],
        answered=answered and answered.to_dict(),
    )


def _write_plots(
    folder: Path,
    test: FinalTest,
    probabilities: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    candidates: Sequence[Mapping[str, Any]],
) -> None:
    """Draw how good probabilities (n, k) are, and rows of ``search.json``, if any, as SVG files."""
    from pipeline.evaluate.plots import plot_calibration, plot_confusion, plot_ranking, plot_search

    folder.mkdir()
    called, confidence = probabilities.argmax(1), probabilities.max(1)
    confusion = np.array(test.confusion)
    plot_confusion(confusion, classes, test.split, folder / "confusion.svg")
    judged = (test.reliability, confidence, called != labels)
    plot_calibration(*judged, test.split, folder / "calibration.svg")
    plot_ranking(probabilities, labels, classes, test.split, folder / "ranking.svg")
    if candidates:
        plot_search(candidates, folder / "search.svg")
