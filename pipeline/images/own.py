"""Which places this user's own commands have read: who only looks goes to no other by itself.

A run says where its pictures were, and anybody may have written that. So a place counts as the
user's own once a command of this user that was told it has read it on this machine. An empty file
a place remembers that, outside of runs and caches: these travel from hand to hand. Its name is the
digest of the place as runs say it; to ask for one touches nothing there. Where it cannot be kept,
the user has to name the place again.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from pipeline.images.location import is_remote

FOLDER = "bottleneck-pipeline/places"


def note_own(place: str) -> None:
    """Remember that a command was told a place, and read it."""
    note = _note(place)
    if note is not None and not note.exists():
        with suppress(OSError):
            note.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            note.touch()


def is_own(place: str) -> bool:
    """Return whether a command of this user was told a place, and read it."""
    note = _note(place)
    return note is not None and note.is_file()


def may_look(place: str) -> bool:
    """Return whether who only looks may read a place that a run says: a local one, and own."""
    return not is_remote(place) and is_own(place)


def _note(place: str) -> Path | None:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()
    return Path(state, FOLDER, name) if os.path.isabs(state) else None
