"""One fine-tuning as it was asked for: its pictures, its settings, and the key they make."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.config import FinetuneConfig
from pipeline.errors import DataError, RunError
from pipeline.features.base import FrozenBase
from pipeline.features.extract import CachedFeatures
from pipeline.features.table import FeatureTable
from pipeline.finetune.settings import FULL, Changes, changes, class_weight, depth
from pipeline.finetune.training.plan import Plan
from pipeline.heads import HeadSpec
from pipeline.heads.class_weights import class_weights
from pipeline.images import Dataset, validation_slice
from pipeline.runs import FINETUNE, RunFolder, experiment_digest, transplantable_head
from pipeline.system.units import named

PROTOCOL = 5
"""Grows when the same settings would train or be judged differently."""
SETTINGS = (
    "mode",
    "unfreeze",
    "epochs",
    "head_epochs",
    "patience",
    "learning_rate",
    "block_decay",
    "weight_decay",
    "batch_norm",
    "precision",
    "label_smoothing",
    "validation_fraction",
    "batch_size",
    "seed",
)


@dataclass(frozen=True)
class Task:
    """What is to be fine-tuned, on what.

    Args:
        config: What learns, and how.
        table: The pictures, and the features that the head learns from.
        spec: The head.
        source: The run that it comes from.
        changed: How training pictures are changed.
        weighs: How classes are weighed: ``balanced``, or None for all pictures alike.
        fit: (n,) int, rows to learn from.
        validation: (m,) int, rows that decide when to stop.
        validated_on: What these are, in words.
    """

    config: FinetuneConfig
    table: FeatureTable
    spec: HeadSpec
    source: RunFolder
    changed: Changes
    weighs: str | None
    fit: np.ndarray
    validation: np.ndarray
    validated_on: str

    @property
    def dataset(self) -> Dataset:
        """The pictures."""
        return self.table.dataset

    @property
    def base(self) -> FrozenBase:
        """The base under the head."""
        return self.table.base

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.dataset.classes)

    @property
    def test(self) -> np.ndarray:
        """Rows (n,) that the kept model is judged by."""
        return self.table.rows("test")

    @property
    def rows(self) -> np.ndarray:
        """All rows that are needed: to learn from, to decide when to stop, to judge."""
        return np.concatenate([self.fit, self.validation, self.test])

    @property
    def judged_labels(self) -> np.ndarray:
        """Class numbers (m,) of the pictures that decide when to stop."""
        return self.dataset.labels[self.validation]

    @property
    def name_parts(self) -> tuple[str, ...]:
        """What the name of the run is made of, before its digest."""
        config = self.config
        kind = "finetune" if config.mode == FULL else f"finetune-{config.mode}"
        return self.dataset.name, str(self.base.spec), kind, config.unfreeze, str(self.spec)

    def key(self) -> dict[str, Any]:
        """Return everything that decides the outcome; where files lie and their names do not."""
        return {
            "kind": FINETUNE,
            "protocol": PROTOCOL,
            "dataset": self.dataset.digest,
            "test": self.dataset.test_name,
            "recipe": self.base.recipe.digest,
            "joined": [[cut.layer, cut.pooling] for cut in self.base.cuts],
            "head_seed": self.source.seed,
            "head_views": self.table.n_views,
            "factor": self.source.factor,
            "head": self.spec.head.name,
            "params": dict(self.spec.params),
            "class_weight": self.weighs,
            **self.changed.to_dict(),
            **self._onward(),
            **{name: getattr(self.config, name) for name in SETTINGS},
            **({"budget": seconds} if (seconds := self.config.budget_seconds) else {}),
        }

    def _onward(self) -> dict[str, str]:
        tuned = self.source.kind == FINETUNE
        return {"from": experiment_digest(self.source.experiment)} if tuned else {}

    def plan(self, learning_rate: float, last: bool, seconds: float) -> Plan:
        """Return how long and how gently to train; the arguments are as those of `Plan`."""
        config = self.config
        weights = class_weights(self.dataset.labels[self.fit], self.n_classes, self.weighs)
        return Plan(
            config.epochs,
            config.patience,
            math.ceil(len(self.fit) / config.batch_size),
            learning_rate,
            config.weight_decay,
            config.label_smoothing,
            config.head_epochs,
            None if weights is None else tuple(weights.tolist()),
            config.seed,
            last,
            seconds,
        )


def check_classes(dataset: Dataset, source: RunFolder) -> None:
    """Refuse pictures of other classes than the run knows.

    Raises:
        RunError: They are.
    """
    known, here = source.dataset.classes, tuple(dataset.classes)
    if here != known:
        lacking, new = sorted({*known} - {*here}), sorted({*here} - {*known})
        differences = [
            f"{what} {named(some)}" for what, some in (("without", lacking), ("with", new)) if some
        ]
        raise RunError(
            f"expected the {len(known)} classes of {source.name} in {dataset.location}, received "
            f"{len(here)}, {' and '.join(differences)}; run `pipeline classify` on these pictures "
            "first"
        )


def make_task(config: FinetuneConfig, found: CachedFeatures, source: RunFolder) -> Task:
    """Join pictures, run and settings.

    Args:
        config: What learns, and how.
        found: The pictures, with the features that the run's head learns from.
        source: The run to start from.

    Raises:
        RunError: The run's head cannot sit on the base.
        DataError: Pictures have no features, or none can be held out.
    """
    spec = transplantable_head(source)
    config = replace(config, unfreeze=depth(config))
    table = found.table(source.n_views)
    weighs = class_weight(config, spec)
    changed = changes(config, source)
    return Task(config, table, spec, source, changed, weighs, *_split(config, table, source))


def _split(
    config: FinetuneConfig, table: FeatureTable, source: RunFolder
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return rows to learn from, rows that decide when to stop, and what the latter are.

    What goes on from a fine-tuned run has its slice: it has learnt from all others.
    """
    train, validation = table.rows("train"), table.rows("validation")
    if len(validation):
        return train, validation, "validation split"
    fraction, seed = config.validation_fraction, config.seed
    if source.kind == FINETUNE:
        fraction, seed = source.config.get("validation_fraction", fraction), source.seed
    fit, held_out = validation_slice(table.dataset, train, fraction, seed)
    if not len(held_out):
        raise DataError(
            f"expected a class with two different training pictures or more, of which one decides "
            f"when to stop, received one of each class in {table.dataset.location}; add some, or a "
            f"validation split beside train and test"
        )
    return fit, held_out, f"slice of train ({len(held_out)} pictures)"
