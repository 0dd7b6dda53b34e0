"""Walk folders of pictures: what is hidden, what is a picture, no endless loops.

A tree is a folder on a local disk, or a list of names, as archives and remote folders give it. A
survey lists every folder of a tree once: what is decided afterwards asks no disk again.
"""

import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import InputError, UnknownNameError
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

    def identity(self, parts: Parts) -> Hashable:
        """Return what two names of one folder have in common."""

    def walk(self, parts: Parts = ()) -> tuple[list[str], list[str]]:
        """Return the paths of all pictures and of all other visible files below a folder.

        Every folder is entered once, and the folders above the start never: a link back up ends
        there.
        """
        pictures: list[str] = []
        ignored: list[str] = []
        entered = {self.identity(parts[:depth]) for depth in range(len(parts))}
        waiting = [parts]
        while waiting:
            at = waiting.pop()
            if (identity := self.identity(at)) in entered:
                ignored.append("/".join((*at, "")))
                continue
            entered.add(identity)
            folders, here = self.list_folder(at)
            pictures += here.pictures
            ignored += here.ignored
            waiting += [(*at, name) for name in folders]
        return pictures, ignored


class NamedTree(Tree):
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
        pictures: list[str] = []
        ignored: list[str] = []
        for name in self._files.get(parts, ()):
            unknown = may_be_picture_name(name) and self._looks(name)
            (pictures if unknown or is_picture_name(name) else ignored).append(name)
        ignored += () if parts else self._odd
        folders = sorted(self._folders.get(parts, ()))
        return folders, Listing("", None, tuple(pictures), tuple(ignored))

    def identity(self, parts: Parts) -> Hashable:
        """Return the names themselves: here no folder has two."""
        return parts


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


@dataclass(frozen=True)
class LocalTree(Tree):
    """The tree of a local folder; links are followed, where ``confined`` only inside it."""

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


MAX_NAMES_OF_ONE = 16
"""A folder that links give more names than this is entered no more: webs of links must end."""


@dataclass(frozen=True)
class Folder:
    """One folder.

    Args:
        folders: Names of the folders in it, sorted, without those that lead back up.
        pictures: Paths of the pictures directly in it.
        others: Paths of what else is in it; folders that lead back up end in ``/``.
        identity: Equal for two names of one folder.
    """

    folders: tuple[str, ...]
    pictures: tuple[str, ...]
    others: tuple[str, ...]
    identity: Hashable


class Survey:
    """The folders of a tree by the names that lead to them.

    Raises InputError if a folder cannot be listed.
    """

    def __init__(self, tree: Tree) -> None:
        self.folders: dict[Parts, Folder] = {}
        self._n_below: Counter[Parts] = Counter()
        self._list_all(tree)
        self._count()

    def _count(self) -> None:
        for parts, folder in self.folders.items():
            if folder.pictures:
                for depth in range(len(parts) + 1):
                    self._n_below[parts[:depth]] += len(folder.pictures)

    def _list_all(self, tree: Tree) -> None:
        n_names: Counter[Hashable] = Counter()
        waiting: list[tuple[Parts, Hashable, frozenset[Hashable]]] = []
        waiting.append(((), tree.identity(()), frozenset()))
        while waiting:
            parts, identity, above = waiting.pop()
            n_names[identity] += 1
            here = above | {identity}
            names, loose = tree.list_folder(parts)
            inner = {name: tree.identity((*parts, name)) for name in names}
            back = {
                name for name, of in inner.items() if of in here or n_names[of] >= MAX_NAMES_OF_ONE
            }
            ends = ("/".join((*parts, name)) + "/" for name in sorted(back))
            kept = tuple(name for name in names if name not in back)
            self.folders[parts] = Folder(kept, loose.pictures, (*loose.ignored, *ends), identity)
            waiting += [((*parts, name), inner[name], here) for name in reversed(kept)]

    def n_pictures(self, parts: Parts = ()) -> int:
        """Return how many pictures are in a folder and below it."""
        return self._n_below[parts]

    def children(self, parts: Parts) -> list[str]:
        """Return the names of the folders in a folder that have pictures in them or below."""
        return [name for name in self.folders[parts].folders if self._n_below[(*parts, name)]]

    def below(self, parts: Parts) -> Iterator[Folder]:
        """Yield a folder and all below it, each once, whatever links lead to it again."""
        entered: set[Hashable] = set()
        waiting = [parts]
        while waiting:
            at = waiting.pop()
            folder = self.folders[at]
            if folder.identity in entered:
                yield Folder((), (), ("/".join(at) + "/",), folder.identity)
                continue
            entered.add(folder.identity)
            yield folder
            waiting += [(*at, name) for name in folder.folders]

    def held(self, parts: Parts) -> Iterator[tuple[Parts, int]]:
        """Yield each folder with pictures directly in it, by its names below one, and how many."""
        start = len(parts)
        for at, folder in self.folders.items():
            if folder.pictures and at[:start] == parts:
                yield at[start:], len(folder.pictures)

    def pictures(self) -> Iterator[str]:
        """Yield the paths of all pictures."""
        return (path for folder in self.folders.values() for path in folder.pictures)

    def narrowed(self, wanted: str | None) -> tuple["Survey", list[str]]:
        """Return the survey without the folders beside some, and the dropped folders and pictures.

        Names of those to keep stand with commas between them; they are at the outermost level that
        has them. They may be paths, or one such name. None keeps all. Dropped folders end in ``/``.

        Raises:
            UnknownNameError: No folder at that level has one of the names.
        """
        if wanted is None:
            return self, []
        kept = self._chosen(wanted)
        around = {at[:depth] for at in kept for depth in range(len(at))}
        depths = {len(at) for at in kept}
        fewer = copy(self)
        fewer.folders, fewer._n_below = {}, Counter()
        dropped: list[str] = []
        for at, folder in self.folders.items():
            if any(at[:depth] in kept for depth in depths):
                fewer.folders[at] = folder
            elif at in around:
                paths = {name: (*at, name) for name in folder.folders}
                names = [name for name, path in paths.items() if path in kept | around]
                fewer.folders[at] = Folder(tuple(names), (), (), folder.identity)
                dropped += [*folder.pictures, *folder.others]
                dropped += ["/".join(paths[name]) + "/" for name in paths if name not in names]
        fewer._count()
        return fewer, dropped

    def _chosen(self, wanted: str) -> set[Parts]:
        only = [name.strip().rstrip("/") for name in wanted.split(",")]
        if any(at and at[-1] == wanted for at in self.folders):
            only = [wanted]
        level = min((len(at) for at in self.folders if at and at[-1] in only), default=0)
        beside = {at for at in self.folders if at and len(at) == (level or len(at))}
        kept = set[Parts]()
        for name in only:
            path = tuple(name.split("/"))
            found = {at for at in beside if at[-1] == name} or {path} & self.folders.keys()
            if not found:
                known = sorted({at[-1] for at in beside})
                way_out = "give --only names of folders at one level, or their paths below DATA"
                raise UnknownNameError("folder", name, known, way_out)
            kept |= found
        return kept
