"""Choosing a run: by its name, as the best, or as one to fine-tune from.

The best is that of the pictures that were asked about last: an answer from disk leaves no new run.
``runs/.asked/`` holds a file for each place: the digest of what was there when it was last trained
on, and when that was. Without them the newest runs say it.
"""

import datetime
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.backbones.engines.precision import OF_OPENVINO, kind_of
from pipeline.errors import RunError, StoreError
from pipeline.heads import HeadSpec
from pipeline.images import resolve_location
from pipeline.runs.folder import list_runs, load_run, run_folders, whole_runs
from pipeline.runs.record import CLASSIFY, RunFolder
from pipeline.system.files import atomic_path, expanded, matching, readable
from pipeline.system.typed import read_json, typed
from pipeline.system.units import named

logger = logging.getLogger(__name__)

BEST = "best"
TRANSPLANTABLE = ("linear", "dense")
FOLDER = ".asked"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A data set in its place, an absolute path or a URL, and when it was asked about (UTC)."""

    root: str
    name: str
    digest: str
    when: str


def remember_asked(runs: Path, root: str, name: str, digest: str) -> None:
    """Remember that a data set is asked about now; raises StoreError where that cannot be kept."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    file = f"{hashlib.sha256(root.encode(errors='surrogateescape')).hexdigest()[:16]}.json"
    value = asdict(Asked(root=root, name=name, digest=digest, when=now))
    with atomic_path(runs / FOLDER / file) as temporary:
        temporary.write_text(json.dumps(value), "utf-8")  # of ASCII: a path need not be text


def asked(runs: Path, candidates: Sequence[RunFolder]) -> list[Asked]:
    """Return what was asked about and has runs, the last at the end; a place may be there often.

    Raises RunError if what was remembered is damaged.
    """
    of_runs = [
        Asked(root=data.root, name=data.name, digest=data.digest, when=run.created)
        for run in candidates
        for data in [run.dataset]
    ]
    known = {one.digest for one in of_runs}
    noted = map(_read, matching(runs / FOLDER, "[!.]*.json"))
    return sorted(
        [*of_runs, *(one for one in noted if one.digest in known)], key=lambda one: one.when
    )


def _read(path: Path) -> Asked:
    try:
        with readable(path):
            return typed(Asked, read_json(path))
    except (OSError, ValueError) as error:
        raise RunError(
            f"expected which pictures were asked about in {path}, received: {error}; remove that "
            f"file"
        ) from error


def find_run(runs: Path, text: str) -> RunFolder:
    """Find a run by its name, its folder, the start of its name, or as ``best`` of some pictures.

    ``best`` is of the pictures that were asked about last, ``best:NAME`` and ``best:LOCATION`` of
    those of that name or in that place.

    Raises:
        RunError: There is none, or several fit.
    """
    if is_best(text):
        best = _best(runs, text)
        logger.info("%s is %s", text, best.name)
        return best
    for path in (runs / text, expanded(text)):
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


def _best(runs: Path, text: str) -> RunFolder:
    """Return the best run on the pictures that are meant; of equals one that was made there."""
    candidates = _to_choose_from(runs)
    history = asked(runs, candidates)
    if not history:
        return best_run([], runs)
    places = history[-1:] if text == BEST else _meant(runs, history, text)
    fitting = _on(candidates, places[-1].digest)
    first = order(best_run(fitting, runs))[:-1]
    equals = [run for run in fitting if order(run)[:-1] == first]
    there = [run for run in equals if run.dataset.root in {one.root for one in places}]
    return best_run(there or equals, runs)


def _to_choose_from(runs: Path) -> list[RunFolder]:
    """Return all runs; raises RunError where one is altered, which could have been the best."""
    whole, altered = whole_runs(runs)
    if altered:
        more = f"{len(altered) - 1} more like it; " if len(altered) > 1 else ""
        first = f", or name one yourself, such as {min(whole, key=order).name}" if whole else ""
        raise RunError(
            f"{altered[0]}; {more}it could be the best one, so that is not known until then: "
            f"`pipeline compare` ranks the others{first}"
        )
    return whole


def _meant(runs: Path, history: Sequence[Asked], text: str) -> list[Asked]:
    """Return the places that ``best:…`` means; figures on other pictures do not compare.

    Raises:
        RunError: There are none of that name or place, or several data sets of that name.
    """
    places = _places(history, text)
    if len({one.digest for one in places}) > 1:
        ways = ", ".join(f"{BEST}:{one.root}" for one in places[:3])
        raise RunError(
            f"expected one data set for {text!r}, received {len(places)} of that name in {runs}; "
            f"say which: {ways}{', …' if len(places) > 3 else ''}, or the name of a run"
        )
    return places


def _places(history: Sequence[Asked], text: str) -> list[Asked]:
    """Return what was last asked about in each place that ``best:NAME`` or ``:LOCATION`` means."""
    said = text.removeprefix(f"{BEST}:")
    last = {one.root: one for one in history}.values()
    found = [one for one in last if one.name == said]
    if said and not found:
        found = [one for one in last if one.root == resolve_location(said)]
    if not found:
        raise RunError(
            f"expected the name or place of pictures that were learnt from after {BEST}:, received "
            f"{text!r}; there are runs on {named(sorted({one.name for one in last}))}"
        )
    return found


def note_asked(runs: Path, root: str, name: str, digest: str) -> None:
    """Remember that a data set was asked about, where the runs do not say so themselves.

    What cannot be kept is told where it matters.
    """
    try:
        history = asked(runs, list_runs(runs))
    except RunError:  # one is damaged: who asks for the best is told
        history = []
    if history and (history[-1].root, history[-1].digest) == (root, digest):
        return
    try:
        remember_asked(runs, root, name, digest)
    except StoreError as error:
        if history and history[-1].digest != digest:
            until = history[-1].root
            logger.warning("%s; until then best is of %s: say best:%s", error, until, root)


def order(run: RunFolder) -> tuple[float, bool, float, str, str]:
    """Sort key that puts the best run first: selection accuracy, then log loss, then name.

    Of equal accuracy, a head on frozen features comes before a fine-tuned base, which gained
    nothing: its log loss is of the few pictures by which it was stopped.

    Runs that nothing could be chosen by come last, in the order in which they were made: that of
    the list of heads.
    """
    accuracy, loss = run.selection.accuracy, run.selection.log_loss
    if accuracy is None or loss is None:
        return 1.0, False, 0.0, run.created, run.name
    return -accuracy, run.kind != CLASSIFY, loss, "", run.name


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

    For ``best`` that is the best transplantable run on this location as it was last asked about.

    Returns:
        Settings by the names of `pipeline.config.DataConfig`; none where there is no such run.
    """
    if not is_best(text):
        return find_run(runs, text).indexing
    root, candidates = resolve_location(data), _to_choose_from(runs)
    for one in reversed(asked(runs, candidates)):
        if one.root != root:
            continue
        if fitting := [run for run in _on(candidates, one.digest) if is_transplantable(run)]:
            return best_run(fitting, runs).indexing
    return {}


def _on(candidates: Sequence[RunFolder], digest: str) -> list[RunFolder]:
    return [run for run in candidates if run.dataset.digest == digest]


def source_run(runs: Path, text: str, data: str, digest: str) -> RunFolder:
    """Return the run to fine-tune from: ``best`` is the best transplantable one on the same data.

    Raises RunError if there is none; the sentence names ``data``, the pictures.
    """
    if not is_best(text):
        return find_run(runs, text)
    candidates = _to_choose_from(runs)
    fitting = [run for run in _on(candidates, digest) if is_transplantable(run)]
    if not fitting:
        raise RunError(
            f"expected a run with a linear or dense head on {data} in {runs}, received none; "
            f"run `pipeline classify {data}` first"
        )
    if text != BEST:
        places = _places(asked(runs, candidates), text)
        if digest not in {one.digest for one in places}:
            raise RunError(
                f"expected a run on {data}, received {text!r}, which is of {places[-1].root}; say "
                f"{BEST}, or the name of a run"
            )
    return best_run(fitting, runs)


def is_transplantable(run: RunFolder) -> bool:
    """Return whether fine-tuning begins with a run: its head can become Dense layers on its base.

    From a fine-tuned one it goes on only where that is named.
    """
    if run.kind != CLASSIFY:
        return False
    on_keras = kind_of(run.recipe.precision) not in OF_OPENVINO
    return on_keras and run.spec.head.kind in TRANSPLANTABLE


def transplantable_head(run: RunFolder) -> HeadSpec:
    """Return a run's head; raises RunError when it cannot become Dense layers on the base."""
    if (precision := kind_of(run.recipe.precision)) in OF_OPENVINO:
        raise RunError(
            f"expected a run in float32 for fine-tuning, received {run.name} in {precision}: run "
            f"`pipeline classify` with --precision float32 first"
        )
    if run.spec.head.kind not in TRANSPLANTABLE:
        raise RunError(
            f"expected a run with a linear or dense head, received {run.name} with "
            f"head={run.head!r}; choose another with --from, for example one with logistic"
        )
    return run.spec
