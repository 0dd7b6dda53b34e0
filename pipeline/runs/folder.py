"""One run folder: written whole, read back, never changed.

    run.json          what was done: config, base, recipe, data, head, versions, seconds
    metrics.json      how good it is, on which split
    predictions.csv   path, digest, split, label, prediction, and a probability per class
    bundle/           what predicts
    plots/            how good it is, drawn
    search.json       what a search tried of this head, where there was one
    history.csv       fine-tuning only: one row per epoch
    typical.json      how typical the final test is of train, and the least typical pictures
    learning_curve.json   added later, where it was asked for
    bases.json        added later, where several bases were compared and this run was the best

A run folder appears whole or not at all, and nothing in it is changed afterwards. ``run.json`` says
the digests of the others, see `pipeline.runs.seal`; plots are not covered.
"""

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import RunError
from pipeline.runs.figures import BINS, ComparedBase, LearningCurveRow, TriedRow, TypicalRow
from pipeline.runs.predictions import PredictionRows
from pipeline.runs.record import (
    FORMAT,
    FORMAT_VERSION,
    INFO,
    PREDICTIONS,
    RunFolder,
    info_of,
    metrics_of,
    run_of,
)
from pipeline.runs.seal import FileDigest, check_seal, write_sealed
from pipeline.system.files import (
    atomic_folder,
    canonical_json,
    matching,
    read_file,
    readable,
    write_json,
)
from pipeline.system.leftovers import remove_leftovers
from pipeline.system.typed import MOST_BYTES, parse_json, read_json, typed

METRICS = "metrics.json"
LEARNING_CURVE, SEARCH, BASES = "learning_curve.json", "search.json", "bases.json"
TYPICAL_TEST = "typical.json"
RESULTS = (METRICS, PREDICTIONS, LEARNING_CURVE, SEARCH, BASES, TYPICAL_TEST)
"""What a run is read with; its bundle is looked at when it is opened."""


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

    What killed processes left in ``runs`` an hour ago or longer goes. Where another process
    finished the same run in the meantime, that one stays. What else fails in
    the context than writing comes as it is.

    Raises:
        StoreError: The folder cannot be written.
    """
    remove_leftovers(runs)
    way_out = "make room or name another folder with --runs"
    with atomic_folder(runs / name, f"cannot write the run {runs / name}", way_out) as temporary:
        yield temporary
        if (temporary / INFO).is_file():
            seal_run(temporary)


def seal_run(folder: Path) -> None:
    """Say in ``run.json`` what all other files but plots are."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = sorted(path.as_posix() for path in paths if path.parts[0] not in ("plots", INFO))
    _seal(folder, names)


def _seal(folder: Path, names: Iterable[str]) -> None:
    """Say in ``run.json`` what some files are, beside those of which it says so already."""
    info = read_json(folder / INFO)
    digests = {name: asdict(FileDigest.of(folder / name)) for name in names}
    write_sealed(folder / INFO, {**info, "files": info.get("files", {}) | digests})


def write_run(run: RunFolder, rows: PredictionRows) -> None:
    """Write ``run.json``, ``metrics.json`` and ``predictions.csv`` into a folder of `new_run`."""
    rows.write(run.path / PREDICTIONS)
    metrics = json.dumps(metrics_of(run), indent=2, allow_nan=False)
    (run.path / METRICS).write_text(metrics, "utf-8")
    (run.path / INFO).write_text(json.dumps(info_of(run), indent=2), "utf-8")


def keep_learning_curve(run: RunFolder, curve: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add a learning curve, as plain JSON values, to a run's folder; return it as it was given."""
    _keep(run, LEARNING_CURVE, curve)
    return curve


def keep_bases(run: RunFolder, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add what is known of the bases that a run's own was chosen among to its folder."""
    _keep(run, BASES, rows)


def _keep(run: RunFolder, name: str, value: Any) -> None:
    write_json(run.path / name, value)
    if run.files is not None:
        _seal(run.path, [name])


def learning_curve_of(run: RunFolder) -> LearningCurveRow | None:
    """Return what was kept by `keep_learning_curve`; None if there is none yet.

    Raises RunError if the file is damaged.
    """
    return _more(run, LEARNING_CURVE, LearningCurveRow)


def search_of(run: RunFolder) -> list[TriedRow]:
    """Return what a search tried of a run's head; nothing where there was none.

    Raises RunError if the file is damaged.
    """
    return _more(run, SEARCH, list[TriedRow]) or []


def bases_of(run: RunFolder) -> list[ComparedBase]:
    """Return what was kept by `keep_bases`; nothing where one base alone was asked for.

    Raises RunError if the file is damaged.
    """
    return _more(run, BASES, list[ComparedBase]) or []


def typical_of(run: RunFolder) -> TypicalRow | None:
    """Return how typical the final test is of train; None where the run does not say it.

    Raises RunError if the file is damaged.
    """
    row: TypicalRow | None = _more(run, TYPICAL_TEST, TypicalRow)
    if row is not None and (len(row["histogram"]) != BINS or sum(row["histogram"]) != row["n"]):
        raise _damaged(run.path / TYPICAL_TEST, ValueError(f"no {BINS} counts of all pictures"))
    return row


def _more(run: RunFolder, name: str, kind: Any) -> Any:
    """Return what a file says that not every run has; None where it is no part of this one."""
    path = run.path / name
    if not path.is_file() or (run.files is not None and name not in run.files):
        return None
    try:
        return typed(kind, parse_json(read_file(path, MOST_BYTES), constants=True))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def load_run(path: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        RunError: It is not there, not a run, damaged, or newer than this program.
    """
    if not path.is_dir():
        raise RunError(
            f"expected a run folder, received {path}, which is not there; "
            f"`pipeline compare` lists the runs"
        )
    info, metrics = read_info(path), read_metrics(path)
    try:
        run = run_of(path, info, metrics)
    except ValueError as error:
        raise _damaged(path / f"{INFO} or {METRICS}", error) from error
    for name in RESULTS:
        try:
            with readable(path / name):
                run.check_file(name)
        except (OSError, ValueError) as error:
            raise _damaged(path / name, error) from error
    return run


def read_info(path: Path) -> dict[str, Any]:
    """Read the ``run.json`` of a run folder.

    Raises:
        RunError: It is not one, damaged, or newer than this program.
    """
    info = _read_json(path / INFO)
    if info.get("format") != FORMAT:
        raise _damaged(path / INFO, f"format={info.get('format')!r}")
    try:
        version = typed(int, info.get("format_version", 0))
        if version <= FORMAT_VERSION:
            check_seal(info)
    except ValueError as error:
        raise _damaged(path / INFO, error) from error
    if version > FORMAT_VERSION:
        raise RunError(
            f"expected a run of version {FORMAT_VERSION} or older, received version {version} in "
            f"{path}; update this program"
        )
    return info


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the ``metrics.json`` of a run folder; raises RunError when it is damaged."""
    return _read_json(path / METRICS)


def load_finished(path: Path, experiment: Mapping[str, Any]) -> RunFolder | None:
    """Return the run at ``path`` if that experiment was finished there; None if nothing is there.

    Raises:
        RunError: Something else is there, or the run is damaged.
    """
    if not path.exists():
        return None
    run = load_run(path)
    if run.experiment != json.loads(canonical_json(experiment)):
        raise _damaged(path / INFO, "it is another experiment")
    if not (path / "bundle" / "bundle.json").is_file():
        raise _damaged(path / "bundle", "bundle.json is not there")
    return run


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with readable(path):
            return typed(Mapping[str, Any], read_json(path))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, reason: object) -> RunError:
    return RunError(
        f"expected a whole run in {path if path.is_dir() else path.parent}, received {path.name} "
        f"damaged: {reason}; restore that file, or move the folder away and train again"
    )


def run_folders(runs: Path) -> list[Path]:
    """Return the run folders by name; whatever else lies there is left alone.

    Raises StoreError if a folder may not be listed: it is not taken for absent.
    """
    return [path.parent for path in matching(runs, f"[!.]*/{INFO}")]


def whole_runs(runs: Path, *, predictions: bool = False) -> tuple[list[RunFolder], list[RunError]]:
    """Read all runs, by name, maybe with their predictions; and why others cannot be used."""
    whole: list[RunFolder] = []
    altered: list[RunError] = []
    for path in run_folders(runs):
        try:
            run = load_run(path)
            deque(run.predictions() if predictions else (), maxlen=0)
            whole.append(run)
        except RunError as error:
            altered.append(error)
    return whole, altered


def list_runs(runs: Path) -> list[RunFolder]:
    """Read all runs, by name."""
    return [load_run(path) for path in run_folders(runs)]
