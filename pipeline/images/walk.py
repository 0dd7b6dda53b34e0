"""Walk folders of pictures: what is hidden, what is a picture, no endless loops.

A tree is a folder on a local disk, or a list of names, as archives and remote folders give it.
"""

import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import InputError
from pipeline.images.files import leads_out
from pipeline.images.names import (
    is_clutter,
    is_picture_name,
    is_trailed_picture_name,
    may_be_picture_name,
)
from pipeline.images.sniff import HEAD_BYTES, is_picture

Parts = tuple[str, ...]
"""Names that lead from the root of a source to a folder in it; none for the root itself."""


@dataclass(frozen=True)
class Listing:
    """What one folder holds: a class folder, or (label ``""``) what lies loose beside classes.

    Args:
        label: Class name as the folder spells it.
        split: ``"train"``, ``"validation"``, ``"test"`` or None.
        pictures: Paths relative to the scanned root.
        ignored: Paths relative to the scanned root; folders end in ``/``.
        group: Name of the group that its pictures are of, or None.
    """

    label: str
    split: str | None
    pictures: tuple[str, ...]
    ignored: tuple[str, ...]
    group: str | None = None


class Tree(Protocol):
    """Folders and files, wherever they are; paths are relative to the root, with ``/``."""

    def list_folder(self, parts: Parts) -> tuple[list[str], Listing]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""

    def walk(self, parts: Parts) -> tuple[list[str], list[str]]:
        """Return the paths of all pictures and of all other visible files below a folder."""

    def identity(self, parts: Parts) -> Hashable:
        """Return what two names of one folder have in common."""


class NamedTree:
    """A tree made of the names of its files.

    Args:
        names: Relative paths with ``/``; hidden ones and clutter are left out here.
        odd: Names to list as ignored, whatever they are.
        looks: Whether a file whose suffix nobody knows is a picture; by its name if left out.
    """

    def __init__(
        self,
        names: Iterable[str],
        odd: Iterable[str] = (),
        looks: Callable[[str], bool] = is_trailed_picture_name,
    ) -> None:
        self._folders: dict[Parts, dict[str, None]] = {(): {}}
        self._files: dict[Parts, list[str]] = {}
        self._odd = tuple(odd)
        self._looks = looks
        for name in sorted(names):
            *parts, file = name.split("/")
            if not any(map(is_clutter, (*parts, file))):
                self._add_folder(tuple(parts))
                self._files.setdefault(tuple(parts), []).append(name)

    def _add_folder(self, parts: Parts) -> None:
        if parts not in self._folders:
            self._folders[parts] = {}
            for depth, name in enumerate(parts):
                self._folders.setdefault(parts[:depth], {})[name] = None

    def list_folder(self, parts: Parts) -> tuple[list[str], Listing]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""
        pictures, ignored = self._sorted_out(parts)
        if not parts:
            ignored += self._odd
        folders = sorted(self._folders.get(parts, ()))
        return folders, Listing("", None, tuple(pictures), tuple(ignored))

    def walk(self, parts: Parts) -> tuple[list[str], list[str]]:
        """Return the paths of all pictures and of all other visible files below a folder."""
        pictures: list[str] = []
        ignored: list[str] = []
        waiting = [parts]
        while waiting:
            folder = waiting.pop()
            here, others = self._sorted_out(folder)
            pictures += here
            ignored += others
            waiting += [(*folder, name) for name in self._folders.get(folder, ())]
        return pictures, ignored if parts else [*ignored, *self._odd]

    def identity(self, parts: Parts) -> Hashable:
        """Return the names themselves: here no folder has two."""
        return parts

    def _sorted_out(self, parts: Parts) -> tuple[list[str], list[str]]:
        pictures: list[str] = []
        others: list[str] = []
        for name in self._files.get(parts, []):
            unknown = may_be_picture_name(name) and self._looks(name)
            (pictures if unknown or is_picture_name(name) else others).append(name)
        return pictures, others


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


@dataclass(frozen=True)
class LocalTree:
    """The tree of a local folder.

    Args:
        root: The folder.
        confined: Whether links that lead out of it are not followed.
    """

    root: Path
    confined: bool = False

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        entries = _visible(folder)
        if not self.confined:
            return entries
        return [e for e in entries if not (e.is_symlink() and leads_out(self.root, e.path))]

    def list_folder(self, parts: Parts) -> tuple[list[str], Listing]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""
        folders: list[str] = []
        pictures: list[str] = []
        ignored: list[str] = []
        prefix = "".join(f"{part}/" for part in parts)
        for entry in self._entries(self.root.joinpath(*parts)):
            if _is_folder(entry):
                folders.append(entry.name)
            else:
                (pictures if _is_picture(entry) else ignored).append(prefix + entry.name)
        return folders, Listing("", None, tuple(pictures), tuple(ignored))

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
            for entry in self._entries(self.root / folder):
                if _is_folder(entry):
                    waiting.append(prefix + entry.name)
                else:
                    (pictures if _is_picture(entry) else ignored).append(prefix + entry.name)
        return pictures, ignored

    def identity(self, parts: Parts) -> Hashable:
        """Return device and inode: links give a folder several names."""
        return _identity(self.root.joinpath(*parts))


def _is_picture(entry: os.DirEntry[str]) -> bool:
    """Say whether a file is a picture by its suffix; by its first bytes where that is none."""
    # A dangling link counts, so that it is reported as unreadable; opening a pipe would hang.
    try:
        regular = entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:  # a link that leads in a circle
        return is_picture_name(entry.name)
    if not regular or not may_be_picture_name(entry.name):
        return regular and is_picture_name(entry.name)
    return _begins_like_picture(entry.path)


_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def _begins_like_picture(path: str) -> bool:
    # A third of what ``open`` takes, and there may be 100,000 of them.
    try:
        file = os.open(path, _READ)
    except OSError:
        return False
    try:
        return is_picture(os.read(file, HEAD_BYTES))
    except OSError:
        return False
    finally:
        os.close(file)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        status = folder.stat()
    except OSError as error:
        raise _unlisted(folder, error) from error
    return status.st_dev, status.st_ino


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not is_clutter(entry.name)]
    except OSError as error:
        raise _unlisted(folder, error) from error
    return sorted(shown, key=lambda entry: entry.name)


def _unlisted(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"the folder {folder} cannot be listed ({error.strerror}): make it readable or move it out "
        "of the picture folder"
    )
