"""Stage 2: train heads on cached features, experiment after experiment, without the pictures."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from pipeline.backbones.frozen import JOIN, FrozenBase
from pipeline.bundle import save_head
from pipeline.compute import Caches, resolve
from pipeline.config import ClassifyConfig, to_dict
from pipeline.evaluate import evaluate, log_loss
from pipeline.heads import FittedHead, HeadSpec, parse_heads, softmax
from pipeline.heads.fit import fit_head, fitting_factor
from pipeline.heads.select import Folds, make_folds, out_of_fold_scores
from pipeline.images import Dataset, ViewRecipe
from pipeline.runs import (
    PredictionRows,
    Run,
    best_run,
    experiment_digest,
    load_finished,
    load_run,
    new_run,
    run_name,
    write_run,
)
from pipeline.table import FeatureTable, Input, check_classes

logger = logging.getLogger("pipeline")

Progress = Callable[[int, int], None]
PROTOCOL = 1
"""Grows when the same settings would give another run."""


@dataclass(frozen=True)
class Result:
    """One experiment: the run it left, and whether it was there before."""

    run: Run
    reused: bool


@dataclass(frozen=True)
class Classification:
    """What stage 2 did.

    Args:
        results: One per input and head, in the order asked for.
        best: The run with the highest selection accuracy; the test split had no say.
        leaked: Test pictures that are byte-identical to a training picture.
        contradictory: Pictures that are byte-identical to one of another class.
    """

    results: tuple[Result, ...]
    best: Run
    leaked: int
    contradictory: int


def classify(
    config: ClassifyConfig, dataset: Dataset, progress: Progress | None = None
) -> Classification:
    """Train every head on every input and keep each experiment as a run.

    Choosing happens inside train: by stratified cross-validation, or on the validation split where
    the data has one beside its test split. Each head is then fitted on train and judged on the test
    split once. An experiment that was done before is answered from its run folder.

    Raises:
        DataError: Too few pictures for what was asked.
        StoreError: Features are missing from the cache.
    """
    base, inputs = resolve(config)
    specs = parse_heads(config.heads)
    caches = Caches(config, base)
    table = FeatureTable(dataset, caches.clean, base, caches.viewed, config.views)
    folds = _folds(config, dataset, table.rows("train"), table.rows("validation"))
    if folds is not None and len(folds) < config.folds:
        logger.warning("%d folds instead of %d: some class is that small", len(folds), config.folds)
    experiments = [
        Experiment(config, table, folds, joined, spec) for joined in inputs for spec in specs
    ]
    results = []
    for experiment in experiments:
        results.append(experiment.run())
        if progress is not None:
            progress(len(results), len(experiments))
    best = best_run([result.run for result in results], config.runs)
    return Classification(tuple(results), best, dataset.n_leaked, dataset.n_contradictory)


def check_settings(config: ClassifyConfig) -> None:
    """Raise what `classify` would raise about its settings, before any picture is read."""
    parse_heads(config.heads)
    resolve(config)


def check(config: ClassifyConfig, dataset: Dataset) -> None:
    """Raise what `classify` would raise about its data, before anything long begins."""
    check_classes(dataset, np.ones(len(dataset), bool))
    _folds(config, dataset, dataset.select("train"), dataset.select("validation"))


def _folds(
    config: ClassifyConfig, dataset: Dataset, train: np.ndarray, validation: np.ndarray
) -> Folds | None:
    """Make the folds of the training rows, or None where a validation split selects."""
    if len(validation):
        return None
    return make_folds(dataset.labels[train], config.folds, config.seed, dataset.bundles(train))


@dataclass(frozen=True)
class Fit:
    """A fitted head, the factor in its scores, and how it does on pictures unseen."""

    head: FittedHead
    factor: float
    selection: Mapping[str, Any]


def _selection(scores: np.ndarray, labels: np.ndarray, how: str) -> dict[str, Any]:
    return {
        "by": how,
        "n": len(labels),
        "accuracy": float(np.mean(scores.argmax(1) == labels)),
        "log_loss": log_loss(softmax(scores), labels),
    }


@dataclass(frozen=True)
class Experiment:
    """One head on one input of one data set."""

    config: ClassifyConfig
    table: FeatureTable
    folds: Folds | None
    joined: Input
    spec: HeadSpec

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
            "kind": "classify",
            "protocol": PROTOCOL,
            "dataset": self.table.dataset.digest,
            "test": self.table.dataset.test_name,
            "recipe": self._base.recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in self.joined],
            "head": self.spec.head.name,
            "params": dict(self.spec.params),
            "folds": self.config.folds,
            "seed": self.config.seed,
            **self._views(),
        }

    def _views(self) -> dict[str, Any]:
        """Say which augmented views took part; nothing where none did."""
        config = self.config
        if not config.views:
            return {}
        view = ViewRecipe(config.view_policy, config.seed).to_dict()
        return {"views": config.views, "view": view}

    def _name_parts(self) -> tuple[str, ...]:
        layers = JOIN.join(self._base.layers)
        views = (f"views{self.config.views}",) if self.config.views else ()
        name = self.table.dataset.name
        return name, str(self.table.base.spec), layers, str(self.spec), *views

    def _train(self, key: Mapping[str, Any], folder: Path) -> None:
        """Select inside train, fit on train, look at the test split once, write the run."""
        began = monotonic()
        fit = self._fit()
        head = fit.head
        test = self.table.rows("test")
        probabilities = softmax(head.scores(self.table.features(self.joined, test)))
        dataset, base = self.table.dataset, self._base
        judged = evaluate(probabilities, dataset.labels[test], self.config.seed)
        metrics = {
            "selection": fit.selection,
            "test": {"split": dataset.test_name, **judged.to_dict(dataset.classes)},
        }
        info = self._describe(key) | {
            "factor": fit.factor,
            "seconds": round(monotonic() - began, 3),
        }
        write_run(folder, info, metrics, PredictionRows.of(dataset, test, probabilities))
        save_head(folder / "bundle", head, dataset.classes, base.to_dict())

    def _fit(self) -> Fit:
        """Fit on train, and see how well such a head does on pictures it has not seen.

        A head whose scores are no log probabilities gets one factor, fitted on those unseen
        pictures, that makes them so.
        """
        table, seed, n_classes = self.table, self.config.seed, len(self.table.dataset.classes)
        train, validation = table.rows("train"), table.rows("validation")
        features, labels = table.with_views(self.joined, train), table.labels("train")
        n_views = table.n_views
        repeated = np.tile(labels, 1 + n_views)
        blocks, groups = table.widths(self.joined), table.dataset.bundles(train)
        together = (seed, n_views, blocks, groups)
        head = fit_head(self.spec, features, repeated, n_classes, *together)
        if self.folds is None:
            scores, given = head.scores(table.features(self.joined, validation)), validation
            how = "validation split"
        else:
            scores = out_of_fold_scores(
                self.spec, features, labels, n_classes, self.folds, *together
            )
            given, how = train, f"{len(self.folds)}-fold cross-validation"
        unseen = table.dataset.labels[given]
        factor = 1.0 if self.spec.head.calibrated else fitting_factor(scores, unseen)
        return Fit(head.sharpened(factor), factor, _selection(scores * factor, unseen, how))

    def _describe(self, key: Mapping[str, Any]) -> dict[str, Any]:
        base = self._base
        return {
            "kind": "classify",
            "experiment": key,
            "config": to_dict(self.config),
            "base": base.to_dict(),
            "recipe": base.recipe.to_dict(),
            "dataset": self.table.describe(),
            "head": str(self.spec),
            "layers": list(base.layers),
            "params": dict(self.spec.params),
            "seed": self.config.seed,
        }


def describe(result: Result) -> dict[str, Any]:
    """Return one row of the stage's ``--json`` value."""
    info, metrics = result.run.info, result.run.metrics
    selection, test = metrics["selection"], metrics["test"]
    return {
        "run": result.run.name,
        "head": info["head"],
        "layers": info["layers"],
        "params": info["params"],
        "selected_by": selection["by"],
        "selection_accuracy": selection["accuracy"],
        "selection_log_loss": selection["log_loss"],
        "cv_accuracy": selection["accuracy"] if "fold" in selection["by"] else None,
        "test": {
            **result.run.test(),
            "balanced_accuracy": test["balanced_accuracy"]["value"],
            "macro_f1": test["macro_f1"]["value"],
            "log_loss": test["log_loss"],
        },
        "seconds": info["seconds"],
        "reused": result.reused,
    }
