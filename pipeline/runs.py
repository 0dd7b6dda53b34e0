"""Run folders: one finished experiment each, and the leaderboard over them.

    run.json          what was done: config, base, recipe, data, head, versions, seconds
    metrics.json      how good it is, on which split
    predictions.csv   path, digest, split, label, prediction, and a probability per class
    bundle/           what predicts
    history.csv       fine-tuning only: one row per epoch

A run folder appears whole or not at all, and is never changed afterwards.
"""

import csv
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundle import Bundle, load_bundle
from pipeline.errors import RunError, StoreError
from pipeline.evaluate import Estimate, paired_difference
from pipeline.heads import HeadSpec, parse_head
from pipeline.store.files import TEMPORARY_PREFIX
from pipeline.store.recipe import canonical_json

FORMAT = "bottleneck-run"
FORMAT_VERSION = 1
TRANSPLANTABLE = ("linear", "dense")
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
    def selection_accuracy(self) -> float:
        """The figure that runs are chosen by: never one of the test split."""
        return float(self.metrics["selection"]["accuracy"])

    def bundle(self) -> Bundle:
        """Load what predicts; raises RunError when it is damaged."""
        return load_bundle(self.path / "bundle")

    def correct(self) -> dict[str, bool]:
        """Return whether each test picture was labelled rightly: ``{path: bool}``."""
        path = self.path / "predictions.csv"
        try:
            with open(path, newline="", encoding="utf-8") as file:
                return {
                    row["path"]: row["label"] == row["prediction"] for row in csv.DictReader(file)
                }
        except (OSError, KeyError, csv.Error) as error:
            raise RunError(f"expected predictions in {path}, received: {error}") from error


def experiment_digest(experiment: Mapping[str, Any]) -> str:
    """Return the key by which the same experiment is recognised."""
    return hashlib.sha256(canonical_json(experiment).encode()).hexdigest()


def run_name(parts: Sequence[str], digest: str) -> str:
    """Return a folder name: readable parts and eight digits of the experiment's digest."""
    readable = "-".join(parts)
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.+=(),") else "_" for c in readable)
    return f"{safe[:120]}-{digest[:8]}"


@contextmanager
def new_run(runs: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder that becomes ``runs/name`` when the context ends well.

    Where another process finished the same run in the meantime, that one stays.

    Raises:
        StoreError: The folder cannot be written.
    """
    temporary = runs / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if not (runs / name).exists():
            os.rename(temporary, runs / name)
    except OSError as error:
        raise StoreError(
            f"cannot write the run {runs / name}: {error.strerror or error}; "
            f"make room or name another folder with --runs"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_run(
    folder: Path, info: Mapping[str, Any], metrics: Mapping[str, Any], rows: "PredictionRows"
) -> None:
    """Write ``run.json``, ``metrics.json`` and ``predictions.csv`` into a folder of `new_run`."""
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in VERSIONED},
        "python": platform.python_version(),
        **info,
    }
    rows.write(folder / "predictions.csv")
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2), "utf-8")
    (folder / "run.json").write_text(json.dumps(described, indent=2), "utf-8")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # run from a source tree, not installed
        return None


@dataclass(frozen=True)
class PredictionRows:
    """Predictions of one split, row-aligned.

    Args:
        paths: (n,) relative to the data's root.
        digests: (n, 32) uint8, SHA-256 of the files' bytes.
        split: The split they come from.
        labels: (n,) int.
        probabilities: (n, k) float.
        classes: k names.
    """

    paths: Sequence[str]
    digests: np.ndarray
    split: str
    labels: np.ndarray
    probabilities: np.ndarray
    classes: Sequence[str]

    def write(self, path: Path) -> None:
        """Write one CSV row per picture, with a probability column ``p:<class>`` each."""
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            header = ["path", "digest", "split", "label", "prediction"]
            table.writerow(header + [f"p:{name}" for name in self.classes])
            for i, picture in enumerate(self.paths):
                probabilities = self.probabilities[i]
                label = self.classes[self.labels[i]]
                prediction = self.classes[int(probabilities.argmax())]
                digest = self.digests[i].tobytes().hex()
                figures = [f"{value:.6g}" for value in probabilities]
                table.writerow([picture, digest, self.split, label, prediction, *figures])


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


def find_run(runs: Path, text: str) -> Run:
    """Find a run by its name, its folder, the start of its name, or as ``best``.

    Raises:
        RunError: There is none, or several fit.
    """
    if text == "best":
        return best_run(_of_one_data_set(list_runs(runs), runs), runs)
    for path in (runs / text, Path(text)):
        if path.is_dir():
            return load_run(path)
    matches = [path for path in run_folders(runs) if path.name.startswith(text)]
    if len(matches) == 1:
        return load_run(matches[0])
    found = f"{len(matches)} runs begin so" if matches else "there is none"
    raise RunError(
        f"expected the name or folder of a run in {runs}, received {text!r}: {found}; "
        f"`pipeline compare` lists them"
    )


def _of_one_data_set(candidates: list[Run], runs: Path) -> list[Run]:
    """Accuracies on different pictures do not compare, so there ``best`` means nothing."""
    roots = sorted({run.info["dataset"]["root"] for run in candidates})
    if len(roots) > 1:
        raise RunError(
            f"expected runs on one data set for 'best', received runs on {', '.join(roots)} in "
            f"{runs}; name a run, `pipeline compare` lists them"
        )
    return candidates


def best_run(candidates: Sequence[Run], runs: Path) -> Run:
    """Return the run with the highest selection accuracy; among equals the first by name."""
    if not candidates:
        raise RunError(
            f"expected at least one run in {runs}, received none; "
            f"run `pipeline classify DATA` first"
        )
    return min(candidates, key=lambda run: (-run.selection_accuracy, run.name))


def source_run(runs: Path, text: str, data: Path, digest: str) -> Run:
    """Return the run to fine-tune from.

    Args:
        runs: Folder of the runs.
        text: A run's name or folder; ``best`` is the best transplantable one on the same data.
        data: The pictures, for the sentence when there is none.
        digest: The data's digest.

    Raises:
        RunError: There is none.
    """
    if text != "best":
        return find_run(runs, text)
    fitting = [
        run
        for run in list_runs(runs)
        if run.info["dataset"]["digest"] == digest and _is_transplantable(run)
    ]
    if not fitting:
        raise RunError(
            f"expected a run with a linear or dense head on {data} in {runs}, received none; "
            f"run `pipeline classify {data}` first"
        )
    return best_run(fitting, runs)


def _is_transplantable(run: Run) -> bool:
    if run.info["kind"] != "classify":
        return False
    return parse_head(run.info["head"]).head.kind in TRANSPLANTABLE


def transplantable_head(run: Run) -> HeadSpec:
    """Return a run's head; raises RunError when it cannot become Dense layers on the base."""
    if not _is_transplantable(run):
        raise RunError(
            f"expected a classify run with a linear or dense head, received {run.name} with "
            f"head={run.info['head']!r} ({run.info['kind']}); choose another with --from, for "
            f"example one with logistic"
        )
    return parse_head(run.info["head"])


def run_folders(runs: Path) -> list[Path]:
    """Return the run folders by name; whatever else lies there is left alone."""
    return sorted(path.parent for path in runs.glob("[!.]*/run.json"))


def list_runs(runs: Path) -> list[Run]:
    """Read all runs, by name."""
    return [load_run(path) for path in run_folders(runs)]


@dataclass(frozen=True)
class Standing:
    """A run's place on the leaderboard.

    Args:
        run: The run.
        behind: Test accuracy minus the leader's on the same pictures, with its paired interval;
            None for the leader, and where the two did not see the same pictures.
    """

    run: Run
    behind: Estimate | None

    @property
    def distinguishable(self) -> bool | None:
        """Whether the difference from the leader's accuracy is more than noise."""
        if self.behind is None:
            return None
        low, high = self.behind.ci95
        return not low <= 0 <= high


def leaderboard(runs: Sequence[Run]) -> list[list[Standing]]:
    """Rank runs by selection accuracy, one table per data set.

    The order never looks at the test split: it comes from cross-validation or the validation split.
    """
    tables: dict[str, list[Run]] = {}
    for run in runs:
        tables.setdefault(run.info["dataset"]["digest"], []).append(run)
    return [
        _ranked(sorted(table, key=lambda run: -run.selection_accuracy)) for table in tables.values()
    ]


def _ranked(runs: list[Run]) -> list[Standing]:
    leader = runs[0].correct()
    return [Standing(runs[0], None), *(Standing(run, _behind(run, leader)) for run in runs[1:])]


def _behind(run: Run, leader: Mapping[str, bool]) -> Estimate | None:
    ours = run.correct()
    if ours.keys() != leader.keys():
        return None
    paths = sorted(ours)
    return paired_difference(
        np.array([ours[path] for path in paths]), np.array([leader[path] for path in paths])
    )


def describe_leaderboard(tables: Sequence[Sequence[Standing]]) -> list[dict[str, Any]]:
    """Return the rows of the ``--json`` value, table after table, best first."""
    return [_describe_standing(standing) for table in tables for standing in table]


def _describe_standing(standing: Standing) -> dict[str, Any]:
    run, behind = standing.run, standing.behind
    test, data = run.metrics["test"], run.info["dataset"]
    return {
        "run": run.name,
        "kind": run.info["kind"],
        "head": run.info["head"],
        "layers": run.info["layers"],
        "data": data["digest"],
        "data_root": data["root"],
        "selected_by": run.metrics["selection"]["by"],
        "selection_accuracy": run.selection_accuracy,
        "test": {
            "split": test["split"],
            "n": test["n"],
            "accuracy": test["accuracy"]["value"],
            "ci95": test["accuracy"]["ci95"],
        },
        "difference": None
        if behind is None
        else {
            "value": behind.value,
            "ci95": list(behind.ci95),
            "distinguishable": standing.distinguishable,
        },
    }
