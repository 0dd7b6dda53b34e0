"""Refuse data sets of which too little can be used, each in one sentence with why and the way out.

A data set is whole when it is indexed; what cannot be decoded is known only when it was tried. So
these checks are made more than once, each time with what has been left out by then.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pipeline.errors import DataError
from pipeline.images.dataset import Dataset
from pipeline.images.leftout import LeftOut, check_some, why
from pipeline.system.units import counted, named

LEAVE_OUT = "leave such classes out with --min-per-class 2"
BOTH = ("train", "test")


def usable_rows(dataset: Dataset, left_out: Iterable[str]) -> np.ndarray:
    """Return which rows are not among the pictures of these paths: (n,) bool."""
    if not (paths := set(left_out)):
        return np.ones(len(dataset), bool)
    return np.array([path not in paths for path in dataset.paths], bool)


def check_left(dataset: Dataset, left_out: Sequence[LeftOut]) -> None:
    """Refuse a data set that has lost all its pictures, or all of a class or of a split.

    ``left_out`` has all that cannot be used, those that the data set knows of among them. Raises
    DataError, which says how many were found, and why none can be used.
    """
    check_some(dataset.location, dataset.n_found, [one.to_dict() for one in left_out])
    if not left_out:
        return
    labels = [dataset.classes[label] for label in dataset.labels.tolist()]
    _check_parts(dataset, left_out, "class", labels, lambda one: one.label)
    names = {"test": dataset.test_name}
    splits = dataset.splits.tolist()
    _check_parts(dataset, left_out, "split", splits, lambda one: one.split, names)


def _check_parts(
    dataset: Dataset,
    left_out: Sequence[LeftOut],
    what: str,
    of_rows: Sequence[str],
    part_of: Callable[[LeftOut], str | None],
    names: dict[str, str] | None = None,
) -> None:
    found = Counter([*of_rows, *filter(None, map(part_of, dataset.left_out))])
    lost = Counter(map(part_of, left_out))
    empty = sorted(part for part, n in found.items() if lost[part] == n)
    if empty:
        those = [one.to_dict() for one in left_out if part_of(one) in empty]
        way_out = ", or move the class away" if what == "class" else ""
        if way_out and not set(empty) & set(of_rows) and len(found) - len(empty) > 1:
            way_out = f", or {LEAVE_OUT}"  # they have no row, so they do not count
        shown = named([(names or {}).get(part, part) for part in empty])
        raise DataError(
            f"expected pictures that can be read of every {what} in {dataset.location}, received "
            f"{counted(len(those), 'picture')} of {shown} of which none can: {why(those)}; mend, "
            f"convert or replace them{way_out}"
        )


def check_every_class(
    dataset: Dataset, left_out: Sequence[LeftOut], splits: Sequence[str] = BOTH
) -> None:
    """Refuse a data set in which some class has no usable picture in some split.

    Raises DataError, which says which class is missing where, why, and what to do.
    """
    usable = usable_rows(dataset, (one.path for one in left_out))
    for split in splits:
        chosen = usable & (dataset.splits == split)
        counts = np.bincount(dataset.labels[chosen], minlength=len(dataset.classes))
        if not counts.all():
            name = dataset.test_name if split == "test" else split
            empty = np.flatnonzero(counts == 0)
            reasons, ways = _shortcomings(dataset, left_out, split, empty)
            told = f": {', and '.join(reasons)}" if reasons else ""
            raise DataError(
                f"expected a picture that can be used of every class in {name} of "
                f"{dataset.location}, received none of "
                f"{named([dataset.classes[label] for label in empty])}{told}; {', or '.join(ways)}"
            )


def _shortcomings(
    dataset: Dataset, left_out: Sequence[LeftOut], split: str, empty: np.ndarray
) -> tuple[list[str], list[str]]:
    """Return why classes have no picture in a split, and the ways out."""
    reasons, ways = list[str](), list[str]()
    names = {dataset.classes[label] for label in empty}
    lost = [one for one in left_out if one.label in names and one.split in (None, split)]
    if lost:
        were = "was" if len(lost) == 1 else "were"
        told = why(one.to_dict() for one in lost)
        reasons.append(f"{counted(len(lost), 'picture')} {were} left out, {told}")
        ways.append(f"mend or {'replace' if dataset.given_splits else 'remove'} these")
    if dataset.given_splits:
        return reasons, ways or ["add some, or move some there"]
    single = [label for label in empty if len(dataset.contents_of(int(label))) == 1]
    copied = [int(label) for label in single if (dataset.labels == label).sum() > 1]
    if copied:
        reasons.append(_copies(dataset, copied, len(copied) == len(empty)))
    if single:
        ways.append("add different ones")
        if len(dataset.classes) - len(single) > 1:
            ways.append(LEAVE_OUT)
    elif not lost:
        reasons.append("groups or copies keep them on one side")
        ways.append("divide the groups, or add pictures of no group")
    return reasons, ways


def _copies(dataset: Dataset, copied: Sequence[int], all_empty: bool) -> str:
    """Say that classes hold copies of one file each, of which one is named."""
    rows = np.flatnonzero(np.isin(dataset.labels, copied))
    row = int(rows[0])
    whose = f"the pictures of {named([dataset.classes[label] for label in copied])}"
    if all_empty:
        whose = f"its {len(rows)} pictures" if len(copied) == 1 else "the pictures of each"
        if len(np.unique(np.concatenate([*map(dataset.contents_of, copied)]))) == 1 < len(copied):
            whose = f"all their {len(rows)} pictures"
    nothing = dataset.digests[row].tobytes() == hashlib.sha256().digest()
    what = "empty files" if nothing else "copies of one file"
    return f"{whose} are {what}, e.g. {dataset.paths[row]}"


def check_different(dataset: Dataset) -> None:
    """Raise DataError for classes that hold the same pictures: nothing could tell them apart."""
    same: dict[bytes, list[str]] = {}
    for label, name in enumerate(dataset.classes):
        same.setdefault(dataset.contents_of(label).tobytes(), []).append(name)
    for alike in same.values():
        if len(alike) > 1:
            raise DataError(
                f"expected classes with different pictures in {dataset.location}, received "
                f"{named(alike)}, whose pictures are byte for byte the same: merge these classes, "
                f"or give each its own pictures"
            )
