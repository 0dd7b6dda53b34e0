"""Choosing a run: by its name, as the best, or as one to fine-tune from."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import RunError
from pipeline.heads import HeadSpec, parse_head
from pipeline.runs.folder import Run, list_runs, load_run, run_folders

TRANSPLANTABLE = ("linear", "dense")


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
