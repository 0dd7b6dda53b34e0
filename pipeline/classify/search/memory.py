"""What a search has measured so far, one file per piece of work."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from pipeline.heads import HeadSpec
from pipeline.runs.folder import experiment_digest
from pipeline.system.files import atomic_path

if TYPE_CHECKING:
    # Slow to import, for scikit-learn's sake: choosing a run to predict with does without.
    from pipeline.classify.search import Cuts, Trial, Unit

UnitKey = Callable[["Cuts", Sequence[HeadSpec], int], Mapping[str, Any]]


def search_folder(runs: Path) -> Path:
    """Return where searches keep what they measured; it can be deleted at any time."""
    return runs / ".search"


class SearchMemory:
    """Keeps trials in a folder; each file is named by the digest of what decides its figures.

    A file appears whole or not at all, so that several searches may share the folder, and one that
    is killed leaves what it had finished.

    Args:
        folder: Made when the first trials are kept.
        unit_key: Says what decides the figures of cuts, heads and a number of pictures.
    """

    def __init__(self, folder: Path, unit_key: UnitKey) -> None:
        self._folder, self._unit_key = folder, unit_key

    def get(self, unit: "Unit", n_rows: int) -> "list[Trial] | None":
        """Return what was measured of a unit, or None; a damaged file counts as none."""
        from pipeline.classify.search import Trial

        try:
            with (
                self._path(unit, n_rows).open("rb") as file,
                np.load(file, allow_pickle=False) as kept,
            ):
                arrays = {name: kept[name] for name in ("right", "losses", "factor", "seconds")}
        except (FileNotFoundError, ValueError, KeyError, EOFError, BadZipFile):
            return None
        rows = zip(*arrays.values(), strict=True)
        return [
            Trial(unit.cuts, spec, right, losses, float(factor), float(seconds))
            for spec, (right, losses, factor, seconds) in zip(unit.specs, rows, strict=True)
        ]

    def put(self, unit: "Unit", n_rows: int, trials: "Sequence[Trial]") -> None:
        """Keep what was measured; raises StoreError where the folder cannot be written."""
        arrays = {
            name: np.stack([getattr(trial, name) for trial in trials])
            for name in ("right", "losses", "factor", "seconds")
        }
        with atomic_path(self._path(unit, n_rows)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def _path(self, unit: "Unit", n_rows: int) -> Path:
        key = self._unit_key(unit.cuts, unit.specs, n_rows)
        return self._folder / f"{experiment_digest(key)}.npz"
