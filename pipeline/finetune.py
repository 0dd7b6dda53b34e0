"""Stage 3: train the upper part of the base together with the head, from where the head ended."""

import csv
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import keras
import numpy as np

from pipeline.augment import augmentation
from pipeline.backbones.frozen import frozen_from_dict
from pipeline.backbones.unfreeze import unfreeze
from pipeline.bundle import save_model
from pipeline.config import FinetuneConfig, to_dict
from pipeline.engines.tensorflow import TensorFlowEngine, configure_devices
from pipeline.errors import DataError, RunError
from pipeline.evaluate import evaluate, log_loss
from pipeline.heads import HeadSpec, NetworkHead
from pipeline.heads.fit import fit_head
from pipeline.heads.transplant import transplant, with_probabilities
from pipeline.images import Dataset, load_batches, validation_slice
from pipeline.runs import (
    PredictionRows,
    Run,
    experiment_digest,
    load_finished,
    load_run,
    new_run,
    run_name,
    transplantable_head,
    write_run,
)
from pipeline.store import FeatureCache
from pipeline.table import FeatureTable
from pipeline.training import Epoch, OnStep, PictureBatch, Plan, Trainer, best_epoch

logger = logging.getLogger("pipeline")

PROTOCOL = 1
"""Grows when the same settings would train differently."""
SETTINGS = (
    "unfreeze",
    "augment",
    "epochs",
    "patience",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "validation_fraction",
    "batch_size",
    "seed",
)


@dataclass(frozen=True)
class Finetuned:
    """What stage 3 did: the run it left, and whether it was there before."""

    run: Run
    reused: bool


def finetune(
    config: FinetuneConfig,
    dataset: Dataset,
    source: Run,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_step: OnStep = lambda *step: None,
) -> Finetuned:
    """Fine-tune the base under a run's head.

    The head is fitted again on the training pictures without those that decide when to stop: a
    head that has seen them would make the untrained model look unbeatable.

    Args:
        config: What learns, and how.
        dataset: The pictures.
        source: The run to start from; its features of ``dataset`` are in the cache.
        on_epoch: Told of epoch 0 (before training) and of every epoch.
        on_step: Told of each step.

    Raises:
        RunError: The run's head cannot sit on the base, or has other classes.
        InputError: Nothing would learn.
    """
    spec = transplantable_head(source)
    if list(dataset.classes) != source.info["dataset"]["classes"]:
        raise RunError(
            f"expected the classes of {source.name} ({', '.join(source.info['dataset']['classes'])}"
            f"), received {', '.join(dataset.classes)} in {dataset.location}; run `pipeline "
            f"classify` on these pictures first"
        )
    base = frozen_from_dict(source.info["base"])
    table = FeatureTable(dataset, FeatureCache(config.cache, base.recipe), base)
    if source.data != dataset.digest:
        logger.warning(
            "%s was made on other pictures than %s holds now; its head is fitted again on these",
            source.name,
            dataset.location,
        )
    key = _key(config, table, spec, source)
    parts = (dataset.name, str(base.spec), "finetune", config.unfreeze, str(spec))
    name = run_name(parts, experiment_digest(key))
    if (finished := load_finished(config.runs / name, key)) is not None:
        return Finetuned(finished, reused=True)
    with new_run(config.runs, name) as folder:  # made first: it may not be writable
        FineTuning(config, table, spec, source).run(key, folder, on_epoch, on_step)
    return Finetuned(load_run(config.runs / name), reused=False)


def _key(
    config: FinetuneConfig, table: FeatureTable, spec: HeadSpec, source: Run
) -> dict[str, Any]:
    settings = {name: getattr(config, name) for name in SETTINGS}
    return {
        "kind": "finetune",
        "protocol": PROTOCOL,
        "dataset": table.dataset.digest,
        "test": table.dataset.test_name,
        "recipe": table.base.recipe.digest,
        "joined": [[cut.layer, cut.pooling] for cut in table.base.cuts],
        "head_seed": source.info["seed"],
        "factor": source.info["factor"],
        "head": spec.head.name,
        "params": dict(spec.params),
        **settings,
    }


class FineTuning:
    """One fine-tuning: its pictures, its model, its outcome."""

    def __init__(
        self, config: FinetuneConfig, table: FeatureTable, spec: HeadSpec, source: Run
    ) -> None:
        self.config, self.table, self.spec, self.source = config, table, spec, source
        self.dataset, self.base = table.dataset, table.base
        self.fit_rows, self.validation_rows, self.validated_on = self._split()

    def _split(self) -> tuple[np.ndarray, np.ndarray, str]:
        train, validation = self.table.rows("train"), self.table.rows("validation")
        if len(validation):
            return train, validation, "validation split"
        fit, held_out = validation_slice(
            self.dataset, train, self.config.validation_fraction, self.config.seed
        )
        return fit, held_out, f"slice of train ({len(held_out)} pictures)"

    def run(
        self,
        key: Mapping[str, Any],
        folder: Path,
        on_epoch: Callable[[Epoch], None],
        on_step: OnStep,
    ) -> None:
        """Train, judge on the test split once, and write the run."""
        began = monotonic()
        keras.utils.set_random_seed(self.config.seed)
        on_gpu = configure_devices(self.base.precision)
        head, head_accuracy = self._head()
        model = transplant(self.base.build(), head, self.spec.params.get("dropout", 0.0))
        learning = unfreeze(model, self.base.spec, self.config.unfreeze)
        whole = with_probabilities(model)
        engine = TensorFlowEngine(whole, self.config.batch_size, on_gpu)
        history = self._train(model, engine, on_epoch, on_step)
        test = self.table.rows("test")
        probabilities = self._probabilities(engine, test)
        kept = best_epoch(history)
        initial = {
            "validation_accuracy": history[0].validation_accuracy,
            "head_accuracy": head_accuracy,
            "n": len(self.validation_rows),
        }
        judged = evaluate(probabilities, self.dataset.labels[test], self.config.seed)
        metrics = {
            "selection": self._selection(history[0], kept),
            "initial": initial,
            "epochs": [asdict(epoch) for epoch in history],
            "test": {"split": self.dataset.test_name, **judged.to_dict(self.dataset.classes)},
        }
        info = self._describe(key, learning) | {"seconds": round(monotonic() - began, 3)}
        write_run(folder, info, metrics, PredictionRows.of(self.dataset, test, probabilities))
        write_history(folder / "history.csv", history)
        save_model(folder / "bundle", whole, self.dataset.classes, self.base.to_dict())

    def _head(self) -> tuple[NetworkHead, float]:
        """Fit the run's head without the validation pictures; return it and its accuracy there."""
        features = self.table.features(self.base.cuts, self.fit_rows)
        labels, n_classes = self.dataset.labels[self.fit_rows], len(self.dataset.classes)
        head = fit_head(
            self.spec,
            features,
            labels,
            n_classes,
            self.source.info["seed"],
            blocks=self.table.widths(self.base.cuts),
            groups=self.dataset.bundles(self.fit_rows),
        )
        unseen = self.table.features(self.base.cuts, self.validation_rows)
        given = self.dataset.labels[self.validation_rows]
        head = head.sharpened(self.source.info["factor"])
        assert isinstance(head, NetworkHead)
        return head, float(np.mean(head.scores(unseen).argmax(1) == given))

    def _train(
        self,
        model: keras.Model,
        engine: TensorFlowEngine,
        on_epoch: Callable[[Epoch], None],
        on_step: OnStep,
    ) -> list[Epoch]:
        config = self.config
        plan = Plan(
            config.epochs,
            config.patience,
            math.ceil(len(self.fit_rows) / config.batch_size),
            config.learning_rate,
            config.weight_decay,
            config.label_smoothing,
        )
        augment = augmentation(config.augment, self.base.decoding.size, config.seed)
        trainer = Trainer(model, augment, plan)
        return trainer.fit(self._batches, lambda: self._validate(engine), on_epoch, on_step)

    def _batches(self, epoch: int) -> Iterator[PictureBatch]:
        rng = np.random.default_rng((self.config.seed, epoch))
        return self._pictures(rng.permutation(self.fit_rows))

    def _pictures(self, rows: np.ndarray) -> Iterator[PictureBatch]:
        """Decode the given rows, in that order; a picture that changed meanwhile is an error."""
        batches = load_batches(
            self.dataset.read,
            rows,
            self.base.decoding,
            self.config.batch_size,
            expected_digests=self.dataset.digests,
        )
        for batch in batches:
            for failure in batch.failed:
                raise DataError(
                    f"expected the picture {self.dataset.paths[failure.row]} as it was when its "
                    f"features were computed: {failure.reason}; run the same command again"
                )
            yield batch.images, self.dataset.labels[batch.rows]

    def _probabilities(self, engine: TensorFlowEngine, rows: np.ndarray) -> np.ndarray:
        """Return class probabilities (n, k) of the given rows, in that order."""
        images = (images for images, _ in self._pictures(rows))
        return np.concatenate([output for (output,) in engine.run(images)]).astype(np.float64)

    def _validate(self, engine: TensorFlowEngine) -> tuple[float, float]:
        given = self.dataset.labels[self.validation_rows]
        probabilities = self._probabilities(engine, self.validation_rows)
        return log_loss(probabilities, given), float(np.mean(probabilities.argmax(1) == given))

    def _selection(self, before: Epoch, kept: Epoch) -> dict[str, Any]:
        """Say how good the model is on pictures unseen, comparably with its head's own figure.

        A slice of train is small, so its accuracy would win or lose by luck against a
        cross-validation over all of train; the gain over the head on the same slice would not.
        """
        head = self.source.metrics["selection"]
        gain = kept.validation_accuracy - before.validation_accuracy
        return {
            "by": f"{head['by']} of the head, and the gain on a {self.validated_on}",
            "n": len(self.validation_rows),
            "accuracy": min(1.0, head["accuracy"] + gain),
            "log_loss": kept.validation_loss,
            "validation_accuracy": kept.validation_accuracy,
            "epoch": kept.epoch,
        }

    def _describe(self, key: Mapping[str, Any], learning: list[str]) -> dict[str, Any]:
        return {
            "kind": "finetune",
            "experiment": key,
            "config": to_dict(self.config),
            "base": self.base.to_dict(),
            "recipe": self.base.recipe.to_dict(),
            "dataset": self.table.describe(),
            "from": self.source.name,
            "head": str(self.spec),
            "layers": list(self.base.layers),
            "learned_layers": learning,
            "params": dict(self.spec.params),
            "seed": self.config.seed,
        }


def write_history(path: Path, history: list[Epoch]) -> None:
    """Write one CSV row per epoch."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(asdict(history[0])))
        table.writeheader()
        table.writerows(asdict(epoch) for epoch in history)


def describe(finetuned: Finetuned) -> dict[str, Any]:
    """Return the stage's ``--json`` value."""
    info, metrics = finetuned.run.info, finetuned.run.metrics
    return {
        "run": finetuned.run.name,
        "from": info["from"],
        "initial": metrics["initial"],
        "epochs": metrics["epochs"],
        "kept_epoch": metrics["selection"]["epoch"],
        "test": finetuned.run.test(),
        "seconds": info["seconds"],
        "reused": finetuned.reused,
    }
