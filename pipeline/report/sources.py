"""The data set of a run as it is today, and the cached features of its pictures."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from errno import EACCES, ENOENT
from typing import Any

import numpy as np

from pipeline.config import DataConfig, ReportConfig
from pipeline.errors import InputError, PipelineError, RunError
from pipeline.features.store import FeatureCache
from pipeline.features.store.blocks import side_by_side
from pipeline.images import Dataset, index
from pipeline.images.files import OUTSIDE, LocalFiles, leads_out
from pipeline.images.location import is_remote, locate
from pipeline.images.own import may_look
from pipeline.runs import RunFolder, index_settings, load_run
from pipeline.system.progress import Reporter

CHANGED = "the pictures, labels or splits have changed since the run"


@dataclass(frozen=True)
class FoundData:
    """A data set, None where it cannot be listed, or what is wrong with it.

    It is the ``same`` if contents, labels and splits are what the run saw.
    """

    dataset: Dataset | None
    same: bool
    reason: str = ""

    @property
    def read(self) -> Callable[[str], bytes] | None:
        """What reads the pictures that a run names; None where there is nothing to read from."""
        if self.dataset is None:
            return None
        return self.dataset.files.read if self.same else _reader_of_listed(self.dataset)


def _reader_of_listed(dataset: Dataset) -> Callable[[str], bytes]:
    """Return what reads files of a place by paths that somebody wrote: they lead nowhere else."""
    files, listed = dataset.files, frozenset(dataset.paths)

    def read(path: str) -> bytes:
        if path not in listed:
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT))
        if isinstance(files, LocalFiles) and leads_out(files.root, files.root / path):
            raise OSError(EACCES, OUTSIDE)
        return files.read(path)

    return read


def check_pictures(pictures: str | None) -> None:
    """Refuse a place of pictures that is not there, or no local one; raises InputError."""
    if pictures is None:
        return
    if pictures.isdecimal() and not os.path.exists(pictures):
        raise InputError(
            f"expected a folder of pictures, received pictures={pictures}, which is not there; how "
            f"many pictures are shown says --most-pictures {pictures}"
        )
    if is_remote(pictures):
        raise InputError(
            f"expected a local folder, archive or table, received pictures={pictures}: a report "
            f"reads from no other machine; fetch the pictures first"
        )
    locate(pictures)


def find_dataset(config: ReportConfig, run: RunFolder, reporter: Reporter) -> FoundData:
    """List a run's pictures as the run did, in places that the user named; nothing is changed.

    These are ``config.pictures``, and the place that the run says if a command of the user's own
    has read it before. What a run says alone leads nowhere: anybody may have written it.
    """
    root, settings = run.dataset.root, _settings(config, run)
    if (said := settings.get("root")) is not None and not may_look(said):
        settings["root"] = None  # the paths of a table are then relative to its own folder
    places = [] if config.pictures is None else [(config.pictures, True)]
    # Links that lead out of it are followed only if the run knows what is there by them.
    places += [(root, True), (root, False)] if may_look(root) else []
    why = "which none of your commands has read here: say"
    if is_remote(root):
        why = "and a report reads from no other machine: fetch them, and say"
    reason = (
        f"the run says that its pictures are in {root}, {why} where they are with --pictures DIR"
    )
    found = FoundData(None, False, reason)
    for place, confined in places:
        found = _found(config, run, place, settings, confined, reporter)
        if found.same:
            break
    return found


def _found(
    config: ReportConfig,
    run: RunFolder,
    place: str,
    settings: Mapping[str, Any],
    confined: bool,
    reporter: Reporter,
) -> FoundData:
    try:
        dataset = index(
            place,
            DataConfig(**settings),
            memory=config.cache / "index",
            remember=False,
            confined=confined,
            reporter=reporter,
        )
    except PipelineError as error:
        return FoundData(None, False, str(error))
    if dataset.digest != run.dataset.digest:
        return FoundData(dataset, False, f"{CHANGED} in {dataset.location}")
    return FoundData(dataset, True)


def _settings(config: ReportConfig, run: RunFolder) -> dict[str, Any]:
    """Return how the pictures were indexed: of a fine-tuned run, as those of its first run."""
    seen = {run.name}
    while (tuned := run.fine_tuning) is not None and tuned.from_run not in seen:
        name = tuned.from_run
        seen.add(name)
        if name in ("", os.pardir) or os.sep in name:  # no name of a run, but a way elsewhere
            break
        try:
            beside = run.path.parent / name
            run = load_run(beside if beside.is_dir() else config.runs / name)
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
