"""Setting damaged things aside. Nothing is deleted: a new name takes them out of the way."""

import logging
from pathlib import Path

from pipeline.errors import StoreError

logger = logging.getLogger("pipeline")

DAMAGED_PREFIX = "damaged-"


def set_aside(path: Path, reason: object) -> Path | None:
    """Rename a damaged file or folder to ``damaged-…`` beside it.

    Args:
        path: What is damaged.
        reason: Why, for the log.

    Returns:
        Where it is now; None when another process was quicker.

    Raises:
        StoreError: It cannot be renamed.
    """
    aside = _unused(path)
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(
            f"cannot set the damaged {path} aside: {error.strerror}; move it away yourself, "
            f"what was in it is made again"
        ) from error
    logger.warning("set aside as %s: %s", aside.name, reason)
    return aside


def _unused(path: Path) -> Path:
    """Return a name that is free: what was set aside before stays as it is."""
    aside, number = path.with_name(f"{DAMAGED_PREFIX}{path.name}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{DAMAGED_PREFIX}{number}-{path.name}")
    return aside
