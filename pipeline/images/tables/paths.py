"""Find the files that the paths of a table mean, where they are not there as they are written.

Tables travel: they hold names without suffix, other slashes, other case, or the folders of another
machine. A path means a file if exactly one file below the root has the same name, or the same name
without suffix where the table has none, and their folders agree as far as both are given.
"""

import os
import posixpath
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from urllib.parse import unquote

from pipeline.errors import nearest_names
from pipeline.images.names import is_clutter, is_picture_name
from pipeline.images.splitwords import split_named
from pipeline.images.walk import Parts
from pipeline.system.cells import named_as

_FOREIGN = re.compile(r"[a-zA-Z]:[\\/]|[\\/]|[a-z][a-z0-9+.-]*://|\.\.[\\/]|~")
_FILE = "file://"
_N_BESIDE = 1000
_WORTH_LISTING = 32


class PathFinder:
    """Finds the files of a table below a root; that is listed where a path needs it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._prefix = f"{root.rstrip(os.sep)}/"
        self._endings: dict[tuple[int, bool], Mapping[Parts, list[str]]] = {}
        self._fits: dict[Hashable, Sequence[str]] = {}

    def tidied(self, path: str, folder: str = "") -> str:
        """Write one path in one way, so that two rows for it are seen.

        ``folder`` is where its table lies below the root, with a slash at its end.
        """
        if path[0] not in "/~" and "://" not in path:
            path = folder + path
        if path.startswith(_FILE):
            path = unquote(path.removeprefix(_FILE).removeprefix("localhost"))
        if "://" in path:
            return path
        return posixpath.normpath(os.path.expanduser(path)).removeprefix(self._prefix)

    def is_there(self, path: str) -> bool:
        """Say whether something is at a tidy path."""
        try:
            os.stat(path if path.startswith("/") else self._prefix + path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except (OSError, ValueError):  # told when it is read
            return True
        return True

    def found(self, paths: Collection[str]) -> tuple[dict[str, str], dict[str, Sequence[str]]]:
        """Return which files are meant by those different tidy paths at which there is none.

        Returns:
            The file by path; and the paths that mean none, with the files that fit: none, several,
            or one that another path means as well.
        """
        meant: dict[str, str] = {}
        lost: dict[str, Sequence[str]] = {}
        for path in self._unlisted(paths):
            if self.is_there(path):
                continue
            if (named := named_as(path, self.is_there)) != path:
                meant[path] = named
                continue
            slashed = self.tidied(path.replace("\\", "/"))
            fits = (slashed,) if slashed != path and self.is_there(slashed) else self.fits(path)
            if len(fits) == 1:
                meant[path] = fits[0]
            else:
                lost[path] = fits
        for path in _claimed_twice(paths, meant) if meant else ():
            lost[path] = (meant.pop(path),)
        return meant, lost

    def _unlisted(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield paths that have still to be looked for, after a list of each folder with many."""
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            by_folder.setdefault(path.rpartition("/")[0], []).append(path)
        for folder, those in by_folder.items():
            names: frozenset[str] = frozenset()
            if len(those) >= _WORTH_LISTING:
                with suppress(OSError, ValueError):  # each is looked for by itself
                    names = frozenset(os.listdir(os.path.join(self.root, folder)))
            yield from (path for path in those if path.rpartition("/")[2] not in names)

    def files_of(self, paths: Collection[str]) -> list[str] | None:
        """Return the file that each of some paths means; None where one means none."""
        if not all(paths):
            return None
        tidy = [self.tidied(path) for path in paths]
        meant, lost = self.found(dict.fromkeys(tidy))
        return None if lost else [meant.get(path, path) for path in tidy]

    def elsewhere(self, paths: Collection[str]) -> str | None:
        """Return a folder near by that some paths are relative to."""
        for folder in (os.getcwd(), os.path.dirname(self.root)):
            if folder != self.root and all(os.path.exists(f"{folder}/{path}") for path in paths):
                return folder
        return None

    def fits(self, path: str) -> Sequence[str]:
        """Return the files below the root that a path may mean, sorted."""
        found = self._fitting(path)
        return found if found or "%" not in path else self._fitting(unquote(path))

    def _fitting(self, path: str) -> Sequence[str]:
        """Return the files that share most parts with a path, from the end, and do not contradict.

        Thousands of paths may end alike where no file fits one of them: they share one answer.
        """
        wanted = _keys(path)
        name = wanted[-1:]
        by_stem = name not in self._ending(1, False) and not is_picture_name("".join(name))
        n_shared, files = 1, self._ending(1, by_stem).get(name, [])
        while len(files) > 1 and (
            more := self._ending(n_shared + 1, by_stem).get(wanted[-1 - n_shared :])
        ):
            n_shared, files = n_shared + 1, more
        if len(files) == 1:
            only = _keys(posixpath.splitext(files[0])[0] if by_stem else files[0])
            n_shared = len(posixpath.commonprefix((wanted[::-1], only[::-1])))
        foreign = _FOREIGN.match(path) is not None
        ours = wanted[:-n_shared]
        alike = (wanted[-n_shared:], by_stem, foreign, bool(ours), frozenset(_splits(ours)))
        if alike not in self._fits:
            home = posixpath.basename(self.root)
            self._fits[alike] = tuple(
                file
                for file in sorted(files)
                if _agree(ours, _keys(file)[:-n_shared], n_shared, foreign, home)
            )
        return self._fits[alike]

    def _ending(self, n_parts: int, by_stem: bool) -> Mapping[Parts, list[str]]:
        """Return the files by so many parts at the end of their paths, without suffix if wanted."""
        if (n_parts, by_stem) not in self._endings:
            endings: dict[Parts, list[str]] = {}
            for file in filter(is_picture_name, self.files) if by_stem else self.files:
                parts = _keys(posixpath.splitext(file)[0] if by_stem else file)
                if len(parts) >= n_parts:
                    endings.setdefault(parts[-n_parts:], []).append(file)
            self._endings[n_parts, by_stem] = endings
        return self._endings[n_parts, by_stem]

    def nearest(self, path: str) -> str | None:
        """Return the file whose name is most like that of a path; None if none is alike."""
        stem = _stem(path)
        stems = list(self._by_stem)
        at = bisect_left(stems, stem)
        names = nearest_names(stem, stems[max(0, at - _N_BESIDE) : at + _N_BESIDE], 1)
        return self._by_stem[names[0]] if names else None

    @cached_property
    def files(self) -> list[str]:
        """All visible files below the root, relative to it."""
        return list(_walk(self.root))

    @cached_property
    def _by_stem(self) -> Mapping[str, str]:
        return dict(sorted({_stem(file): file for file in reversed(self.files)}.items()))


def _claimed_twice(paths: Iterable[str], meant: Mapping[str, str]) -> list[str]:
    """Return the paths whose file is meant by another one too: one of them means something else."""
    claims: dict[str, set[Parts]] = {}
    for path, file in meant.items():
        claims.setdefault(file, set()).add(_keys(path))
    for path in paths:
        if path in claims and path not in meant:
            claims[path].add(_keys(path))
    return [path for path, file in meant.items() if len(claims[file]) > 1]


def _walk(root: str) -> Iterator[str]:
    """Yield visible files, links followed, every folder once; what cannot be listed has none."""
    entered: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in entered:
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        prefix = "" if place == root else os.path.relpath(place, root).replace(os.sep, "/") + "/"
        yield from (prefix + name for name in sorted(names) if not is_clutter(name))


def _keys(path: str) -> Parts:
    """Return the folders and the name that a path of any machine leads through, without case."""
    if "://" in path:
        path = unquote(path.partition("://")[2].partition("?")[0])
    path = path if path.isascii() else unicodedata.normalize("NFC", path)
    text = path.casefold().replace("\\", "/")
    text = text[2:] if text[1:3] == ":/" else text
    return tuple(part for part in text.split("/") if part not in ("", ".", ".."))


def _stem(path: str) -> str:
    return posixpath.splitext((_keys(path) or ("",))[-1])[0]


def _agree(ours: Parts, theirs: Parts, n_shared: int, foreign: bool, home: str) -> bool:
    """Say whether the folders of a path and of a file do not contradict each other.

    They do where both have folders that the other has not, unless those of the path are of another
    machine, and both say the same split. A root that is a split folder is not another split's.
    """
    if not ours:
        return True
    if not theirs:
        return len(_splits(ours) | _splits((home,))) < 2
    return foreign and n_shared > 1 and _splits(ours) == _splits(theirs)


def _splits(parts: Parts) -> set[str]:
    return {split for part in parts if (split := split_named(part))}
