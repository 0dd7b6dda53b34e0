"""Walk folders of pictures on a local disk: what is hidden, what is a picture, no endless loops."""

import os
from pathlib import Path

from pipeline.errors import InputError
from pipeline.images.names import is_clutter, is_picture_name
from pipeline.images.tree import Found, Parts


class LocalTree:
    """The tree of a local folder.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def list_folder(self, parts: Parts) -> tuple[list[str], Found]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""
        folders: list[str] = []
        pictures: list[str] = []
        ignored: list[str] = []
        prefix = "".join(f"{part}/" for part in parts)
        for entry in _visible(self.root.joinpath(*parts)):
            if entry.is_dir():
                folders.append(entry.name)
            else:
                (pictures if _is_picture(entry) else ignored).append(prefix + entry.name)
        return folders, Found("", None, tuple(pictures), tuple(ignored))

    def walk(self, parts: Parts) -> tuple[list[str], list[str]]:
        """Return the paths of all pictures and of all other visible files below a folder.

        Symbolic links are followed. Every folder is entered once, and the folders above the start
        never: a link back up ends there.
        """
        pictures: list[str] = []
        ignored: list[str] = []
        above = [self.root.joinpath(*parts[:depth]) for depth in range(len(parts))]
        entered = {_identity(folder) for folder in above}
        waiting = ["/".join(parts)]
        while waiting:
            folder = waiting.pop()
            identity = _identity(self.root / folder)
            if identity in entered:
                ignored.append(f"{folder}/")
                continue
            entered.add(identity)
            prefix = f"{folder}/" if folder else ""
            for entry in _visible(self.root / folder):
                if entry.is_dir():
                    waiting.append(prefix + entry.name)
                else:
                    (pictures if _is_picture(entry) else ignored).append(prefix + entry.name)
        return pictures, ignored


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_picture(entry: os.DirEntry[str]) -> bool:
    # A dangling link counts, so that it is reported as unreadable; opening a pipe would hang.
    regular = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    return regular and is_picture_name(entry.name)


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_clutter(entry.name)]
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be listed ({error.strerror}): make it readable or move it "
            "out of the picture folder"
        ) from error
    return sorted(shown, key=lambda entry: entry.name)
