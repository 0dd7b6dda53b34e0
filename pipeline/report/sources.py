"""The data set of a run as it is today, and the cached features of its pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config import DataConfig, ReportConfig
from pipeline.errors import PipelineError, RunError
from pipeline.features.store import FeatureCache
from pipeline.features.store.blocks import side_by_side
from pipeline.images import Dataset, index
from pipeline.runs import RunFolder, index_settings, load_run
from pipeline.system.progress import Reporter

CHANGED = "the pictures, labels or splits have changed since the run"


@dataclass(frozen=True)
class FoundData:
    """A data set, or why it cannot be shown.

    Args:
        dataset: The pictures; None where they cannot be listed.
        same: Whether contents, labels and splits are what the run saw.
        reason: What is wrong.
    """

    dataset: Dataset | None
    same: bool
    reason: str = ""


def find_dataset(config: ReportConfig, run: RunFolder, reporter: Reporter) -> FoundData:
    """List a run's pictures as the run did; nothing is changed on disk."""
    try:
        dataset = index(
            run.dataset.root,
            DataConfig(**_settings(config, run)),
            memory=config.cache / "index",
            remember=False,
            reporter=reporter,
        )
    except PipelineError as error:
        return FoundData(None, False, str(error))
    if dataset.digest != run.dataset.digest:
        return FoundData(dataset, False, f"{CHANGED} in {dataset.location}")
    return FoundData(dataset, True)


def _settings(config: ReportConfig, run: RunFolder) -> Mapping[str, Any]:
    """Return how the pictures were indexed: of a fine-tuned run, as those of its first run."""
    seen = {run.name}
    while (tuned := run.fine_tuning) is not None and tuned.from_run not in seen:
        seen.add(tuned.from_run)
        try:
            beside = run.path.parent / tuned.from_run
            run = load_run(beside if beside.is_dir() else config.runs / tuned.from_run)
        except RunError:
            break
    return index_settings(config.runs, str(run.path.resolve()), run.dataset.root)


def read_features(cache: FeatureCache, run: RunFolder, digests: np.ndarray) -> np.ndarray:
    """Read the features of pictures, all cuts side by side: (n, d) float32.

    Maps that were never pooled are averaged over their places: they are looked at here, not learnt
    from.
    """
    parts = []
    for cut in run.recipe.cuts:
        part = cache.read(cut, digests).astype(np.float32)
        parts.append(part.mean((1, 2)) if part.ndim == 4 else part)
    return side_by_side(parts)
