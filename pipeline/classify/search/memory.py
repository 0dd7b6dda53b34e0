"""What searches have measured and found so far: a file per piece of work, and one per head.

Each file is named by the digest of everything that decides what is in it. It appears whole or not
at all, so that several searches may share the folder, and one that is killed leaves what it had
finished. What cannot be read as it was written is searched again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.classify.search.trial import Cuts, Trial, Unit
from pipeline.errors import InputError
from pipeline.heads import HeadSpec, parse_head
from pipeline.runs import experiment_digest
from pipeline.system.arrays import read_arrays
from pipeline.system.files import atomic_path, write_json
from pipeline.system.typed import MOST_BYTES, read_json

UnitKey = Callable[[Cuts, Sequence[HeadSpec], int], Mapping[str, Any]]

ARRAYS = ("right", "losses", "factor", "seconds")

TRIED = "tried"
"""Places (t,) int of the heads that these are of, where that is not every one of a unit."""


@dataclass(frozen=True)
class TriedHead:
    """A row of ``search.json``: one candidate, for people.

    Args:
        layers: The input, by name.
        preparation: How features were prepared, as text.
        head: With all parameters, as text.
        accuracy: Share of the judged pictures that it called right.
        log_loss: Their mean negative log probability.
        seconds: What measuring it took.
    """

    layers: tuple[str, ...]
    preparation: str
    head: str
    accuracy: float
    log_loss: float
    seconds: float

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> "TriedHead":
        """Return what `to_dict` described; raises KeyError or TypeError if it is something else."""
        return cls(**{**row, "layers": tuple(row["layers"])})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "layers": list(self.layers)}


@dataclass(frozen=True)
class SearchedHead:
    """What a search found for one head.

    Args:
        search: Digest of everything that decided it.
        cuts: Its input.
        spec: The head as it came out best.
        optimism: How much too good its own figure is, for being the best of many.
        candidates: What was tried of this head.
    """

    search: str
    cuts: Cuts
    spec: HeadSpec
    optimism: float
    candidates: tuple[TriedHead, ...] = field(repr=False)

    @classmethod
    def from_dict(cls, search: str, value: Mapping[str, Any], n_cuts: int) -> "SearchedHead":
        """Return what `to_dict` described, of a search among so many cuts.

        Raises:
            LookupError, TypeError, ValueError, InputError: It is something else.
        """
        return cls(
            search,
            tuple(range(n_cuts)[cut] for cut in value["cuts"]),
            parse_head(value["head"]),
            float(value["optimism"]),
            tuple(TriedHead.from_dict(row) for row in value["candidates"]),
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return ``search.json``."""
        return [candidate.to_dict() for candidate in self.candidates]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "cuts": list(self.cuts),
            "head": str(self.spec),
            "optimism": self.optimism,
            "candidates": self.rows(),
        }


class SearchMemory:
    """Keeps trials and searched heads in ``.search`` beside the runs; it can always be deleted.

    Args:
        folder: Made when the first trials are kept.
        unit_key: Says what decides the figures of cuts, heads and a number of pictures.
    """

    def __init__(self, folder: Path, unit_key: UnitKey) -> None:
        self._folder, self._unit_key = folder, unit_key

    def get(self, unit: Unit, n_rows: int) -> list[Trial] | None:
        """Return what was measured of a unit on that many pictures, or None."""
        try:
            kept = read_arrays(self._path(unit, n_rows), MOST_BYTES)
            arrays = [kept[name] for name in ARRAYS]
            specs = [unit.specs[place] for place in kept.get(TRIED, range(len(unit.specs)))]
            trials = [
                Trial(unit.cuts, spec, right, losses, float(factor), float(seconds))
                for spec, right, losses, factor, seconds in zip(specs, *arrays, strict=True)
            ]
        except (FileNotFoundError, ValueError, TypeError, LookupError):
            return None
        return trials if unit.needed is None or unit.needed in specs else None

    def put(self, unit: Unit, n_rows: int, trials: Sequence[Trial]) -> None:
        """Keep what was measured; raises StoreError where the folder cannot be written."""
        arrays = {name: np.stack([getattr(trial, name) for trial in trials]) for name in ARRAYS}
        if len(trials) < len(unit.specs):
            arrays[TRIED] = np.array([unit.specs.index(trial.spec) for trial in trials])
        with atomic_path(self._path(unit, n_rows)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    def _path(self, unit: Unit, n_rows: int) -> Path:
        key = self._unit_key(unit.cuts, unit.specs, n_rows)
        return self._folder / f"{experiment_digest(key)}.npz"

    def searched(self, search: str, n_cuts: int) -> SearchedHead | None:
        """Return the head that a search of this digest found among so many cuts, or None."""
        try:
            value = read_json(self._folder / f"{search}.json")
            return SearchedHead.from_dict(search, value, n_cuts)
        except (FileNotFoundError, ValueError, TypeError, LookupError, InputError):
            return None

    def keep(self, head: SearchedHead) -> None:
        """Keep what a search found; raises StoreError where the folder cannot be written."""
        write_json(self._folder / f"{head.search}.json", head.to_dict())
