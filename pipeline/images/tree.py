"""A tree of files as a list of names: archives and remote folders; and what every tree offers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pipeline.images.names import is_clutter, is_picture_name

Parts = tuple[str, ...]
"""Names that lead from the root of a source to a folder in it; none for the root itself."""


@dataclass(frozen=True)
class Found:
    """What one folder holds: a class folder, or (label ``""``) what lies loose beside classes.

    Args:
        label: Class name as the folder spells it.
        split: ``"train"``, ``"validation"``, ``"test"`` or None.
        pictures: Paths relative to the scanned root.
        ignored: Paths relative to the scanned root; folders end in ``/``.
    """

    label: str
    split: str | None
    pictures: tuple[str, ...]
    ignored: tuple[str, ...]


class Tree(Protocol):
    """Folders and files, wherever they are; paths are relative to the root, with ``/``."""

    def list_folder(self, parts: Parts) -> tuple[list[str], Found]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""

    def walk(self, parts: Parts) -> tuple[list[str], list[str]]:
        """Return the paths of all pictures and of all other visible files below a folder."""


class NamedTree:
    """A tree made of the names of its files.

    Args:
        names: Relative paths with ``/``; hidden ones and clutter are left out here.
        odd: Names to list as ignored, whatever they are.
    """

    def __init__(self, names: Iterable[str], odd: Iterable[str] = ()) -> None:
        self._folders: dict[Parts, dict[str, None]] = {(): {}}
        self._files: dict[Parts, list[str]] = {}
        self._odd = tuple(odd)
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

    def list_folder(self, parts: Parts) -> tuple[list[str], Found]:
        """Return the sorted names of a folder's visible sub-folders, and the files beside them."""
        pictures, ignored = self._sorted_out(parts)
        if not parts:
            ignored += self._odd
        folders = sorted(self._folders.get(parts, ()))
        return folders, Found("", None, tuple(pictures), tuple(ignored))

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

    def _sorted_out(self, parts: Parts) -> tuple[list[str], list[str]]:
        files = self._files.get(parts, [])
        pictures = [name for name in files if is_picture_name(name)]
        return pictures, [name for name in files if not is_picture_name(name)]
