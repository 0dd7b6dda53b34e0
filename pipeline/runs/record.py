"""A finished run as typed attributes, from ``run.json`` and ``metrics.json``, and back.

These two are read and written here and nowhere else. What older runs did not say yet has its
default where it is read.
"""

import datetime
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.config import DataConfig, FeaturesConfig
from pipeline.features.base import decoding_from_dict
from pipeline.features.store import Recipe
from pipeline.features.table import FeatureTable
from pipeline.images import DecodeRecipe
from pipeline.runs.bundle import Bundle, load_bundle
from pipeline.runs.figures import FinalTest, InitialFigures, Row, SelectionFigures
from pipeline.runs.predictions import open_rows
from pipeline.system.startup import installed_version

FORMAT = "bottleneck-run"
FORMAT_VERSION = 1
VERSIONED = ("bottleneck-pipeline", "tensorflow", "keras", "numpy", "scikit-learn", "pillow")
CLASSIFY, FINETUNE = "classify", "finetune"
PREDICTIONS = "predictions.csv"


@dataclass(frozen=True, kw_only=True)
class RunData:
    """What a run remembers of its data set.

    Args:
        digest: Of contents, labels and splits, in hex.
        root: Its location as it was then: an absolute path, or a URL.
        name: The short name of that location.
        classes: Class names; column j of every probability is ``classes[j]``.
        pictures: How many of each split were used.
        left_out: Pictures that could not be used.
        given_splits: Whether the source decided the splits, and not content.
        leaked: Test pictures that are byte-identical to a training picture.
        indexing: The settings by which labels, splits and groups were read, by the names of
            `pipeline.config.DataConfig`; older runs say them in their config.
    """

    digest: str
    root: str
    name: str
    classes: tuple[str, ...] = ()
    pictures: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    given_splits: bool = False
    leaked: int = 0
    indexing: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, table: FeatureTable) -> "RunData":
        """Take what the data set of some features is."""
        dataset = table.dataset
        return cls(
            digest=dataset.digest,
            root=dataset.location,
            name=dataset.name,
            classes=tuple(dataset.classes),
            pictures={name: len(table.rows(name)) for name in ("train", "validation", "test")},
            left_out=table.n_left_out,
            given_splits=dataset.given_splits,
            leaked=table.used.n_leaked,
            indexing=dataset.indexing,
        )

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "RunData":
        """Read the ``dataset`` of a ``run.json``."""
        root = str(value["root"])
        return cls(
            digest=str(value["digest"]),
            root=root,
            name=str(value.get("name", Path(root).name)),
            classes=tuple(value.get("classes", ())),
            pictures=value.get("pictures", {}),
            left_out=value.get("left_out", 0),
            given_splits=value.get("given_splits", False),
            leaked=value.get("leaked", 0),
            indexing=value.get("indexing", {}),
        )


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What a fine-tuned run says beside what every run does.

    Args:
        from_run: Name of the run that it began with.
        learned_layers: Layers of the base that learned.
        boundary: Layer whose activations were cached; None where pictures went through the base.
        step_factors: How much smaller than the first the steps of each layer are.
        changes: How training pictures were changed.
        devices: Accelerators that shared a batch.
        initial: Where it began; None in runs that do not say it.
        epochs: Figures of epoch 0 (before training) and of every epoch, see `Epoch`.
    """

    from_run: str = "best"
    learned_layers: tuple[str, ...] = ()
    boundary: str | None = None
    step_factors: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    devices: int = 1
    initial: InitialFigures | None = None
    epochs: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A finished run, as read from its folder, or as it is about to be written there.

    Args:
        path: Its folder.
        kind: ``classify`` or ``finetune``.
        experiment: Everything that decided the outcome.
        config: The settings that it was made with.
        base: From `FrozenBase.to_dict`; `frozen_from_dict` makes the base again.
        recipe: Of the features that its head learnt from.
        dataset: Its data set.
        head: The head with its parameters.
        layers: Its input: one layer, or several side by side.
        params: The head's parameters alone.
        seed: Of everything random.
        factor: What the head's scores were multiplied with.
        seconds: Of training and judging; 0 where that is not known.
        selection: What it was chosen by.
        test: How good it is.
        fine_tuning: What only a fine-tuned run says; None for a head on frozen features.
        created: When it was written, ISO 8601 in UTC.
        versions: Of the packages that made it.
        python: The version of Python.
    """

    path: Path
    kind: str
    experiment: Mapping[str, Any]
    config: Mapping[str, Any]
    base: Mapping[str, Any]
    recipe: Recipe
    dataset: RunData
    head: str
    layers: tuple[str, ...]
    params: Mapping[str, Any]
    seed: int
    selection: SelectionFigures
    test: FinalTest
    factor: float = 1.0
    seconds: float = 0.0
    fine_tuning: FineTuning | None = None
    created: str = ""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    python: str | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def weights(self) -> str:
        """The weights of its base, as the user said it."""
        return str(self.base["weights"])

    @property
    def weights_seed(self) -> int:
        """Of random weights."""
        return int(self.base["weights_seed"])

    @property
    def decoding(self) -> DecodeRecipe:
        """How a picture became what its base sees."""
        return decoding_from_dict(self.base)

    @property
    def n_views(self) -> int:
        """Augmented views of each training picture that its head learnt from."""
        return int(self.config.get("views") or 0)

    @property
    def view_policy(self) -> str:
        """What those change."""
        return str(self.config.get("view_policy") or FeaturesConfig.view_policy)

    @property
    def indexing(self) -> dict[str, Any]:
        """The settings by which its pictures were indexed, to label and split them alike again."""
        said = self.dataset.indexing or {**self.config, "seed": self.seed}
        return {name: said[name] for name in DataConfig().indexing if name in said}

    @property
    def mode(self) -> str | None:
        """What fine-tuning let learn; None for a head on frozen features."""
        return None if self.fine_tuning is None else self.config.get("mode", "full")

    def bundle(self, trust: bool = False) -> Bundle:
        """Load what predicts; raises RunError when it is damaged, or could run code unasked."""
        return load_bundle(self.path / "bundle", trust)

    def tested(self) -> list[tuple[str, str]]:
        """Return path (relative to the data's root) and hex digest of each test picture."""
        with open_rows(self.path / PREDICTIONS) as rows:
            return [(row["path"], row["digest"]) for row in rows]

    def correct(self) -> dict[tuple[str, str, int], bool]:
        """Return whether each test picture was labelled rightly; raises RunError when that is gone.

        Pictures are known by their content and label, whatever they are called today; the number
        tells identical ones apart.
        """
        right: dict[tuple[str, str, int], bool] = {}
        seen: Counter[tuple[str, str]] = Counter()
        with open_rows(self.path / PREDICTIONS) as rows:
            for row in rows:
                picture = (row["digest"], row["label"])
                right[(*picture, seen[picture])] = row["label"] == row["prediction"]
                seen[picture] += 1
        return right


def info_of(run: RunFolder) -> dict[str, Any]:
    """Return ``run.json`` of a run that is made now."""
    info = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "versions": {name: installed_version(name) for name in VERSIONED},
        "python": platform.python_version(),
        "kind": run.kind,
        "experiment": run.experiment,
        "config": run.config,
        "base": run.base,
        "recipe": run.recipe.to_dict(),
        "dataset": asdict(run.dataset),
        "head": run.head,
        "layers": run.layers,
        "params": run.params,
        "seed": run.seed,
    }
    tuned = run.fine_tuning
    if tuned is None:
        return info | {"factor": run.factor, "seconds": run.seconds}
    return info | {
        "from": tuned.from_run,
        "learned_layers": tuned.learned_layers,
        "boundary": tuned.boundary,
        "step_factors": tuned.step_factors,
        "changes": tuned.changes,
        "devices": tuned.devices,
        "seconds": run.seconds,
    }


def metrics_of(run: RunFolder) -> dict[str, Any]:
    """Return ``metrics.json`` of a run."""
    metrics: dict[str, Any] = {"selection": run.selection.to_dict()}
    if (tuned := run.fine_tuning) is not None:
        initial = None if tuned.initial is None else asdict(tuned.initial)
        metrics |= {"initial": initial, "epochs": tuned.epochs}
    return metrics | {"test": run.test.to_dict()}


def run_of(path: Path, info: Mapping[str, Any], metrics: Mapping[str, Any]) -> RunFolder:
    """Make a run of what its files say; raises KeyError or TypeError where that is no run."""
    kind = info["kind"]
    return RunFolder(
        path=path,
        kind=kind,
        experiment=info["experiment"],
        config=info.get("config", {}),
        base=info["base"],
        recipe=Recipe.from_dict(info["recipe"]),
        dataset=RunData.from_dict(info["dataset"]),
        head=str(info["head"]),
        layers=tuple(info["layers"]),
        params=info.get("params", {}),
        seed=int(info.get("seed", 0)),
        selection=SelectionFigures.from_dict(metrics["selection"]),
        test=FinalTest.from_dict(metrics["test"]),
        factor=float(info.get("factor", 1.0)),
        seconds=float(info.get("seconds", 0.0)),
        fine_tuning=_fine_tuning(info, metrics) if kind == FINETUNE else None,
        created=str(info.get("created", "")),
        versions=info.get("versions", {}),
        python=info.get("python"),
    )


def _fine_tuning(info: Mapping[str, Any], metrics: Mapping[str, Any]) -> FineTuning:
    initial = metrics.get("initial")
    return FineTuning(
        from_run=info.get("from", "best"),
        learned_layers=tuple(info.get("learned_layers", ())),
        boundary=info.get("boundary"),
        step_factors=info.get("step_factors", {}),
        changes=info.get("changes", {}),
        devices=info.get("devices", 1),
        initial=None if initial is None else InitialFigures(**initial),
        epochs=tuple(metrics.get("epochs", ())),
    )
