"""Every folder of a tree, listed once: what is decided afterwards asks no disk again."""

from collections import Counter
from collections.abc import Hashable, Iterator
from copy import copy
from dataclasses import dataclass

from pipeline.errors import UnknownNameError
from pipeline.images.walk import Parts, Tree

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

    Args:
        tree: What is to be listed.

    Raises:
        InputError: A folder cannot be listed.
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
        """Return the survey without the folders beside some, which are at one level.

        Args:
            wanted: Names of the folders to keep, with commas between them, at the outermost level
                that has them; or their paths; or one such name. None for all.

        Returns:
            It, and the dropped folders and pictures; folders end in ``/``.

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
