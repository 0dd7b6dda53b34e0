"""A finished run as typed attributes, from ``run.json`` and ``metrics.json``, and back.

These two are read and written here and nowhere else. What older runs did not say yet has its
default where it is read.
"""

import datetime
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

from pipeline.config import DataConfig, FeaturesConfig
from pipeline.errors import InputError, RunError
from pipeline.features.base import FrozenBase
from pipeline.features.saved import SavedBase, decoding_from_dict, frozen_from_dict, with_weights
from pipeline.features.store import Recipe
from pipeline.features.table import FeatureTable
from pipeline.heads import HeadSpec, parse_head
from pipeline.images import DecodeRecipe
from pipeline.runs.bundle import DESCRIPTION, Bundle, load_bundle, named_file
from pipeline.runs.figures import (
    EpochRow,
    FinalTest,
    InitialFigures,
    MixtureRow,
    SelectionFigures,
)
from pipeline.runs.predictions import read_rows
from pipeline.runs.seal import FileDigest
from pipeline.system.startup import installed_version
from pipeline.system.typed import Count, MisreadError, record

FORMAT = "bottleneck-run"
FORMAT_VERSION = 1
VERSIONED = ("bottleneck-pipeline", "tensorflow", "keras", "numpy", "scikit-learn", "pillow")
CLASSIFY: Literal["classify"] = "classify"
FINETUNE: Literal["finetune"] = "finetune"
INFO, PREDICTIONS = "run.json", "predictions.csv"


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
    pictures: Mapping[str, Count] = field(default_factory=dict)
    left_out: Count = 0
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
        """Read the ``dataset`` of a ``run.json``; raises MisreadError on anything else."""
        name = Path(str(value.get("root"))).name
        return record(cls, {"name": name, **value})


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
        learning_rate: Its largest steps; None in runs that do not say it here.
        given_up: Larger steps that were taken before, and got no further than the head.
        initial: Where it began; None in runs that do not say it.
        epochs: Figures of epoch 0 (before training) and of every epoch, see `Epoch`.
        mixtures: Means of the weights of epoch 0 and of the kept epoch, of which the one with the
            lowest loss is the model; empty where epoch 0 was kept.
    """

    from_run: str = "best"
    learned_layers: tuple[str, ...] = ()
    boundary: str | None = None
    step_factors: Mapping[str, float] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    devices: int = 1
    learning_rate: float | None = None
    given_up: tuple[float, ...] = ()
    initial: InitialFigures | None = None
    epochs: tuple[EpochRow, ...] = ()
    mixtures: tuple[MixtureRow, ...] = ()


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
        files: What its other files were when they were written; None in runs from before that was
            said.
    """

    path: Path
    kind: Literal["classify", "finetune"]
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
    files: Mapping[str, FileDigest] | None = None

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def _saved(self) -> SavedBase:
        with named_file(self.path / INFO):
            return record(SavedBase, self.base)

    @property
    def weights(self) -> str:
        """The weights of its base, as the user said it."""
        return self._saved.weights

    @property
    def weights_seed(self) -> int:
        """Of random weights."""
        return self._saved.weights_seed

    @property
    def decoding(self) -> DecodeRecipe:
        """How a picture became what its base sees."""
        with named_file(self.path / INFO):
            return decoding_from_dict(self.base)

    @property
    def spec(self) -> HeadSpec:
        """Its head, read; RunError where no such head is known."""
        with named_file(self.path / INFO):
            return parse_head(self.head)

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
        with named_file(self.path / INFO):
            settings = record(DataConfig, said)
        return {name: getattr(settings, name) for name in DataConfig().indexing if name in said}

    @property
    def mode(self) -> str | None:
        """What fine-tuning let learn; None for a head on frozen features."""
        return None if self.fine_tuning is None else str(self.config.get("mode", "full"))

    def frozen(self, *, look: bool = False, weights: str | None = None) -> FrozenBase:
        """Make its base again, on weights that the user names; RunError where that is none."""
        with named_file(self.path / INFO):
            base = self.base if weights is None else with_weights(self.base, weights)
            return frozen_from_dict(base, look=look, of_run=True)

    def check_file(self, name: str) -> None:
        """Raise ValueError or OSError where a file is not what it was when it was written."""
        if self.files is not None and name in self.files:
            self.files[name].check(self.path / name)

    def bundle(self, trust: bool = False, weights: str | None = None) -> Bundle:
        """Load what predicts; raises RunError when it is damaged, or could run code unasked.

        ``weights`` are where the user says that those of its base are; None for where the run says.
        """
        folder = self.path / "bundle"
        with named_file(folder / DESCRIPTION):
            self.check_file(f"bundle/{DESCRIPTION}")
        bundle = load_bundle(folder, trust)
        theirs = (bundle.classes, bundle.base)
        if self.dataset.classes and theirs != (self.dataset.classes, self.base):
            raise RunError(
                f"expected the classes and the base of {self.path / INFO} in {folder / DESCRIPTION}"
                f", received others: one of them was altered; restore it or train again"
            )
        if weights is None:
            return bundle
        if bundle.head is None:
            raise InputError(
                f"expected no --weights for {self.name}, which is a whole model and has its own, "
                f"received {weights=!s}"
            )
        with named_file(bundle.path):
            return replace(bundle, base=with_weights(bundle.base, weights))

    def tested(self) -> list[tuple[str, str]]:
        """Return path (relative to the data's root) and hex digest of each test picture."""
        return [(row["path"], row["digest"]) for row in self.predictions()]

    def predictions(self) -> Iterator[dict[str, str]]:
        """Yield what it said of each test picture, by the columns of its file.

        Raises RunError if the file is gone, damaged, or of other classes or pictures.
        """
        return read_rows(self.path / PREDICTIONS, self.dataset.classes, self.test.n)

    def correct(self) -> dict[tuple[str, str, int], bool]:
        """Return whether each test picture was labelled rightly; raises RunError when that is gone.

        Pictures are known by their content and label, whatever they are called today; the number
        tells identical ones apart.
        """
        right: dict[tuple[str, str, int], bool] = {}
        seen: Counter[tuple[str, str]] = Counter()
        for row in self.predictions():
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
    rate = {"learning_rate": tuned.learning_rate, "given_up": tuned.given_up}
    return info | {
        "from": tuned.from_run,
        "learned_layers": tuned.learned_layers,
        "boundary": tuned.boundary,
        "step_factors": tuned.step_factors,
        "changes": tuned.changes,
        "devices": tuned.devices,
        **({} if tuned.learning_rate is None else rate),
        "seconds": run.seconds,
    }


def metrics_of(run: RunFolder) -> dict[str, Any]:
    """Return ``metrics.json`` of a run."""
    metrics: dict[str, Any] = {"selection": run.selection.to_dict()}
    if (tuned := run.fine_tuning) is not None:
        initial = None if tuned.initial is None else asdict(tuned.initial)
        metrics |= {"initial": initial, "epochs": tuned.epochs}
        metrics |= {"mixtures": tuned.mixtures} if tuned.mixtures else {}
    return metrics | {"test": run.test.to_dict()}


def run_of(path: Path, info: Mapping[str, Any], metrics: Mapping[str, Any]) -> RunFolder:
    """Make a run of what its files say; raises MisreadError where that is no run."""
    said = {"config": {}, "params": {}, "seed": 0, **info, **metrics}
    tuned = {**said, "from_run": said.get("from", "best")} if said.get("kind") == FINETUNE else None
    run: RunFolder = record(RunFolder, {**said, "path": path, "fine_tuning": tuned})
    record(_UsedSettings, run.config)
    rows, k = run.test.confusion, len(run.dataset.classes)
    if k and rows and [len(row) for row in rows] != [k] * k:
        raise MisreadError(f"expected {k} rows of {k} counts as {{}}, received others", "confusion")
    return run


class _UsedSettings(TypedDict, total=False):
    """What of a run's settings is used again, beside those by which its pictures were indexed."""

    views: int | None
    view_policy: str | None
    mode: str
    validation_fraction: float
