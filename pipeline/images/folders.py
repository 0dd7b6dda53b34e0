"""Read labels and splits off folders, wherever they are, or off names such as ``cat.0.jpg``."""

import logging
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.errors import DataError, InputError
from pipeline.images.layout import FILE_NAMES, FOLDERS, check_layout, check_some_pictures
from pipeline.images.names import SPLIT_NAMES
from pipeline.images.walk import Listing, Parts, Tree

LABEL, ANYTHING = "{label}", "{}"

_NUMBERED = re.compile(r"([^.]+)\.[0-9]+")

SplitPath = tuple[str | None, str]
"""The split that a picture is given for, and its path."""

Labeller = Callable[[str], str | None]
"""Finds the label in a file name without its suffix."""


def parse_pattern(pattern: str) -> Labeller:
    """Return what finds labels by a template.

    Each wildcard takes as little as it can, from left to right.

    Args:
        pattern: Text with ``{label}`` once, where the label stands, and ``{}`` for anything;
            whatever else is in it stands for itself.

    Raises:
        InputError: If there is no place for the label, or more than one.

    >>> parse_pattern("{}_{label}")("IMG_dog"), parse_pattern("{label}.{}")("dog")
    ('dog', None)
    """
    if pattern.count(LABEL) != 1:
        raise InputError(
            f"expected {LABEL} once in the pattern of file names, received "
            f'label_pattern={pattern!r}: give e.g. "{LABEL}.{ANYTHING}" for cat.0.jpg'
        )
    wildcards = {LABEL: "(.+?)", ANYTHING: ".*?"}
    pieces = re.split(r"(\{label\}|\{\})", pattern)
    expression = re.compile(
        "".join(wildcards.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL
    )
    return _labeller(expression)


def _labeller(expression: re.Pattern[str]) -> Labeller:
    return lambda stem: match[1] if (match := expression.fullmatch(stem)) else None


def label_as_numbered(pictures: Sequence[SplitPath]) -> list[Listing] | None:
    """Label pictures that are all named LABEL.NUMBER, with two labels or more; None if not so."""
    found = _label(pictures, _labeller(_NUMBERED))
    if isinstance(found, str) or len({part.label for part in found}) < 2:
        return None
    return found


def _label(pictures: Iterable[SplitPath], label_of: Labeller) -> list[Listing] | str:
    """Return the pictures by label and split, or the first path that has no label."""
    by_class: dict[tuple[str, str | None], list[str]] = {}
    for split, path in pictures:
        label = label_of(posixpath.splitext(posixpath.basename(path))[0])
        if label is None:
            return path
        by_class.setdefault((label, split), []).append(path)
    return [Listing(label, split, tuple(paths), ()) for (label, split), paths in by_class.items()]


logger = logging.getLogger(__name__)


class FolderScan:
    """The labelled pictures below one folder of a tree.

    Args:
        where: The source, as the user named it.
        tree: Its folders and files.
        base: The folder to begin in.

    Raises:
        DataError: Two folders are for one split.
    """

    def __init__(self, where: str, tree: Tree, base: Parts = ()) -> None:
        self.where, self.tree, self.base = where, tree, base
        self.folders, self.loose = tree.list_folder(base)
        self.splits = self._split_folders()

    def _split_folders(self) -> dict[str, str]:
        """Map folder name to split; two folders for one split are an error."""
        names = [name for name in self.folders if name.lower() in SPLIT_NAMES]
        named = {name: SPLIT_NAMES[name.lower()] for name in names}
        by_split = {split: name for name, split in named.items()}
        for name, split in named.items():
            if by_split[split] != name:
                raise DataError(
                    f"expected one {split} folder in {self.where}, received {name!r} and "
                    f"{by_split[split]!r}: merge them or move one away"
                )
        return named

    def found(self, label_pattern: str | None, min_per_class: int = 1) -> list[Listing]:
        """Return all pictures by class and split, and what is ignored beside them.

        Args:
            label_pattern: Where labels stand in file names; None if folders are the classes, or
                if all pictures lie loose and are named LABEL.NUMBER.
            min_per_class: Classes with fewer pictures are left out later.

        Raises:
            DataError: Nothing can be learnt from the layout; the message says how to mend it.
        """
        if label_pattern is not None:
            found = self._by_pattern(label_pattern)
        elif numbered := self._numbered():
            found, example = numbered, numbered[0]
            text = "labels are taken from file names LABEL.NUMBER, e.g. %s is of %r"
            logger.info(text, example.pictures[0], example.label)
        else:
            return self._by_folder(min_per_class)
        check_layout(self.where, found, FILE_NAMES, min_per_class)
        above = self.loose.pictures if self.splits else ()
        return [*found, Listing("", None, (), (*above, *self.tree.walk(self.base)[1]))]

    def _by_pattern(self, pattern: str) -> list[Listing]:
        if not self.splits:
            pictures: list[SplitPath] = [(None, path) for path in self.tree.walk(self.base)[0]]
        else:
            self._refuse_mixture()
            pictures = [
                (split, path)
                for name, split in self.splits.items()
                for path in self.tree.walk((*self.base, name))[0]
            ]
        found = _label(pictures, parse_pattern(pattern))
        if isinstance(found, str):
            raise DataError(
                f"expected file names that fit label_pattern={pattern!r} in {self.where}, received "
                f"{found}: rename or move it, or give a pattern that fits all pictures"
            )
        if not pictures:
            raise DataError(f"expected pictures in {self.where}, received none: check the path")
        return found

    def _numbered(self) -> list[Listing] | None:
        """Label by file names of their own accord, where pictures lie loose and nowhere else."""
        loose: list[SplitPath] = [(None, path) for path in self.loose.pictures]
        if self.splits:
            beside = [(split, self._list(name)[1]) for name, split in self.splits.items()]
            loose = [(split, path) for split, files in beside for path in files.pictures]
        if not loose or (found := label_as_numbered(loose)) is None:
            return None
        n_pictures = len(self.tree.walk(self.base)[0])
        n_above = len(self.loose.pictures) if self.splits else 0
        return found if n_pictures == len(loose) + n_above else None

    def _by_folder(self, min_per_class: int) -> list[Listing]:
        self._refuse_mixture()
        if self.splits:
            found = list(self._scan_splits())
        else:
            found = [self._scan_class((), name, None) for name in self.folders]
        check_some_pictures(self.where, self.loose, found)
        self._refuse_one_level_up(found)
        check_layout(self.where, found, FOLDERS, min_per_class)
        return [*found, Listing("", None, (), (*self.loose.pictures, *self.loose.ignored))]

    def _scan_splits(self) -> Iterator[Listing]:
        for name in self.folders:
            if name not in self.splits:
                yield self._scan_class((), name, None)
                continue
            classes, loose = self._list(name)
            found = [self._scan_class((name,), label, self.splits[name]) for label in classes]
            self._refuse_unsorted_split(name, loose, found)
            yield Listing("", self.splits[name], (), (*loose.pictures, *loose.ignored))
            yield from found

    def _list(self, name: str) -> tuple[list[str], Listing]:
        return self.tree.list_folder((*self.base, name))

    def _scan_class(self, parents: Parts, name: str, split: str | None) -> Listing:
        parts = (*self.base, *parents, name)
        pictures, ignored = self.tree.walk(parts)
        if not pictures:
            # A class without a picture is no class; it is listed so that a wrong path shows.
            ignored = ["/".join(parts) + "/"]
        return Listing(name, split, tuple(pictures), tuple(ignored))

    def _refuse_mixture(self) -> None:
        """Refuse pictures in folders beside split folders."""
        for name in self.folders if self.splits else ():
            if name not in self.splits and self.tree.walk((*self.base, name))[0]:
                raise DataError(
                    f"expected either split folders or class folders in {self.where}, received "
                    f"both: the split folder {next(iter(self.splits))!r} and the folder {name!r} "
                    f"with pictures; move {name!r} into a split folder, or rename "
                    f"{next(iter(self.splits))!r} if it is a class"
                )

    def _refuse_one_level_up(self, found: list[Listing]) -> None:
        """Refuse one class that seems to be a folder of class folders."""
        labels = {part.label for part in found if part.pictures}
        if self.splits or len(labels) != 1:
            return
        (label,) = labels
        if len(self.tree.list_folder((*self.base, label))[0]) > 1:
            raise DataError(
                f"expected two classes or more in {self.where}, received only {label!r}: if its "
                f"sub-folders are the classes, give {self.where.rstrip('/')}/{label} instead"
            )

    def _refuse_unsorted_split(self, name: str, loose: Listing, classes: list[Listing]) -> None:
        if loose.pictures and not any(found.pictures for found in classes):
            raise DataError(
                f"expected class folders in {self.where.rstrip('/')}/{name}, received pictures "
                f"without any, e.g. {loose.pictures[0]}: move each to {name}/<class>/, say where "
                f"labels stand in file names (--label-pattern), or move {name!r} away if its "
                "pictures have no labels"
            )


def unwrapped(tree: Tree, label_pattern: str | None) -> Parts:
    """Return the folder that holds everything in an archive, or the archive's root if none does.

    A folder of pictures is no such wrapping unless their names hold the labels.
    """
    folders, loose = tree.list_folder(())
    if len(folders) != 1 or loose.pictures or folders[0].lower() in SPLIT_NAMES:
        return ()
    inner, pictures = tree.list_folder((folders[0],))
    named = label_pattern is not None or bool(
        label_as_numbered([(None, path) for path in pictures.pictures])
    )
    return (folders[0],) if inner or named else ()
