"""Where a training stands, in one file that is whole or not there.

    runs/.checkpoints/<digest of the experiment>/checkpoint.npz   arrays, and the history as JSON;
                                                                  checkpoint-1.npz of the next one
    runs/.checkpoints/<digest of the experiment>/history.csv      the same history, to look at

Written after every epoch, removed when the run is there. One that is of no use is kept beside it as
``unused-….npz``. Nothing drawn is in it: that follows from the seed and the epoch's number.
"""

import json
import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import numpy as np

from pipeline.finetune.logs import write_history
from pipeline.finetune.training.plan import Epoch, State
from pipeline.system.arrays import read_arrays
from pipeline.system.files import atomic_path, rename, unreadable
from pipeline.system.typed import parse_json, typed

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
FOLDER = ".checkpoints"
HISTORY = "history.csv"
_ABOUT = "about"


class _About(TypedDict):
    """What a checkpoint says of its arrays."""

    format_version: int
    experiment: str
    history: tuple[Epoch, ...]


class Checkpoint:
    """The checkpoint of one experiment.

    Args:
        runs: Folder of the runs.
        digest: Of the experiment: another configuration has another checkpoint.
        attempt: Number of the training among those of the experiment.
    """

    def __init__(self, runs: Path, digest: str, attempt: int = 0) -> None:
        self._runs, self._digest = runs, digest
        self.folder = runs / FOLDER / digest
        self.path = self.folder / (f"checkpoint-{attempt}.npz" if attempt else "checkpoint.npz")

    def of(self, attempt: int) -> "Checkpoint":
        """Return the checkpoint of another training of the same experiment."""
        return Checkpoint(self._runs, self._digest, attempt)

    def save(self, state: State) -> None:
        """Write where a training stands; what was written before stays until this is whole.

        Raises:
            StoreError: The folder cannot be written, or the disk is full.
        """
        about = {
            "format_version": FORMAT_VERSION,
            "experiment": self._digest,
            "history": [asdict(epoch) for epoch in state.history],
        }
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_ABOUT: json.dumps(about)}, **state.arrays)
        with atomic_path(self.folder / HISTORY) as temporary:
            write_history(temporary, state.history)

    def load(self) -> State | None:
        """Return where the training stood; None where there is nothing to go on from.

        A file that is damaged, or of another experiment, is told of, set aside and not used.
        """
        if not self.path.is_file():
            return None
        try:
            arrays = read_arrays(self.path)
            about = _read_about(arrays.pop(_ABOUT))
            found = about["format_version"], about["experiment"]
            if found == (FORMAT_VERSION, self._digest):
                _check(about["history"], arrays)
        except OSError as error:
            raise unreadable(self.path, error) from error
        except (KeyError, ValueError) as error:
            self.ignore(f"it cannot be read ({error})")
            return None
        if found != (FORMAT_VERSION, self._digest):
            self.ignore("it is of another configuration")
            return None
        return State(about["history"], arrays)

    def ignore(self, reason: str) -> None:
        """Set the checkpoint aside, and say so: it may be all that is left of somebody's training.

        Raises:
            StoreError: The folder cannot be written.
        """
        aside = self.path.with_name(f"unused-{uuid.uuid4().hex[:8]}.npz")
        rename(self.path, aside)
        logger.warning(
            "%s is not used: %s; training begins anew, and the file is kept as %s",
            self.path,
            reason,
            aside.name,
        )

    def remove_untrained(self) -> None:
        """Remove a checkpoint from before the first epoch: there is nothing to go on from."""
        kept = self.load()
        if kept is not None and len(kept.history) == 1:
            self.remove()

    def remove(self) -> None:
        """Remove those of all trainings, and the folders that are empty without them."""
        for path in (*self.folder.glob("checkpoint*.npz"), self.folder / HISTORY):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: another training goes on beside this one
            for folder in (self.folder, self.folder.parent):
                folder.rmdir()


def _read_about(text: np.ndarray) -> _About:
    about: _About = typed(_About, parse_json(str(text).encode("utf-8")))
    return about


def _check(history: Sequence[Epoch], arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError where there is nothing to go on from."""
    if [epoch.epoch for epoch in history] != list(range(len(history))) or not history:
        raise ValueError(
            f"a history of {len(history)} epochs with gaps" if history else "no history"
        )
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"NaN or infinity in {name}")
