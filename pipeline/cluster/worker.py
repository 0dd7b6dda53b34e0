"""What runs on a worker: plain values in, shards into the cache, plain values out.

A worker opens the base once for a job and keeps it for the tasks that follow. Nothing here knows
Dask, so that any process that can import this package may be a worker.
"""

import json
import os
import platform
import threading
from dataclasses import dataclass, fields
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

from pipeline.backbones.engines import Engine, choose_engine, open_engine
from pipeline.config import FeaturesConfig, to_dict
from pipeline.errors import PipelineError, StoreError
from pipeline.features import Outcome, Passes, Work
from pipeline.features.base import FrozenBase
from pipeline.features.passes import PictureRows
from pipeline.features.preflight import bytes_of_row, check_memory
from pipeline.features.saved import frozen_from_dict
from pipeline.images.sources import opened_files
from pipeline.system.startup import installed_version

VERSIONED = (
    *("bottleneck-pipeline", "tensorflow", "keras", "openvino", "numpy", "h5py", "pillow"),
    *("scikit-learn", "scipy", "joblib"),
)
"""Packages that touch a result's value, or carry it."""
SEE_SECONDS = 5.0
"""For a file that was just written to be seen through a network file system."""
FAILED = "failed"

_one_at_a_time = threading.Lock()

Plain = dict[str, Any]


def installed() -> dict[str, str]:
    """Return the versions of what computes here."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: installed_version(name) or "none" for name in VERSIONED}}


def sent_config(config: FeaturesConfig) -> Plain:
    """Return stage 1's settings as plain values that `received_config` takes anywhere."""
    names = {one.name for one in fields(FeaturesConfig)} - {"cluster", "strict", "remote_cache"}
    values = {name: value for name, value in to_dict(config).items() if name in names}
    return {**values, "cache": os.path.abspath(config.cache)}


def received_config(values: Plain) -> FeaturesConfig:
    """Make settings of what `sent_config` returned."""
    return FeaturesConfig(**{**values, "cache": Path(values["cache"])})


def look(job: Plain, token: Plain, pictures: Plain) -> Plain:
    """Say what this worker sees of a job; nothing is computed.

    Args:
        job: ``config``, ``base`` and ``recipe``, as `compute_batch` takes them.
        token: ``path`` and ``text`` of a file that was just written into the cache.
        pictures: ``paths``, ``digests`` and ``files`` of a few pictures that can be read.

    Returns:
        ``recipe``: digest of the recipe here; ``cache`` and ``pictures``: None, or why they cannot
        be used from here; ``engine``: what would compute; ``failed``: why nothing can.
    """
    try:
        config, base = received_config(job["config"]), frozen_from_dict(job["base"])
        return {
            "recipe": base.recipe.digest,
            "cache": _unseen_cache(token),
            "pictures": _unseen_picture(pictures),
            "engine": choose_engine(config.engine, base.precision).engine,
        }
    except PipelineError as error:
        return _failed(error)


def _unseen_cache(token: Plain) -> str | None:
    path, waited = Path(token["path"]), 0.0
    while not path.exists() and waited < SEE_SECONDS:
        sleep(0.1)
        waited += 0.1
    try:
        if path.read_text("utf-8") != token["text"]:
            return "another folder has that name there"
    except OSError as error:
        return error.strerror or type(error).__name__
    return None if os.access(path.parent, os.W_OK) else "it cannot be written there"


def _unseen_picture(sent: Plain) -> str | None:
    try:
        pictures = _pictures(sent)
        for row, path in enumerate(pictures.paths):
            if sha256(pictures.read(row)).digest() != pictures.digests[row].tobytes():
                return f"{path} is another file there"
    except OSError as error:
        return f"{path}: {error.strerror or type(error).__name__}"
    return None


def open_job(job: Plain) -> Plain:
    """Load the base, so that tasks find it there; return its output shapes and memory.

    Returns:
        ``shapes``: of one picture's features, cut by cut; ``memory``: bytes that a worker may need.
    """
    try:
        with _one_at_a_time:
            opened = _opened(json.dumps(job, sort_keys=True))
    except PipelineError as error:
        return _failed(error)
    return {"shapes": opened.engine.output_shapes, "memory": opened.memory}


def compute_batch(job: Plain, batch: Plain) -> Plain:
    """Compute one batch and publish it; done twice, it is the same rows twice, which is harmless.

    A worker with several threads computes one batch at a time all the same: the engine uses all
    its cores.

    Args:
        job: ``config`` (`sent_config`), ``base`` (``FrozenBase.to_dict``), ``recipe`` (its digest)
            and ``token`` (see `look`).
        batch: ``n`` pictures, then copies of some: ``paths``, ``digests``, ``files``; and
            ``views`` of each of the n.

    Returns:
        The fields of an `Outcome`; ``in_flux`` holds pairs of a place in the batch and the reason.
        Or ``failed``, see `look`.
    """
    try:
        with _one_at_a_time:
            opened = _opened(json.dumps(job, sort_keys=True))
            outcome = Outcome(opened.engine.name)
            work = Work(np.arange(batch["n"]), batch["views"])
            passes = Passes(opened.config, opened.base, _pictures(batch), work)
            passes.run(opened.engine, outcome)
    except PipelineError as error:
        return _failed(error)
    values = {**vars(outcome), "in_flux": [(one.row, one.reason) for one in outcome.in_flux]}
    del values["forecast"], values["workers"]
    return values


@dataclass(frozen=True)
class _Opened:
    """A base that is ready to compute."""

    config: FeaturesConfig
    base: FrozenBase
    engine: Engine
    memory: int


@lru_cache(1)
def _opened(job_text: str) -> _Opened:
    """Open a job's base, after a look at whether this worker sees what it must."""
    job = json.loads(job_text)
    config, base = received_config(job["config"]), frozen_from_dict(job["base"])
    _check_same(job, base)
    engine = open_engine(base, config.engine, base.precision, config.batch_size, config.converted)
    size = base.decoding.size
    batch = (engine.batch_size, size, size, 3)
    memory = check_memory(bytes_of_row(engine.output_shapes, base.dtype), batch)
    return _Opened(config, base, engine, memory)


def _check_same(job: Plain, base: FrozenBase) -> None:
    """Refuse to compute for another recipe, or into a folder that is not the shared one.

    Workers that joined late are asked here only.
    """
    if (reason := _unseen_cache(job["token"])) is not None:
        raise StoreError(
            f"expected the cache {job['config']['cache']} on every worker, {platform.node()} does "
            f"not see it: {reason}; put it on a file system that all share"
        )
    if base.recipe.digest != job["recipe"] or installed() != job["versions"]:
        raise StoreError(
            f"expected the same versions on every worker, {platform.node()} has others; install "
            f"the same everywhere"
        )


def _pictures(sent: Plain) -> PictureRows:
    digests = np.frombuffer(sent["digests"], np.uint8).reshape(-1, 32)
    return PictureRows(opened_files(sent["files"]), sent["paths"], digests)


def _failed(error: PipelineError) -> Plain:
    return {FAILED: str(error), "where": platform.node()}
