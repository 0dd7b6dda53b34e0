"""Read labels, splits and groups off folders, wherever they are, or off file names.

The whole tree is listed before anything is decided. Folders that hold nothing but one folder are
stepped over; split folders at the outermost level are branches, each with such folders of its own.
"""

import logging
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from shlex import quote

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.layout import FILE_NAMES, FOLDERS, HOW_TO, check_layout
from pipeline.images.levels import Branch, FolderNames, Levels, decide, names_kinds, split_level
from pipeline.images.patterns import (
    SplitPath,
    label_as_numbered,
    label_pictures,
    parse_pattern,
)
from pipeline.images.readings import BY_FOLDER, BY_NAME, Reading
from pipeline.images.splitwords import splits_named
from pipeline.images.survey import Folder, Survey
from pipeline.images.tables.annotations import table_hint
from pipeline.images.walk import Listing, Parts, Tree
from pipeline.system.units import counted, named

logger = logging.getLogger(__name__)


def read_folders(
    where: str, tree: Tree, config: DataConfig, read: Callable[[str], bytes]
) -> tuple[list[Listing], Reading]:
    """Return all pictures by class, split and group with what is ignored, and how that was read.

    Args:
        where: The source, as the user named it.
        tree: Its folders and files.
        config: How to read them, as far as the user says it.
        read: Reads a text that may say labels where folders do not; only for the message.

    Raises:
        InputError: What the user says does not fit the folders.
        DataError: Nothing can be learnt from the layout, or more than one reading fits; the message
            says how to mend it, or how to say each reading.
    """
    survey = Survey(tree)
    dropped = survey.narrow(config.only) if config.only else []
    found, reading = _FolderScan(where, survey, config, read).found()
    return [*found, Listing("", None, (), tuple(dropped))], reading


class _FolderScan:
    """The labelled pictures of a survey."""

    def __init__(
        self, where: str, survey: Survey, config: DataConfig, read: Callable[[str], bytes]
    ) -> None:
        self.where, self.survey, self.config, self.read = where, survey, config, read
        # Levels that are typed count from the outermost folder; then none is stepped over.
        self.split_words: dict[str, str] = {}
        self.split_at = config.split_at
        self.typed = any((config.classes_at, config.split_at, config.group_at))
        self.base = () if self.typed else self._inside((), set())
        self.branches = [Branch(self.base, None, list(survey.held(self.base)))]
        if not self.typed and config.split_at is None:
            self.branches = self._split_branches() or self.branches

    def found(self) -> tuple[list[Listing], Reading]:
        """Return the pictures, and how they were read."""
        if self.config.label_pattern is not None:
            return self._by_pattern(self.config.label_pattern)
        if not self.typed and (numbered := self._numbered()) is not None:
            example = numbered[0]
            text = "labels are taken from file names LABEL.NUMBER, e.g. %s is of %r"
            logger.info(text, example.pictures[0], example.label)
            return self._by_name(numbered)
        return self._by_folder()

    def _inside(self, start: Parts, known: set[str]) -> Parts:
        """Enter folders that hold nothing but one folder, unless its name says something.

        Args:
            start: Where to begin.
            known: Names of classes in other splits, and an empty one; none where splits may be
                met.
        """
        at, survey = start, self.survey
        while not survey.folders[at].pictures and len(only := survey.children(at)) == 1:
            if only[0] in known or (not known and splits_named(only)):
                break
            if {""} < known and not self._says_nothing(at[-1], only[0]):
                break
            at = (*at, only[0])
        # Pictures and nothing else: that folder is a class, unless labels stand in their names.
        if at == start or survey.children(at) or names_kinds(at[-1]):
            return at
        said = self.config.label_pattern is not None or self._is_numbered(at)
        return at if said else at[:-1]

    def _says_nothing(self, around: str, name: str) -> bool:
        """Return whether the only folder in a split folder is no class that others have too."""
        return names_kinds(name) or around.lower() == name.lower() or bool(splits_named([name]))

    def _is_numbered(self, parts: Parts) -> bool:
        loose = [(None, path) for path in self.survey.folders[parts].pictures]
        return label_as_numbered(loose) is not None

    def _split_branches(self) -> list[Branch]:
        """Return the split folders at the outermost level; none if there are no such."""
        found = self.survey.children(self.base)
        splits = splits_named(found)
        if others := [name for name in found if splits and name not in splits]:
            self._refuse_mixture(list(splits), others)
        by_split: dict[str, str] = {}
        for name, split in splits.items():
            if by_split.setdefault(split, name) != name:
                raise DataError(
                    f"expected one {split} folder in {self.where}, received {by_split[split]!r} "
                    f"and {name!r}: merge them, or say --only with the folders to take"
                )
        inner = {name: self.survey.children((*self.base, name)) for name in splits}
        within = {child for children in inner.values() for child in children}
        if min(map(len, inner.values()), default=0) > 1 and within == splits_named(within).keys():
            at = len(self.base) + 1
            raise DataError(
                f"more than one reading fits {self.where}: the folders at level {at} and those at "
                f"level {at + 1} are all called like splits; say --split-at {at} --classes-at "
                f"{at + 1}, or --split-at {at + 1} --classes-at {at}"
            )
        return [
            self._branch((*self.base, name), split, inner, name) for name, split in splits.items()
        ]

    def _refuse_mixture(self, splits: list[str], others: list[str]) -> None:
        at, place = len(self.base) + 1, "/".join((self.where.rstrip("/"), *self.base))
        inner = splits_named(self.survey.children((*self.base, others[0])))
        alone = f", give {place}/{others[0]} to take what lies there" if inner else ""
        raise DataError(
            f"expected either split folders or class folders in {place}, received both: the split "
            f"folder {splits[0]!r} and the folder {others[0]!r} with pictures; say --only "
            f"{quote(','.join(splits))} to leave {named(others)} out{alone}, --classes-at {at} "
            f"--split-at 0 if {splits[0]!r} is a class, or rename {others[0]!r} to train, "
            f"validation or test if it is a split"
        )

    def _branch(self, parts: Parts, split: str, inner: dict[str, list[str]], name: str) -> Branch:
        """Return a split folder without the folders in it that say nothing."""
        known = {
            child
            for other, children in inner.items()
            if other != name and len(children) > 1
            for child in children
        }
        at = self._inside(parts, known | {""})
        return Branch(at, split, list(self.survey.held(at)))

    def _by_pattern(self, pattern: str) -> tuple[list[Listing], Reading]:
        if self.config.classes_at is not None:
            raise InputError(
                f"expected either label_pattern or classes_at, received "
                f"label_pattern={pattern!r} and classes_at={self.config.classes_at}: leave one out"
            )
        if self.config.split_at is None and not any(branch.split for branch in self.branches):
            names = FolderNames(self.where, self.branches)
            if level := split_level(names, {self.config.group_at or 0}, len(self.base)):
                self.split_at = len(self.base) + level
        self.split_words = self._split_folders(None)
        pictures = list(self._pictures())
        found = label_pictures(pictures, parse_pattern(pattern))
        if isinstance(found, str):
            raise DataError(
                f"expected file names that fit label_pattern={pattern!r} in {self.where}, received "
                f"{found}: rename or move it, or give a pattern that fits all pictures"
            )
        if not pictures:
            raise DataError(f"expected pictures in {self.where}, received none: check the path")
        return self._by_name(found)

    def _pictures(self) -> Iterator[SplitPath]:
        """Yield every picture with its split, whose label stands in its name."""
        at = self.split_at
        for branch in self.branches:
            for folder in self.survey.below(branch.parts):
                for path in folder.pictures:
                    parts = path.split("/")[:-1]
                    typed = self.split_words.get(parts[at - 1]) if at and len(parts) >= at else None
                    yield typed or branch.split, path

    def _numbered(self) -> list[Listing] | None:
        """Label by file names of their own accord, where pictures lie loose and nowhere else."""
        if any([parts for parts, _ in branch.held] != [()] for branch in self.branches):
            return None
        return label_as_numbered(list(self._pictures()))

    def _by_name(self, found: list[Listing]) -> tuple[list[Listing], Reading]:
        check_layout(self.where, found, FILE_NAMES, self.config.min_per_class)
        if (at := self.config.group_at) is not None:
            if any(part.group for part in found):
                raise InputError(
                    f"expected groups from file names or from folders of {self.where}, received "
                    f"label_pattern={self.config.label_pattern!r} and group_at={at}: leave one out"
                )
            found = [part for whole in found for part in _by_group(whole, at)]
        used = {path for part in found for path in part.pictures}
        rest = [
            path
            for folder in self.survey.below(())
            for path in (*folder.pictures, *folder.others)
            if path not in used
        ]
        reading = Reading(BY_NAME, self._levels(None), self._split_folders(None))
        return [*found, Listing("", None, (), tuple(rest))], reading

    def _by_folder(self) -> tuple[list[Listing], Reading]:
        self._refuse_loose_pictures()
        names = FolderNames(self.where, self.branches)
        levels = decide(names, self.config, len(self.branches[0].parts))
        self.split_words = self._split_folders(levels)
        found = list(self._above(()))
        for branch in self.branches:
            found += self._units(branch, levels)
        check_layout(self.where, found, FOLDERS, self.config.min_per_class)
        return found, Reading(BY_FOLDER, self._levels(levels), self.split_words)

    def _refuse_loose_pictures(self) -> None:
        """Refuse pictures without a class folder, in the whole source or in a split."""
        trained = {
            parts[0] for b in self.branches if b.split == "train" for parts, _ in b.held if parts
        }
        if len(trained) == 1:  # one class is none where it is called images
            trained = {name for name in trained if not names_kinds(name)}
        by_name = any(self._is_numbered(branch.parts) for branch in self.branches)
        for branch in self.branches:
            if by_name and branch.split and not self._is_numbered(branch.parts):
                self._refuse_unsorted_split(branch)
            inner = {parts[0] for parts, _ in branch.held if parts}
            unknown = inner - trained
            if (
                branch.split
                and unknown
                and all(self._is_unsorted(branch, name) for name in unknown)
            ):
                inner &= trained
            if inner:
                continue
            if branch.split and branch.held:
                self._refuse_unsorted_split(branch)
            if not branch.split and branch.held:
                loose = self.survey.folders[branch.parts].pictures
                raise DataError(
                    f"expected class folders in {self.where}, received {len(loose)} pictures "
                    f"without any, e.g. {loose[0]}: {self._listed_labels(loose[0]) or HOW_TO}"
                )
        if not self.survey.n_pictures(()):
            raise DataError(
                f"expected pictures in class folders in {self.where}, received none: {HOW_TO}"
            )

    def _is_unsorted(self, branch: Branch, name: str) -> bool:
        """Return whether a folder in a split folder says that its pictures have no class."""
        around = branch.parts[len(self.base)].lower()
        return names_kinds(name) or name.lower() in (around, "unknown", "unlabelled", "unlabeled")

    def _refuse_unsorted_split(self, branch: Branch) -> None:
        name = branch.parts[len(self.base)]
        folder = next(folder for folder in self.survey.below(branch.parts) if folder.pictures)
        example = folder.pictures[0]
        way_out = f"move each to {name}/<class>/, say where labels stand in file names"
        raise DataError(
            f"expected class folders in {self.where.rstrip('/')}/{'/'.join(branch.parts)}, "
            f"received pictures without any, e.g. {example}: "
            f"{self._listed_labels(example) or f'{way_out} (--label-pattern)'}, or leave the "
            f"folder out (--only with the others) if its pictures have no labels"
        )

    def _listed_labels(self, example: str) -> str | None:
        """Return how to give the labels if a text beside a picture without class lists them."""
        parts = tuple(example.split("/")[:-1])
        for depth in range(len(parts), -1, -1):
            start = "/".join((*parts[:depth], ""))
            for path in self.survey.folders[parts[:depth]].others:
                if path.lower().endswith((".csv", ".tsv", ".parquet")):
                    return f"if {path} says the labels, give that table instead of the folder"
                if path.lower().endswith(".txt") and (hint := self._hint(path, example, start)):
                    return f"{path} seems to say the labels; {hint}"
        return None

    def _hint(self, path: str, example: str, start: str) -> str | None:
        try:
            text = self.read(path).decode("utf-8", "replace")
        except OSError:
            return None
        inner = posixpath.dirname(example[len(start) :])
        return table_hint(text.splitlines(), f"{inner}/" if inner else "")

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
        if levels.split is not None:
            split = self.split_words[below[levels.split - 1]]
        group = below[levels.group - 1] if levels.group and len(below) >= levels.group else None
        return Listing(
            below[levels.classes - 1],
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
            raise DataError(
                f"expected every picture of {self.where} in a folder of level "
                f"{len(branch.parts) + levels.deepest}, like most, received "
                f"{counted(len(folder.pictures), 'picture')} above, e.g. {folder.pictures[0]}: "
                f"move them into one, or out of {self.where}"
            )
        yield self._loose(parts)

    def _levels(self, levels: Levels | None) -> tuple[str, ...]:
        """Return what each level is for, from the outermost, on the way to the first branch."""
        parts = self.branches[0].parts
        roles = ["all"] * len(parts)
        if self.branches[0].split:
            roles[len(self.base)] = "split"
        start = len(parts)
        found = {self.split_at or 0: "split", self.config.group_at or 0: "group"}
        if levels is not None:
            found = {
                start + (levels.split or -start): "split",
                start + (levels.group or -start): "group",
                start + levels.classes: "class",
            }
        roles += ["all"] * (max(found) - start)
        return tuple(found.get(level, role) for level, role in enumerate(roles, 1))

    def _split_folders(self, levels: Levels | None) -> dict[str, str]:
        """Return what the folders that are splits were taken for."""
        if any(branch.split for branch in self.branches):
            at = len(self.base)
            return {branch.parts[at]: branch.split for branch in self.branches if branch.split}
        level = (self.split_at or 0) - len(self.base) if levels is None else levels.split
        if not level or level < 1:
            return {}
        names = FolderNames(self.where, self.branches).at(level)
        return splits_named(names)


def _by_group(whole: Listing, at: int) -> Iterator[Listing]:
    """Divide pictures by the name of a folder above them."""
    paths: dict[str | None, list[str]] = {}
    for path in whole.pictures:
        parts = path.split("/")[:-1]
        paths.setdefault(parts[at - 1] if len(parts) >= at else None, []).append(path)
    for group, those in paths.items():
        yield replace(whole, pictures=tuple(those), group=group)
