"""What killed processes leave behind: files and folders under temporary names of ours."""

import re
import shutil
from pathlib import Path
from time import time

from pipeline.system.files import TEMPORARY_PREFIX

MIN_AGE_SECONDS = 3600.0
OURS = re.compile(rf"{re.escape(TEMPORARY_PREFIX)}[0-9a-f]{{32}}(-|$)")


def remove_leftovers(folder: Path) -> int:
    """Remove what was begun in a folder and never finished.

    Only names that this program gives are touched, and only those that nothing was written to for
    an hour: another process may be at work.

    Args:
        folder: A folder of the cache, or that of the runs; what lies deeper is not looked at.

    Returns:
        How many files and folders went; on a read-only file system none.
    """
    stale = [path for path in folder.glob(f"{TEMPORARY_PREFIX}*") if _is_stale(path)]
    return sum(map(_remove, stale))


def _is_stale(path: Path) -> bool:
    if not OURS.match(path.name):
        return False
    try:
        newest = max(item.lstat().st_mtime for item in (path, *path.rglob("*")))
    except FileNotFoundError:  # it was finished meanwhile
        return False
    return time() - newest > MIN_AGE_SECONDS


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:  # read-only, or gone: either way it was not we who removed it
        return False
    return True
