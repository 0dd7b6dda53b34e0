"""Read labels, splits and groups off folders, wherever they are, or off file names.

The whole tree is listed before anything is decided. Folders that hold nothing but one folder are
stepped over; split folders at the outermost level are branches, each with such folders of its own.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError, UnclearError
from pipeline.images.archives import refuse_unread
from pipeline.images.branches import Branch, FolderNames, Levels
from pipeline.images.doubts import (
    Doubt,
    Way,
    answers,
    names_kinds,
    one_split_twice,
    splits_in_splits,
)
from pipeline.images.groupnames import begins_alike
from pipeline.images.layout import FILE_NAMES, FOLDERS, check_layout
from pipeline.images.levels import decide, splits_at
from pipeline.images.patterns import (
    NUMBERED,
    NamePattern,
    Pattern,
    groups_in_names,
    label_as_numbered,
    label_pictures,
    parse_pattern,
    pattern_of,
    stem_of,
)
from pipeline.images.readings import BY_FOLDER, BY_NAME, Reading
from pipeline.images.splits import component_keys, hold_out
from pipeline.images.splitwords import classes_within, splits_named, splits_within
from pipeline.images.unlabelled import check_labelled, check_several, is_numbered
from pipeline.images.walk import Folder, Listing, Parts, Survey, Tree
from pipeline.system.units import counted

logger = logging.getLogger(__name__)

ROLES = {"split": "split_at", "class": "classes_at", "group": "group_at"}
"""The setting that says where the folders are that have a role."""

Found = tuple[list[Listing], Reading]


def read_folders(where: str, tree: Tree, config: DataConfig, read: Callable[[str], bytes]) -> Found:
    """Return all pictures by class, split and group with what is ignored, and how that was read.

    ``read`` reads a text that may say labels where folders do not, for the message.

    Raises:
        InputError: What the user says does not fit the folders.
        DataError: Nothing can be learnt from the layout, or more than one reading fits; the message
            says how to mend it, or how to say each reading.
    """
    survey = Survey(tree)
    if not survey.n_pictures():
        refuse_unread(where, tree)

    def attempt(said: DataConfig) -> None:
        _check_groups(_found(where, survey, said, read)[0], said)

    def by_names(said: DataConfig) -> NamePattern | None:
        return pattern_of(survey.narrowed(said.only)[0].pictures())

    try:
        found, reading = _found(where, survey, config, read)
    except Doubt as doubt:
        ways = answers(doubt, config, attempt, by_names)
        question = doubt.question(where, ways)
        raise UnclearError(question, is_pool=doubt.loose and not ways) from None
    if reading.kind == BY_NAME and config.label_pattern is None:
        text = "labels are taken from file names LABEL.NUMBER, e.g. %s is of %r"
        logger.info(text, found[0].pictures[0], found[0].label)
    parts = [(part.group, path) for part in found for path in part.pictures]
    if reading.kind == BY_FOLDER and config.label_pattern is not None:
        n_of = Counter(group for group, _ in parts)
        odd = [path for group, path in parts if n_of[group] == 1 and stem_of(path) == group]
        if odd:
            text = "%s of a group of its own by label_pattern=%r, e.g. %s"
            logger.warning(text, counted(len(odd), "picture"), config.label_pattern, odd[0])
    return found, reading


def _found(where: str, survey: Survey, config: DataConfig, read: Callable[[str], bytes]) -> Found:
    kept, dropped = survey.narrowed(config.only)
    found, reading = _FolderScan(where, kept, config, read).found()
    return [*found, Listing("", None, (), tuple(dropped))], reading


def _check_groups(found: Sequence[Listing], config: DataConfig) -> None:
    """Raise DataError if groups are in several given splits, or too few: the index refuses it."""
    grouped = [part for part in found if part.group]
    homes = {(part.group, part.split) for part in grouped}
    if len(homes) > len({group for group, _ in homes}):
        raise DataError("expected every group in one split")
    if not grouped or any(part.split for part in grouped):
        return
    known, labels = np.unique([part.label for part in grouped], return_inverse=True)
    names = [part.group or "" for part in grouped]
    alone = np.arange(len(grouped), dtype=">u8").view(np.uint8).reshape(-1, 8).repeat(4, axis=1)
    keys = component_keys(alone, np.unique(names, return_inverse=True)[1], sorted(set(names)))
    held = hold_out(keys, labels, config.test_fraction, purpose="test", seed=config.seed)
    if min(len(set(labels[held])), len(set(labels[~held]))) < len(known):
        raise DataError("expected every class on both sides")


class _FolderScan:
    """The labelled pictures of a survey."""

    def __init__(
        self, where: str, survey: Survey, config: DataConfig, read: Callable[[str], bytes]
    ) -> None:
        self.where, self.survey, self.config, self.read = where, survey, config, read
        said = config.label_pattern
        self.pattern = None if said is None else parse_pattern(said)
        self.in_names = self.pattern is not None and self.pattern.has_label
        self.split_words: dict[str, str] = {}
        self.class_words: dict[str, str] = {}
        # Levels that are typed count from the outermost folder; then none is stepped over.
        self.typed = any((config.classes_at, config.split_at, config.group_at))
        self.base = () if self.typed else self._inside((), lambda _, name: not splits_named([name]))
        whole = Branch(self.base, list(survey.held(self.base)))
        self.names = FolderNames(where, [whole])
        if not self.typed and config.split_at is None:
            self.names = FolderNames(where, self._split_branches() or [whole])
        self.branches = self.names.branches

    def found(self) -> Found:
        """Return the pictures, and how they were read."""
        if not self.in_names and (self.pattern or not self._is_flat()):
            return self._by_folder()
        levels = decide(self.names, self.config, by_name=True)
        return self._by_name(levels, list(self._listings(levels)))

    def _is_flat(self) -> bool:
        """Return whether all pictures lie loose, with labels in their names."""
        if self.typed or any([p for p, _ in branch.held] != [()] for branch in self.branches):
            return False
        loose = [(None, p) for b in self.branches for p in self.survey.folders[b.parts].pictures]
        return label_as_numbered(loose) is not None

    def _by_folder(self) -> Found:
        check_labelled(self.where, self.survey, self.branches, self.read)
        levels = decide(self.names, self.config, by_name=False)
        found = list(self._listings(levels))
        if self.config.min_per_class == 1:
            check_several(self.where, {part.label for part in found if part.pictures})
        check_layout(self.where, found, FOLDERS, self.config.min_per_class)
        if self.pattern is not None:
            found = self._grouped(found, self.pattern)
        elif levels.group is None and (doubt := begins_alike(found)) is not None:
            raise doubt
        return found, self._reading(BY_FOLDER, levels)

    def _grouped(self, found: Sequence[Listing], pattern: Pattern) -> list[Listing]:
        """Divide the pictures in class folders by the groups that their names say."""
        if self.config.group_at is not None:
            self._refuse_two_groups()
        groups = groups_in_names([path for part in found for path in part.pictures], pattern)
        bare = [replace(part, ignored=()) for part in found]
        rest = [Listing("", None, (), part.ignored) for part in found]
        return [*(one for part in bare for one in _by_group(part, groups)), *rest]

    def _refuse_two_groups(self) -> NoReturn:
        raise InputError(
            f"expected groups from file names or from folders of {self.where}, received "
            f"label_pattern={self.config.label_pattern!r} and group_at={self.config.group_at}: "
            "leave one out"
        )

    def _by_name(self, levels: Levels, listed: Sequence[Listing]) -> Found:
        groups = {path: part.group for part in listed for path in part.pictures}
        pictures = [(part.split, path) for part in listed for path in part.pictures]
        if not pictures:
            raise DataError(f"expected pictures in {self.where}, received none: check the path")
        found = label_pictures(pictures, self.pattern or parse_pattern(NUMBERED))
        if isinstance(found, str):
            raise DataError(
                f"expected file names that fit label_pattern={self.config.label_pattern!r} in "
                f"{self.where}, received {found}: rename or move it, or give a pattern that fits "
                "all pictures"
            )
        check_layout(self.where, found, FILE_NAMES, self.config.min_per_class)
        if levels.group:
            if any(part.group for part in found):
                self._refuse_two_groups()
            found = [part for whole in found for part in _by_group(whole, groups)]
        rest = [Listing("", None, (), part.ignored) for part in listed]
        return [*found, *rest], self._reading(BY_NAME, levels)

    def _inside(self, start: Parts, may_enter: Callable[[str, str], bool]) -> Parts:
        """Enter folders that hold nothing but one folder, as far as names of both allow it."""
        at, survey = start, self.survey
        while not survey.folders[at].pictures and len(only := survey.children(at)) == 1:
            if not may_enter(at[-1] if at else "", only[0]):
                break
            at = (*at, only[0])
        # Pictures and nothing else: that folder is a class, unless labels stand in their names.
        if at == start or survey.children(at) or names_kinds(at[-1]):
            return at
        return at if self.in_names or is_numbered(self.survey, at) else at[:-1]

    def _split_branches(self) -> list[Branch]:
        """Return the split folders at the outermost level; none if there are no such."""
        outer = {(*self.base, name): split for name, split in splits_at(self.names, 1).items()}
        splits: dict[Parts, str] = {}
        for folder, split in outer.items():
            splits |= self._splits_inside(folder, outer) or {folder: split}
        if len(set(splits.values())) < len(splits):
            raise one_split_twice(self.names, 0, {"/".join(p): s for p, s in splits.items()})
        inside = {folder: set(self.survey.children(folder)) for folder in splits}
        named = set().union(*inside.values())
        if len(min(inside.values(), default=(), key=len)) > 1 and named == {*splits_named(named)}:
            raise splits_in_splits(self.names)
        return [self._branch(folder, splits, inside) for folder in splits]

    def _splits_inside(self, folder: Parts, outer: Mapping[Parts, str]) -> dict[Parts, str]:
        """Return splits that a split folder is divided into, as train and val in train."""
        names = self.survey.children(folder)
        splits = splits_named(names)
        beside = {
            name for other in outer if other != folder for name in self.survey.children(other)
        }
        divided = len(set(splits.values())) > 1 and not beside & {*names}
        if len(splits) < len(names) or not divided:
            return {}
        inner = {(*folder, name): split for name, split in splits.items()}
        return inner if all(map(self._may_hold_classes, inner)) else {}

    def _may_hold_classes(self, parts: Parts) -> bool:
        by_name = self.in_names or is_numbered(self.survey, parts)
        return by_name or bool(self.survey.children(parts))

    def _branch(
        self, folder: Parts, splits: Mapping[Parts, str], inside: Mapping[Parts, set[str]]
    ) -> Branch:
        """Return a split folder without the folders in it that say nothing."""
        others = (names for other, names in inside.items() if other != folder and len(names) > 1)
        known = set[str]().union(*others)

        def says_nothing(around: str, name: str) -> bool:
            doubled = around.lower() == name.lower() or bool(splits_named([name]))
            return name not in known and (not known or doubled or names_kinds(name))

        parts = self._inside(folder, says_nothing)
        return Branch(parts, list(self.survey.held(parts)), splits[folder], folder)

    def _listings(self, levels: Levels) -> Iterator[Listing]:
        """Yield the pictures by what their folders say, and what lies beside them."""
        named = self.names.at(levels.split) if levels.split else []
        self.split_words = splits_within(named)
        self.class_words = classes_within(named)
        yield from self._above(())
        for branch in self.branches:
            yield from self._units(branch, levels)

    def _above(self, parts: Parts) -> Iterator[Listing]:
        """Yield what lies loose in the folders above the branches."""
        begins = {branch.parts for branch in self.branches}
        if parts in begins:
            return
        yield self._loose(parts)
        for name in self.survey.folders[parts].folders:
            inner = (*parts, name)
            if any(start[: len(inner)] == inner for start in begins):
                yield from self._above(inner)
            else:
                yield Listing("", None, (), ("/".join(inner) + "/",))

    def _loose(self, parts: Parts) -> Listing:
        folder = self.survey.folders[parts]
        return Listing("", None, (), (*folder.pictures, *folder.others))

    def _units(self, branch: Branch, levels: Levels) -> Iterator[Listing]:
        """Yield the folders whose names say all that names say, with everything below them."""
        waiting: list[Parts] = [()]
        while waiting:
            below = waiting.pop()
            parts = (*branch.parts, *below)
            if below and not self.survey.n_pictures(parts):
                # A class without a picture is no class; it is listed so that a wrong path shows.
                yield Listing("", None, (), ("/".join(parts) + "/",))
            elif len(below) == levels.deepest:
                folders = list(self.survey.below(parts))
                yield self._unit(branch, levels, below, folders)
            else:
                waiting += [(*below, name) for name in self.survey.folders[parts].folders]
                yield from self._shallow(branch, levels, below)

    def _unit(
        self, branch: Branch, levels: Levels, below: Parts, folders: Sequence[Folder]
    ) -> Listing:
        split = branch.split
        label = below[levels.classes - 1] if levels.classes else ""
        if levels.split is not None:
            split = self.split_words[below[levels.split - 1]]
            label = self.class_words.get(label, label) if levels.split == levels.classes else label
        group = below[levels.group - 1] if levels.group and len(below) >= levels.group else None
        return Listing(
            label,
            split,
            tuple(path for folder in folders for path in folder.pictures),
            tuple(path for folder in folders for path in folder.others),
            group,
        )

    def _shallow(self, branch: Branch, levels: Levels, below: Parts) -> Iterator[Listing]:
        """Yield what lies in a folder whose name and those above do not say all."""
        parts = (*branch.parts, *below)
        folder = self.survey.folders[parts]
        if len(below) >= max(levels.classes, levels.split or 0):
            yield self._unit(branch, levels, below, [folder])
            return
        if below and folder.pictures and not self.typed:
            n = len(folder.pictures)
            roles = self._roles(branch, levels)
            typed = {ROLES[role]: at for at, role in enumerate(roles, 1) if role in ROLES}
            raise Doubt(
                f"expected every picture of {self.where} in a folder of level {len(roles)}, like "
                f"most, received {counted(n, 'picture')} above, e.g. {folder.pictures[0]}",
                [Way(typed, f"to leave {'it' if n == 1 else 'them'} out")],
                f"move {'it' if n == 1 else 'them'} into one",
                fits=False,
            )
        yield self._loose(parts)

    def _reading(self, kind: str, levels: Levels) -> Reading:
        usual = self._roles(self.branches[0], levels)
        others = {branch.folder: self._roles(branch, levels) for branch in self.branches[1:]}
        splits = self.split_words or {
            "/".join(branch.folder[len(self.base) :]): branch.split
            for branch in self.branches
            if branch.split
        }
        odd = {"/".join(folder): roles for folder, roles in others.items() if roles != usual}
        in_names = self.pattern is not None and self.pattern.has_group
        return Reading(kind, usual, splits, odd_levels=odd, groups_in_names=in_names)

    def _roles(self, branch: Branch, levels: Levels) -> tuple[str, ...]:
        """Return what each level is for, from the outermost, on the way through a branch."""
        start = len(branch.parts)
        roles = {len(branch.folder): "split"} if branch.split else {}
        for level, role in (
            (levels.split, "split"),
            (levels.group, "group"),
            (levels.classes, "class"),
        ):
            if level:
                roles[start + level] = role
        return tuple(roles.get(at, "all") for at in range(1, max([start, *roles]) + 1))


def _by_group(whole: Listing, groups: Mapping[str, str | None]) -> Iterator[Listing]:
    """Divide pictures by the group that each is of."""
    paths: dict[str | None, list[str]] = {}
    for path in whole.pictures:
        paths.setdefault(groups[path], []).append(path)
    for group, those in paths.items():
        yield replace(whole, pictures=tuple(those), group=group)
