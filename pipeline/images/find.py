"""Pictures to be labelled: files as they are named, folders with all that is in them."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import DataError, InputError
from pipeline.images.walk import LocalTree


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """Return the named files, and every picture in the named folders, sorted within each folder.

    A file that is named is taken whatever its name; in folders the suffix decides.

    Raises:
        InputError: A path is not there.
        DataError: The folders hold no pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(
                f"expected a picture or a folder of pictures, received {path}, which is not there"
            )
        found += _pictures_in(path) if path.is_dir() else [path]
    if not found:
        raise DataError(f"expected pictures in {', '.join(map(str, paths))}, received none")
    return found


def _pictures_in(folder: Path) -> list[Path]:
    pictures, _ = LocalTree(folder).walk(())
    return sorted(folder / name for name in pictures)
