"""Before any work: every worker must see the same cache, pictures, base and versions as we do."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from pipeline.cluster.connection import STAYS, Workers
from pipeline.cluster.worker import FAILED, Plain, installed, look
from pipeline.errors import ClusterError
from pipeline.images import Dataset
from pipeline.images.sources import sent_files
from pipeline.system.files import TEMPORARY_PREFIX, atomic_path
from pipeline.system.units import named

N_SAMPLES = 3
N_TRIES = 30
"""A second apart, for workers to come back."""
LOCAL_WAY_OUT = "or use --cluster local"


@contextmanager
def token_in(cache: Path) -> Iterator[Plain]:
    """Leave a file in the cache for as long as workers are started, so that they find it there.

    Yields:
        Its ``path`` and ``text``.
    """
    path = cache.absolute() / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}-cluster"
    text = uuid.uuid4().hex
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
        yield {"path": str(path), "text": text}
    finally:
        with suppress(OSError):  # what went wrong before matters more, and `verify` clears up
            path.unlink()


def sample_pictures(dataset: Dataset, rows: np.ndarray) -> Plain:
    """Return a few pictures that can be read here, for workers to try: plain values."""
    step = max(1, len(rows) // N_SAMPLES)
    found = [row for row in rows[::step][:N_SAMPLES].tolist() if _is_readable(dataset, row)]
    paths = [dataset.paths[row] for row in found]
    return {
        "paths": paths,
        "digests": dataset.digests[found].tobytes(),
        "files": sent_files(dataset.files, paths),
    }


def _is_readable(dataset: Dataset, row: int) -> bool:
    try:
        return hashlib.sha256(dataset.read(row)).digest() == dataset.digests[row].tobytes()
    except OSError:
        return False


def check_versions(workers: Workers) -> None:
    """Raise ClusterError if a worker has other versions of what computes, or lacks this package."""
    ours = installed()
    for address, theirs in _asked(workers, installed).items():
        if isinstance(theirs, Exception):
            raise ClusterError(
                f"expected bottleneck-pipeline {ours['bottleneck-pipeline']} on every worker, "
                f"received {type(theirs).__name__}: {theirs} from {address}; install the same "
                f"packages there as here"
            ) from theirs
        others = [name for name, version in ours.items() if theirs.get(name) != version]
        if others:
            versions = [f"{name} {theirs.get(name)} instead of {ours[name]}" for name in others]
            raise ClusterError(
                f"expected the same versions on every worker, received "
                f"{named(versions, 3, str)} from {address}; install the same packages there as here"
            )


def check_sight(workers: Workers, job: Plain, pictures: Plain, dataset: Dataset) -> set[str]:
    """Refuse workers that do not see the cache or the pictures; return the engines they have.

    Raises ClusterError if one does not see them, or makes another recipe of the same settings.
    """
    engines = set()
    cache = job["config"]["cache"]
    for address, seen in _asked(workers, look, job, job["token"], pictures).items():
        if isinstance(seen, Exception):
            raise ClusterError(
                f"expected an answer from the worker {address}, received {type(seen).__name__}: "
                f"{seen}"
            ) from seen
        if FAILED in seen:
            raise ClusterError(f"the worker {address} cannot take part: {seen[FAILED]}")
        if seen["cache"] is not None:
            raise ClusterError(
                f"expected the cache {cache} on every worker, {address} does not see it: "
                f"{seen['cache']}; name a folder on a file system that all share with --cache, "
                f"{LOCAL_WAY_OUT}"
            )
        if seen["pictures"] is not None:
            raise ClusterError(
                f"expected the pictures of {dataset.location} on every worker, {address} does not "
                f"see them: {seen['pictures']}; put them on a file system that all share or behind "
                f"a URL, {LOCAL_WAY_OUT}"
            )
        if seen["recipe"] != job["recipe"]:
            raise ClusterError(
                f"expected the recipe {job['recipe'][:12]}… on every worker, received "
                f"{seen['recipe'][:12]}… from {address}; install the same packages there as here"
            )
        engines.add(seen["engine"])
    return engines


def _asked(workers: Workers, question: Any, *arguments: Any) -> Mapping[str, Any]:
    """Ask every worker, beside its tasks; an exception stands for the answer of one that failed.

    One that was lost while it was asked is no longer among them a moment later, or is back.
    """
    for _ in range(N_TRIES):
        try:
            answers: Mapping[str, Any] = workers.client.run(question, *arguments, on_error="return")
        except OSError as error:
            raise workers.gone() from error
        if answers and not any(isinstance(answer, OSError) for answer in answers.values()):
            return answers
        sleep(1.0)
    lost = named(answers, 3, str) or "any of them"
    raise ClusterError(
        f"expected workers at {workers.name} that answer, received nothing from {lost}; see their "
        f"logs, {STAYS}"
    )
