"""Which level of folders says the class, which the split, which the group; where two may, ask.

A reading that is typed is taken. Otherwise the names decide. A level says nothing if all its
folders have one name; it is the split if all its names are split words; and the outermost level
left is the class, unless the names below it come again and again, or are those of collections
(fold1, part2, images beside masks). Then more than one reading fits, and the user is asked.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from shlex import quote

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.splitwords import splits_named
from pipeline.images.walk import Parts
from pipeline.system.units import named

# What data sets call pictures that lie beside the pictures: nobody wants them for classes.
_KINDS = re.compile(
    r"(?i)(the|all|raw|original|colou?r|gr[ae]yscale|rgb|binary|semantic|instance|jpe?g|png)?[\W_]*"
    r"(images?|imgs?|pictures?|pics?|photos?|masks?|labels?|annotations?|annots?|gts?|jpe?g|png|tiff?"
    r"|segmentations?|segmented|trimaps?|depths?|overlays?|thumbnails?|thumbs?|inputs?|targets?"
    r"|[hl]r|(\d+(st|nd|rd|th)[\W_]*)?manual|segmentation[\W_]*(class|object))"
    r"|(.*[\W_])?(masks|ground[\W_]?truths?|annotations|segmentations|input)"
)
# What data sets number: a part of the pictures, or whom they are of.
_NUMBERED = re.compile(
    r"(?i)(.*[\W_])?(folds?|parts?|batch(es)?|chunks?|shards?|splits?|cv|volumes?|vol|dis[ck]s?"
    r"|images?|imgs?|pictures?|photos?|data|dataset|frames?|sessions?|runs?|patients?|pat|subjects?"
    r"|subj|sub|participants?|cases?|slides?|scans?|specimens?|donors?|videos?|clips?|sites?"
    r"|plates?|wells?)[\W_]*\d+"
)


def names_kinds(name: str) -> bool:
    """Return whether a folder's name says a kind of pictures, and nothing of what they show."""
    return _KINDS.fullmatch(name) is not None


@dataclass(frozen=True)
class Branch:
    """A split folder, or everything where the outermost folders are no splits.

    Args:
        parts: The folder in which its levels begin.
        split: What its name was taken for; None if it says no split.
        held: The folders with pictures, by their names below ``parts``, and how many each holds.
    """

    parts: Parts
    split: str | None
    held: Sequence[tuple[Parts, int]]


@dataclass(frozen=True)
class Levels:
    """Levels of folders below a branch, from 1.

    Args:
        classes: Whose names are the classes.
        split: Whose names are the splits; None if there is no such level.
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
    """The names of folders, level by level, over all branches.

    Args:
        where: The source, as the user named it.
        branches: Where levels begin.
    """

    where: str
    branches: Sequence[Branch]

    @property
    def depth(self) -> int:
        """The deepest level that half of the pictures have above them; what lies loose is none."""
        n_at: dict[int, int] = defaultdict(int)
        for branch in self.branches:
            for parts, count in branch.held:
                n_at[len(parts)] += count
        n_at.pop(0, None)
        needed = sum(n_at.values()) / 2
        above, deepest = 0, 0
        for level in sorted(n_at, reverse=True):
            above += n_at[level]
            deepest = max(deepest, level if above >= needed else 0)
        return deepest

    def at(self, level: int) -> list[str]:
        """Return the distinct names at a level, sorted."""
        return sorted({parts[level - 1] for parts in self._at(level)})

    def _at(self, level: int) -> Iterable[Parts]:
        return (parts for parts in self._parts() if len(parts) >= level)

    def _parts(self) -> Iterable[Parts]:
        return (parts for branch in self.branches for parts, _ in branch.held)

    def tell(self, level: int) -> bool:
        """Return whether the names at a level are several, and not those of the folders around."""
        doubled = level > 1 and all(
            parts[level - 2] == parts[level - 1] for parts in self._at(level)
        )
        return len(self.at(level)) > 1 and not doubled

    def children(self, above: int, level: int) -> dict[str, set[str]]:
        """Return, for each name at one level, the names at a deeper one that are below it."""
        found: dict[str, set[str]] = defaultdict(set)
        for parts in self._at(level):
            found[parts[above - 1]].add(parts[level - 1])
        return found

    def first_forks(self, above: int) -> dict[str, set[str]]:
        """Return, for each name at a level, the names where the folders below first part ways."""
        below: dict[str, list[Parts]] = defaultdict(list)
        for parts in self._at(above):
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


def _repeat(children: dict[str, set[str]]) -> bool:
    """Return whether most names below some folders are below more than one of them."""
    n_parents: dict[str, int] = defaultdict(int)
    for names in children.values():
        for name in names:
            n_parents[name] += 1
    pairs = list(n_parents.values())
    return sum(n for n in pairs if n > 1) * 2 > sum(pairs)


def decide(names: FolderNames, config: DataConfig, offset: int) -> Levels:
    """Return what each level is for.

    Args:
        names: The names at all levels.
        config: What the user said.
        offset: Levels above those of ``names``, which no longer count.

    Raises:
        InputError: A level that was typed is not there, or is none of splits.
        DataError: No level names classes, or more than one reading fits; the sentence says how to
            say each.
    """
    said = {
        role: level
        for role, level in (
            ("classes_at", config.classes_at),
            ("split_at", config.split_at or None),
            ("group_at", config.group_at),
        )
        if level is not None
    }
    _check_said(names, said)
    has_branches = any(branch.split for branch in names.branches)
    split = said.get("split_at")
    if split is None and config.split_at is None and not has_branches:
        split = split_level(names, set(said.values()), offset)
    taken = {*said.values(), *([split] if split else [])}
    group = said.get("group_at")
    if "classes_at" in said:
        return Levels(said["classes_at"], split, group)
    free = [level for level in range(1, names.depth + 1) if level not in taken]
    telling = [level for level in free if names.tell(level)] or free[:1]
    if not telling:
        raise DataError(
            f"expected folders of classes in {names.where} beside those of "
            f"{'splits' if split else 'groups'}, received none: say where the labels stand in file "
            f'names, e.g. --label-pattern "{{label}}.{{}}"'
        )
    first, *below = telling
    _Asking(names, offset, split, group).ask_where_two_fit(first, below)
    return Levels(first, split, group)


def _check_said(names: FolderNames, said: dict[str, int]) -> None:
    flags = {role: "--" + role.replace("_", "-") for role in said}
    deepest = max((len(parts) for branch in names.branches for parts, _ in branch.held), default=0)
    for role, level in said.items():
        if level > deepest:
            raise InputError(
                f"expected folders {level} levels deep in {names.where} ({flags[role]} {level}), "
                f"received at most {deepest}: count the folder names between it and a picture"
            )
    if len(set(said.values())) < len(said):
        raise InputError(
            f"expected a level of its own for each of {', '.join(flags.values())}, received "
            f"{', '.join(f'{flags[role]} {level}' for role, level in said.items())}"
        )
    if (of_splits := said.get("split_at")) is not None:
        found = names.at(of_splits)
        known = splits_named(found)
        if odd := [name for name in found if name not in known]:
            raise InputError(
                f"expected names of splits at level {of_splits} of {names.where} (--split-at "
                f"{of_splits}), "
                f"received {named(odd)}: call the folders train, validation, test, or leave some "
                f"out with --only"
            )


def split_level(names: FolderNames, taken: set[int], offset: int) -> int | None:
    """Return the level whose folders all are splits; ask where only some are."""
    for level in range(1, names.depth + 1):
        found = names.at(level)
        splits = splits_named(found)
        if level in taken or len(set(splits.values())) < 2:
            continue
        if len(splits) == len(found):
            return level
        if level > 1:
            others = [name for name in found if name not in splits]
            raise DataError(
                f"more than one reading fits {names.where}: folders at level {level + offset} are "
                f"splits ({named(list(splits))}) and others ({named(others)}); say --only "
                f"{','.join(list(splits)[:3])} if the others are no pictures to learn from, or "
                f"--split-at 0 if none of them is a split"
            )
    return None


@dataclass(frozen=True)
class _Asking:
    """What is asked where the names allow more than one reading."""

    names: FolderNames
    offset: int
    split: int | None
    group: int | None

    def ask_where_two_fit(self, first: int, below: Sequence[int]) -> None:
        """Raise DataError if the outermost level need not be the classes."""
        found = self.names.at(first)
        self._ask_about_a_copy(first, found)
        again = [level for level in below if _repeat(self.names.children(first, level))]
        if again:
            self._ask_which(first, again[-1])
        alone = self.split is None and self.group is None
        if alone and _repeat(self.names.first_forks(first)):
            self._ask_about_trees(first)
        self._ask_about_masks(first)
        self._ask_about_groups(first, below)
        self._ask_about_collections(first, found)

    def _several(self, seen: str) -> DataError:
        """Return the error that says what is seen, and how to say each reading."""
        return DataError(f"more than one reading fits {self.names.where}: {seen}")

    def _flag(self, flag: str, level: int) -> str:
        return f"--{flag} {level + self.offset}"

    def _ask_which(self, first: int, inner: int) -> None:
        outer, names = self.names.at(first), self.names.at(inner)
        what = f"{named(names)} come again below {named(outer)}"
        classes = f"{self._flag('classes-at', first)} if the classes are {named(outer, 2)}"
        if all(map(names_kinds, names)):
            raise self._several(
                f"{what}; say --only {quote(names[0])} to take one kind of pictures, or "
                f"{classes} and all are to be taken"
            )
        groups = (
            f"{self._flag('group-at', first)} if each of the others is a group such as a patient"
        )
        trees = f"--only {quote(outer[0])} to take one of several like trees"
        raise self._several(
            f"{what}; say {classes}, or {self._flag('classes-at', inner)} if they are "
            f"{named(names, 2)} (with {groups + ', or ' if self.group is None else ''}{trees})"
        )

    @property
    def _place(self) -> str:
        """The folder in which levels begin."""
        return "/".join((self.names.where.rstrip("/"), *self.names.branches[0].parts))

    def _ask_about_groups(self, first: int, below: Sequence[int]) -> None:
        """Ask about folders in classes that are numbered as patients or videos are."""
        if self.group is not None or not below:
            return
        names = self.names.at(below[0])
        if len(names) > 1 and all(map(_NUMBERED.fullmatch, names)):
            raise self._several(
                f"{named(names)} inside the classes "
                f"{named(self.names.at(first), 2)} may be groups that must not be divided; say "
                f"{self._flag('group-at', below[0])} to keep each in one split, or "
                f"{self._flag('classes-at', first)} if they say nothing"
            )

    def _ask_about_trees(self, first: int) -> None:
        outer = self.names.at(first)
        place = self._place
        raise self._several(
            f"below {named(outer)} the same folders "
            f"come again at different depths, as in a copy; give one of them, such as "
            f"{place}/{outer[0]}, say --only {quote(outer[0])}, or "
            f"{self._flag('classes-at', first)} if these are the classes"
        )

    def _ask_about_a_copy(self, first: int, found: Sequence[str]) -> None:
        """Ask about a folder in which its neighbours lie once more."""
        names = set(found)
        for name, inner in self.names.first_forks(first).items():
            again = sorted((inner & names) - {name})
            if len(again) > 1 and len(again) * 2 >= len(names):
                raise self._several(
                    f"{name!r} holds {named(again)} "
                    f"once more, which also lie beside it, as in a copy; give "
                    f"{self._place}/{name} to take it alone, move it away to take "
                    f"the others, or say {self._flag('classes-at', first)} if it is a class"
                )

    def _ask_about_masks(self, first: int) -> None:
        """Ask about folders such as masks that lie in class folders beside the pictures."""
        holders: dict[str, list[str]] = defaultdict(list)
        for branch in self.names.branches:
            inside = {parts[: first + 1] for parts, _ in branch.held if len(parts) > first}
            for parts in inside:
                if _KINDS.fullmatch(parts[-1]):
                    holders[parts[-1]].append(parts[first - 1])
        for kind, classes in holders.items():
            if len(classes) > 1 and self._has_more(first, kind):
                raise self._several(
                    f"{named(sorted(set(classes)))} "
                    f"hold pictures and also a folder {kind!r}; say --only {quote(kind)} to take "
                    f"these, move them away to take the others, or "
                    f"{self._flag('classes-at', first)} to take all"
                )

    def _has_more(self, first: int, kind: str) -> bool:
        """Return whether folders at a level hold pictures beside those in one kind of folder."""
        return any(
            len(parts) == first or (len(parts) > first and parts[first] != kind)
            for branch in self.names.branches
            for parts, _ in branch.held
        )

    def _ask_about_collections(self, first: int, found: Collection[str]) -> None:
        level = first + self.offset
        if len(list(filter(_KINDS.fullmatch, found))) > 1:
            raise DataError(
                f"expected folders of classes in {self.names.where}, received {named(list(found))} "
                f"at level {level}, which seem to be kinds of pictures of the same things: say "
                f"{self._flag('classes-at', first)} if they are the classes, or --only and where "
                f'the labels stand in file names, e.g. --label-pattern "{{label}}_{{number:d}}"'
            )
        if len(found) > 1 and all(map(_NUMBERED.fullmatch, found)):
            raise DataError(
                f"expected folders of classes in {self.names.where}, received {named(list(found))} "
                f"at level {level}, which seem to be parts of one collection: say "
                f"{self._flag('classes-at', first)} if they are the classes, or where the labels "
                f'stand in file names, e.g. --label-pattern "{{label}}_{{number:d}}"'
            )
