"""Refuse data that nothing can be learnt from, each in one sentence with the way out."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.errors import DataError
from pipeline.images.walk import Listing
from pipeline.system.units import named

LAY_OUT = "lay them out as ROOT/<class>/<picture> or ROOT/{train,validation,test}/<class>/<picture>"
IN_NAMES = (
    'say where labels stand in file names (such as --label-pattern "{label}_{number:d}" for '
    "cat_1.jpg), or give a table of paths and labels"
)
HOW_TO = f"{LAY_OUT}, or {IN_NAMES}"
_BETWEEN_WORDS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")


@dataclass(frozen=True)
class WaysOut:
    """What to do about a shortcoming, in the words of one kind of source.

    Args:
        train: There is no picture for training.
        train_class: A class is not in train; may hold ``{label}`` and ``{split}``.
        second_class: There is one class only.
        lonely: A class has one picture.
    """

    train: str
    train_class: str
    second_class: str
    lonely: str


FOLDERS = WaysOut(
    "add train/<class>/<picture>, or remove the split folders and let the split be made",
    "add train/{label}/<picture> or remove the class from {split}",
    "add pictures of another class in a folder of their own",
    "add pictures or move these class folders away",
)
FILE_NAMES = WaysOut(
    "add pictures to train/, or remove the split folders and let the split be made",
    "add train/ pictures of {label} or remove those in {split}",
    "add pictures with another label in their name",
    "add pictures or move these away",
)
ROWS = WaysOut(
    "give rows the split train, or let the split be made (--split-column none)",
    "give rows of {label} the split train or remove those in {split}",
    "add rows with another label",
    "add rows or remove these",
)


def check_layout(
    where: str, found: Sequence[Listing], ways: WaysOut, min_per_class: int = 1
) -> None:
    """Raise DataError for the first thing that keeps pictures from being a data set.

    It says what was expected, what was found, and how to mend it. Classes with fewer than
    ``min_per_class`` pictures are left out, so nothing is wrong with them.
    """
    counts: Counter[str] = Counter()
    for part in found:
        counts[part.label] += len(part.pictures)
    small = {label for label, n_pictures in counts.items() if 0 < n_pictures < min_per_class}
    if small:
        check_enough_classes(where, sum(n > 0 for n in counts.values()), len(small), min_per_class)
        found = [part for part in found if part.label not in small]
    classes = sorted(label for label, n in counts.items() if n and label not in small)
    check_spelling(where, "class names", classes)
    _check_train(where, found, ways)
    if len(classes) == 1:
        raise DataError(
            f"expected two classes or more in {where}, received only {classes[0]!r}: "
            f"{ways.second_class}"
        )
    _check_two_pictures(where, counts, ways, classes)


def check_enough_classes(where: str, n_classes: int, n_small: int, min_per_class: int) -> None:
    """Raise DataError if leaving small classes out leaves fewer than two."""
    if n_classes - n_small < 2:
        raise DataError(
            f"expected two classes or more with at least {min_per_class} different pictures in "
            f"{where}, received {n_classes - n_small} of {n_classes} (min_per_class="
            f"{min_per_class}): give a lower --min-per-class"
        )


def check_spelling(where: str, what: str, names: Iterable[str]) -> None:
    """Raise DataError if two names are one in another case, form or number: ``1`` and ``1.0``."""
    seen: dict[str | float, str] = {}
    for name in names:
        first = seen.setdefault(_plain(name), name)
        if first != name:
            raise DataError(
                f"expected {what} that differ clearly, but {first!r} and {name!r} in {where} "
                "differ only by case, space or Unicode form, or as numbers: merge or rename them"
            )


def _plain(name: str) -> str | float:
    for number in (int, float):
        with suppress(ValueError):
            return number(name)
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFC", name).strip().casefold())


def _check_train(where: str, found: Sequence[Listing], ways: WaysOut) -> None:
    by_split: dict[str, set[str]] = {}
    for part in found:
        if part.split and part.pictures:
            by_split.setdefault(part.split, set()).add(part.label)
    if not by_split:
        return
    if "train" not in by_split:
        raise DataError(
            f"expected a train split with pictures in {where} beside {sorted(by_split)}, "
            f"received none: {ways.train}"
        )
    for split in sorted(by_split):
        if missing := sorted(by_split[split] - by_split["train"]):
            have = "has" if len(missing) == 1 else "have"
            raise DataError(
                f"expected every {split} class in train too, but {named(missing)} in {where} "
                f"{have} no train picture: "
                f"{ways.train_class.format(label=missing[0], split=split)}"
            )


def _check_two_pictures(
    where: str, counts: Counter[str], ways: WaysOut, classes: Sequence[str]
) -> None:
    lonely = [label for label in classes if counts[label] == 1]
    if lonely:
        enough = len(classes) - len(lonely) > 1
        others = "; or leave such classes out with --min-per-class 2" if enough else ""
        raise DataError(
            f"expected two pictures or more of every class in {where}, received one of "
            f"{named(lonely)}: {ways.lonely}{others}"
        )
