"""The data set of a run as it is today, and the cached features of its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import ReportConfig
from pipeline.errors import PipelineError, RunError, StoreError
from pipeline.features.store import FeatureCache, Recipe
from pipeline.images import Dataset, index
from pipeline.runs import Run, index_settings

CHANGED = "the pictures, labels or splits have changed since the run"


@dataclass(frozen=True)
class Found:
    """A data set, or why it cannot be shown.

    Args:
        dataset: The pictures; None where they cannot be listed.
        same: Whether contents, labels and splits are what the run saw.
        reason: What is wrong.
    """

    dataset: Dataset | None
    same: bool
    reason: str = ""


def find_dataset(config: ReportConfig, run: Run) -> Found:
    """List a run's pictures as the run did; nothing is written into a cache that is not there."""
    memory = config.cache / "index" if config.cache.is_dir() else None
    try:
        dataset = index(run.root, memory=memory, **_settings(config, run))
    except PipelineError as error:
        return Found(None, False, str(error))
    if dataset.digest != run.data:
        return Found(dataset, False, f"{CHANGED} in {dataset.location}")
    return Found(dataset, True)


def _settings(config: ReportConfig, run: Run) -> Mapping[str, Any]:
    """Return how the pictures were indexed: of a fine-tuned run, as those of its first run."""
    seen = {run.name}
    while (source := run.info.get("from")) is not None and source not in seen:
        seen.add(source)
        try:
            run = _beside(config, run, source)
        except RunError:
            break
    return index_settings(config.runs, str(run.path.resolve()), run.root)


def _beside(config: ReportConfig, run: Run, name: str) -> Run:
    from pipeline.runs import load_run

    beside = run.path.parent / name
    return load_run(beside if beside.is_dir() else config.runs / name)


def open_cache(cache: Path, run: Run) -> FeatureCache:
    """Open the cached features that a run was trained on.

    Raises:
        StoreError: There is no such cache, or it cannot be read.
    """
    if not cache.is_dir():
        raise StoreError(f"there is no feature cache at {cache}")
    return FeatureCache(cache, Recipe.from_dict(run.info["recipe"]))


def read_features(cache: FeatureCache, run: Run, digests: np.ndarray) -> np.ndarray:
    """Read the features of pictures, all cuts side by side: (n, d) float32.

    Maps that were never pooled are averaged over their places: they are looked at here, not learnt
    from.
    """
    parts = []
    for layer, pooling in run.info["base"]["cuts"]:
        part = cache.read((layer, pooling), digests).astype(np.float32)
        parts.append(part.mean((1, 2)) if part.ndim == 4 else part.reshape(len(part), -1))
    return np.concatenate(parts, axis=1)
