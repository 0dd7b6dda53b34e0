"""Folders with pictures by the names that lead to them, level by level.

Levels count from 1, below a branch: a split folder, or everything where there is no such folder.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.images.walk import Parts


@dataclass(frozen=True)
class Branch:
    """A split folder, or everything where the outermost folders are no splits.

    Args:
        parts: The folder in which its levels begin.
        held: The folders with pictures, by their names below ``parts``, and how many each holds.
        split: What its name was taken for; None if it says no split.
        folder: The split folder, which is ``parts`` or around it.
    """

    parts: Parts
    held: Sequence[tuple[Parts, int]]
    split: str | None = None
    folder: Parts = ()


@dataclass(frozen=True)
class Levels:
    """Levels of folders below a branch, from 1.

    Args:
        classes: Whose names are the classes; 0 where names of files say them.
        split: Whose names are the splits; that of the classes where a name says both; None if there
            is no such level.
        group: Whose names are the groups; None if there is no such level.
    """

    classes: int
    split: int | None = None
    group: int | None = None

    @property
    def deepest(self) -> int:
        """How many names of a path say anything."""
        return max(self.classes, self.split or 0, self.group or 0)


@dataclass(frozen=True)
class FolderNames:
    """The names of folders, level by level, over all branches of a source."""

    where: str
    branches: Sequence[Branch]

    @property
    def start(self) -> Parts:
        """The folder in which the levels of the first branch begin."""
        return self.branches[0].parts

    @cached_property
    def paths(self) -> list[Parts]:
        """The folders with pictures, by their names below their branch."""
        return [parts for branch in self.branches for parts, _ in branch.held]

    @cached_property
    def depth(self) -> int:
        """The deepest level that half of the pictures have above them; what lies loose is none."""
        n_at: dict[int, int] = defaultdict(int)
        for branch in self.branches:
            for parts, count in branch.held:
                n_at[len(parts)] += count
        n_at.pop(0, None)
        needed, above = sum(n_at.values()) / 2, 0
        for level in sorted(n_at, reverse=True):
            above += n_at[level]
            if above >= needed:
                return level
        return 0

    def at(self, level: int) -> list[str]:
        """Return the distinct names at a level, sorted."""
        return sorted({parts[level - 1] for parts in self.reaching(level)})

    def reaching(self, level: int) -> Iterable[Parts]:
        """Return the folders with pictures that are at a level or below it."""
        return (parts for parts in self.paths if len(parts) >= level)

    def tell(self, level: int) -> bool:
        """Return whether the names at a level are several, and not those of the folders around."""
        doubled = level > 1 and all(p[level - 2] == p[level - 1] for p in self.reaching(level))
        return len(self.at(level)) > 1 and not doubled

    def children(self, above: int, level: int) -> dict[str, set[str]]:
        """Return, for each name at one level, the names at a deeper one that are below it."""
        found: dict[str, set[str]] = defaultdict(set)
        for parts in self.reaching(level):
            found[parts[above - 1]].add(parts[level - 1])
        return found

    def first_forks(self, above: int) -> dict[str, set[str]]:
        """Return, for each name at a level, the names where the folders below first part ways."""
        below: dict[str, list[Parts]] = defaultdict(list)
        for parts in self.reaching(above):
            below[parts[above - 1]].append(parts[above:])
        return {name: _fork(paths) for name, paths in below.items()}


def _fork(paths: Sequence[Parts]) -> set[str]:
    """Return the names at the first level that has several, unless pictures lie above it."""
    level = 0
    while all(len(path) > level for path in paths):
        names = {path[level] for path in paths}
        if len(names) > 1:
            return names
        level += 1
    return set()
