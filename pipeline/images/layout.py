"""Refuse layouts that nothing can be learnt from, each in one sentence with the way out."""

import unicodedata
from collections import Counter
from pathlib import Path

from pipeline.errors import DataError
from pipeline.images.walk import Found

HOW_TO = "lay them out as ROOT/<class>/<picture> or ROOT/{train,validation,test}/<class>/<picture>"


def check_layout(root: Path, loose: Found, found: list[Found]) -> None:
    """Raise for the first thing that keeps the pictures found from being a data set.

    Args:
        root: The folder that was scanned.
        loose: Files directly in ``root``.
        found: Every class folder of every split.

    Raises:
        DataError: Says what was expected, what was found, and how to mend it.
    """
    counts: Counter[str] = Counter()
    for part in found:
        counts[part.label] += len(part.pictures)
    classes = sorted(label for label, n_pictures in counts.items() if n_pictures)
    _check_some_pictures(root, loose, classes)
    _check_spelling(root, classes)
    _check_train(root, found)
    _check_two_classes(root, classes)
    _check_two_pictures(root, counts)


def _check_some_pictures(root: Path, loose: Found, classes: list[str]) -> None:
    if classes:
        return
    if loose.pictures:
        raise DataError(
            f"expected class folders in {root}, received {len(loose.pictures)} pictures without "
            f"any, e.g. {loose.pictures[0]}: {HOW_TO}"
        )
    raise DataError(f"expected pictures in class folders in {root}, received none: {HOW_TO}")


def _check_spelling(root: Path, classes: list[str]) -> None:
    seen: dict[str, str] = {}
    for label in classes:
        key = unicodedata.normalize("NFC", label).strip().casefold()
        if key in seen:
            raise DataError(
                f"expected class names that differ clearly, but {seen[key]!r} and {label!r} in "
                f"{root} differ only by case, space or Unicode form: merge or rename them"
            )
        seen[key] = label


def _check_train(root: Path, found: list[Found]) -> None:
    by_split: dict[str, set[str]] = {}
    for part in found:
        if part.split and part.pictures:
            by_split.setdefault(part.split, set()).add(part.label)
    if not by_split:
        return
    if "train" not in by_split:
        raise DataError(
            f"expected a train folder with pictures in {root} beside {sorted(by_split)}, received "
            "none: add train/<class>/<picture>, or remove the split folders and let the split be "
            "made"
        )
    for split in sorted(by_split):
        for label in sorted(by_split[split] - by_split["train"]):
            raise DataError(
                f"expected every {split} class in train too, but {label!r} in {root} has no train "
                f"picture: add train/{label}/<picture> or remove the class from {split}"
            )


def _check_two_classes(root: Path, classes: list[str]) -> None:
    if len(classes) != 1:
        return
    inner = root / classes[0]
    if inner.is_dir() and sum(entry.is_dir() for entry in inner.iterdir()) > 1:
        hint = f"if its sub-folders are the classes, give {inner} instead"
    else:
        hint = "add pictures of another class in a folder of their own"
    raise DataError(f"expected two classes or more in {root}, received only {classes[0]!r}: {hint}")


def _check_two_pictures(root: Path, counts: Counter[str]) -> None:
    lonely = sorted(label for label, n_pictures in counts.items() if n_pictures == 1)
    if lonely:
        names = ", ".join(repr(label) for label in lonely)
        raise DataError(
            f"expected two pictures or more of every class in {root}, received one of {names}: add "
            "pictures or move these class folders away"
        )
