"""Choosing a run: by its name, as the best, or as one to fine-tune from."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import RunError
from pipeline.heads import HeadSpec, parse_head
from pipeline.images import resolve_location
from pipeline.runs.folder import list_runs, load_run, run_folders
from pipeline.runs.record import CLASSIFY, RunFolder

logger = logging.getLogger(__name__)

BEST = "best"
TRANSPLANTABLE = ("linear", "dense")


def find_run(runs: Path, text: str) -> RunFolder:
    """Find a run by its name, its folder, the start of its name, or as ``best`` of the newest data.

    Raises:
        RunError: There is none, or several fit.
    """
    if is_best(text):
        best = best_run(_newest_data(list_runs(runs), text.removeprefix(BEST)), runs)
        logger.info("%s is %s", text, best.name)
        return best
    for path in (runs / text, Path(text)):
        if text and (path / "run.json").is_file():
            return load_run(path)
    matches = [path for path in run_folders(runs) if text and path.name.startswith(text)]
    if len(matches) == 1:
        return load_run(matches[0])
    found = f"{len(matches)} runs begin so" if matches else "there is none"
    raise RunError(
        f"expected the name or folder of a run in {runs}, received {text!r}: {found}; "
        f"`pipeline compare` lists them"
    )


def is_best(text: str) -> bool:
    """Return whether a text asks for the best run: ``best``, or ``best:FOLDER`` of those data."""
    return text == BEST or text.startswith(f"{BEST}:")


def _newest_data(candidates: list[RunFolder], suffix: str) -> list[RunFolder]:
    """Keep the runs on the pictures that were learnt from last; figures of others do not compare.

    Args:
        candidates: Runs on any data.
        suffix: ``:FOLDER`` to look only at runs on a folder of that name, or nothing.
    """
    name = suffix.removeprefix(":")
    named = [run for run in candidates if not name or run.dataset.name == name]
    newest = max(named, key=lambda run: run.created, default=None)
    return [run for run in named if newest and run.dataset.digest == newest.dataset.digest]


def order(run: RunFolder) -> tuple[float, float, bool, str, str]:
    """Sort key that puts the best run first: selection accuracy, then log loss, then name.

    Of equals, a head on frozen features comes before a fine-tuned base, which gained nothing.

    Runs that nothing could be chosen by come last, in the order in which they were made: that of
    the list of heads.
    """
    accuracy, loss = run.selection.accuracy, run.selection.log_loss
    if accuracy is None or loss is None:
        return 1.0, 0.0, False, run.created, run.name
    return -accuracy, loss, run.kind != CLASSIFY, "", run.name


def best_run(candidates: Sequence[RunFolder], runs: Path) -> RunFolder:
    """Return the best run by selection; the test split has no say."""
    if not candidates:
        raise RunError(
            f"expected at least one run in {runs}, received none; "
            f"run `pipeline classify DATA` first"
        )
    return min(candidates, key=order)


def index_settings(runs: Path, text: str, data: str) -> dict[str, Any]:
    """Return how the pictures of a run were indexed, to label and split the same ones alike.

    For ``best`` that is the best transplantable run on this location.

    Returns:
        Settings by the names of `pipeline.config.DataConfig`; none where there is no such run.
    """
    if not is_best(text):
        return find_run(runs, text).indexing
    root = resolve_location(data)
    here = [run for run in list_runs(runs) if run.dataset.root == root]
    fitting = [run for run in here if is_transplantable(run)]
    if not fitting:
        return {}
    return best_run(fitting, runs).indexing


def source_run(runs: Path, text: str, data: str, digest: str) -> RunFolder:
    """Return the run to fine-tune from.

    Args:
        runs: Folder of the runs.
        text: A run's name or folder; ``best`` is the best transplantable one on the same data.
        data: The pictures, for the sentence when there is none.
        digest: The data's digest.

    Raises:
        RunError: There is none.
    """
    if not is_best(text):
        return find_run(runs, text)
    fitting = [
        run for run in list_runs(runs) if run.dataset.digest == digest and is_transplantable(run)
    ]
    if not fitting:
        raise RunError(
            f"expected a run with a linear or dense head on {data} in {runs}, received none; "
            f"run `pipeline classify {data}` first"
        )
    return best_run(fitting, runs)


def is_transplantable(run: RunFolder) -> bool:
    """Return whether a run's head can become Dense layers on its base."""
    if run.kind != CLASSIFY:
        return False
    return parse_head(run.head).head.kind in TRANSPLANTABLE


def transplantable_head(run: RunFolder) -> HeadSpec:
    """Return a run's head; raises RunError when it cannot become Dense layers on the base."""
    if not is_transplantable(run):
        raise RunError(
            f"expected a classify run with a linear or dense head, received {run.name} with "
            f"head={run.head!r} ({run.kind}); choose another with --from, for "
            f"example one with logistic"
        )
    return parse_head(run.head)
