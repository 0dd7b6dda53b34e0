"""Which places this user's own commands have read: who only looks goes to no other by itself.

A run says where its pictures were, and anybody may have written that. So a place counts as the
user's own once a command of this user that was told it has read it on this machine. An empty file
a place remembers that, outside of runs and caches: these travel from hand to hand. Its name is the
digest of the place. Where it cannot be kept, the user has to name the place again.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from pipeline.images.location import is_remote, resolve_location

FOLDER = "bottleneck-pipeline/places"


def note_own(place: str | Path) -> None:
    """Remember that a command was told a local place, and read it."""
    note = _note(place)
    if note is not None and not is_own(place):
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            note.touch()


def is_own(place: str | Path) -> bool:
    """Return whether it is a local place that a command of this user was told before."""
    note = _note(place)
    return note is not None and note.is_file()


def _note(place: str | Path) -> Path | None:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    if is_remote(place) or not os.path.isabs(state):
        return None
    text = resolve_location(place).encode("utf-8", "surrogateescape")
    return Path(state, FOLDER, hashlib.sha256(text).hexdigest())
