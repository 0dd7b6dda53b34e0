"""One run folder: written whole, read back, never changed.

    run.json          what was done: config, base, recipe, data, head, versions, seconds
    metrics.json      how good it is, on which split
    predictions.csv   path, digest, split, label, prediction, and a probability per class
    bundle/           what predicts
    plots/            how good it is, drawn
    search.json       what a search tried of this head, where there was one
    history.csv       fine-tuning only: one row per epoch
    learning_curve.json   added later, where it was asked for

A run folder appears whole or not at all, and nothing in it is changed afterwards.
"""

import datetime
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import RunError, StoreError
from pipeline.runs.bundle import Bundle, load_bundle
from pipeline.runs.predictions import PredictionRows, read_correct, read_pictures
from pipeline.system.files import atomic_folder, canonical_json, write_json

FORMAT = "bottleneck-run"
FORMAT_VERSION = 1
LEARNING_CURVE, PREDICTIONS = "learning_curve.json", "predictions.csv"
VERSIONED = ("bottleneck-pipeline", "tensorflow", "keras", "numpy", "scikit-learn", "pillow")


@dataclass(frozen=True)
class Run:
    """A finished run, as read from its folder.

    Args:
        path: Its folder.
        info: ``run.json``.
        metrics: ``metrics.json``.
    """

    path: Path
    info: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def data(self) -> str:
        """The digest of the data set: contents, labels and splits."""
        return str(self.info["dataset"]["digest"])

    @property
    def root(self) -> str:
        """The location of the data set, as it was then: an absolute path, or a URL."""
        return str(self.info["dataset"]["root"])

    @property
    def data_name(self) -> str:
        """The short name of that location."""
        return str(self.info["dataset"].get("name", Path(self.root).name))

    @property
    def selection_accuracy(self) -> float | None:
        """The figure that runs are chosen by, never one of the test split; None if there is none.

        There is none where no training picture could be held out.
        """
        accuracy = self.metrics["selection"]["accuracy"]
        return None if accuracy is None else float(accuracy)

    @property
    def selection_loss(self) -> float | None:
        """What decides between runs of the same selection accuracy."""
        loss = self.metrics["selection"]["log_loss"]
        return None if loss is None else float(loss)

    def test(self) -> dict[str, Any]:
        """Return what every command says of the final test."""
        test = self.metrics["test"]
        accuracy = test["accuracy"]
        return {
            "split": test["split"],
            "n": test["n"],
            "accuracy": accuracy["value"],
            "ci95": accuracy["ci95"],
        }

    def bundle(self, trust: bool = False) -> Bundle:
        """Load what predicts; raises RunError when it is damaged, or could run code unasked."""
        return load_bundle(self.path / "bundle", trust)

    def learning_curve(self) -> dict[str, Any] | None:
        """Return what was kept by `keep_learning_curve`; None if there is none yet."""
        path = self.path / LEARNING_CURVE
        return _read(path) if path.is_file() else None

    def tested(self) -> list[tuple[str, str]]:
        """Return path (relative to the data's root) and hex digest of each test picture."""
        return read_pictures(self.path / PREDICTIONS)

    def correct(self) -> dict[tuple[str, str, int], bool]:
        """Return whether each test picture was labelled rightly, see `read_correct`."""
        return read_correct(self.path / PREDICTIONS)


def experiment_digest(experiment: Mapping[str, Any]) -> str:
    """Return the key by which the same experiment is recognised."""
    return hashlib.sha256(canonical_json(experiment).encode()).hexdigest()


def run_name(parts: Sequence[str], digest: str) -> str:
    """Return a folder name: readable parts and eight digits of the experiment's digest.

    It can be pasted into a shell as it is: ``logistic(C=0.1)`` becomes ``logistic-C0.1``.
    """
    readable = "-".join(parts).translate(str.maketrans("(,", "--", ")= "))
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.+") else "_" for c in readable)
    return f"{safe[:120].lstrip('.-')}-{digest[:8]}"


@contextmanager
def new_run(runs: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder that becomes ``runs/name`` when the context ends well.

    Where another process finished the same run in the meantime, that one stays.

    Raises:
        StoreError: The folder cannot be written.
    """
    try:
        with atomic_folder(runs / name) as temporary:
            yield temporary
    except OSError as error:
        raise StoreError(
            f"cannot write the run {runs / name}: {error.strerror or error}; "
            f"make room or name another folder with --runs"
        ) from error


def write_run(
    folder: Path, info: Mapping[str, Any], metrics: Mapping[str, Any], rows: PredictionRows
) -> None:
    """Write ``run.json``, ``metrics.json`` and ``predictions.csv`` into a folder of `new_run`."""
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(),
        "versions": {name: _version(name) for name in VERSIONED},
        "python": platform.python_version(),
        **info,
    }
    rows.write(folder / PREDICTIONS)
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2, allow_nan=False), "utf-8")
    (folder / "run.json").write_text(json.dumps(described, indent=2), "utf-8")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from a source tree, not installed
        return None


def keep_learning_curve(run: Run, curve: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add a learning curve, as plain JSON values, to a run's folder; return it as it was given."""
    write_json(run.path / LEARNING_CURVE, curve)
    return curve


def load_run(path: Path) -> Run:
    """Read a run folder.

    Raises:
        RunError: It is not there, not a run, damaged, or newer than this program.
    """
    if not path.is_dir():
        raise RunError(
            f"expected a run folder, received {path}, which is not there; "
            f"`pipeline compare` lists the runs"
        )
    info, metrics = _read(path / "run.json"), _read(path / "metrics.json")
    _check(path, info, metrics)
    return Run(path, info, metrics)


def load_finished(path: Path, experiment: Mapping[str, Any]) -> Run | None:
    """Return the run at ``path`` if that experiment was finished there; None if nothing is there.

    Raises:
        RunError: Something else is there, or the run is damaged.
    """
    if not path.exists():
        return None
    run = load_run(path)
    if run.info["experiment"] != json.loads(canonical_json(experiment)):
        raise _damaged(path / "run.json", "it is another experiment")
    if not (path / "bundle" / "bundle.json").is_file():
        raise _damaged(path / "bundle", "bundle.json is not there")
    return run


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise _damaged(path, type(value).__name__)
    return value


def _check(path: Path, info: Mapping[str, Any], metrics: Mapping[str, Any]) -> None:
    if info.get("format") != FORMAT:
        raise _damaged(path / "run.json", f"format={info.get('format')!r}")
    if info.get("format_version", 0) > FORMAT_VERSION:
        raise RunError(
            f"expected a run of version {FORMAT_VERSION} or older, received version "
            f"{info['format_version']} in {path}; update this program"
        )
    missing = [key for key in ("kind", "experiment", "dataset", "base", "head") if key not in info]
    missing += [key for key in ("selection", "test") if key not in metrics]
    if missing:
        raise _damaged(path, f"without {', '.join(missing)}")


def _damaged(path: Path, reason: object) -> RunError:
    return RunError(
        f"expected a whole run in {path if path.is_dir() else path.parent}, received {path.name} "
        f"damaged: {reason}; move that folder away and train again"
    )


def run_folders(runs: Path) -> list[Path]:
    """Return the run folders by name; whatever else lies there is left alone."""
    return sorted(path.parent for path in runs.glob("[!.]*/run.json"))


def list_runs(runs: Path) -> list[Run]:
    """Read all runs, by name."""
    return [load_run(path) for path in run_folders(runs)]
