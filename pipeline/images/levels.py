"""Which level of folders says the class, which the split, which the group.

A reading that is typed is taken. Otherwise the names decide, by three rules: a level says nothing
if all its folders have one name, or that of the folder around; it is the split if all its names
are split words; the outermost level left is the class. Where the names allow another reading too,
:mod:`pipeline.images.doubts` has the question.
"""

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images.branches import FolderNames, Levels
from pipeline.images.doubts import (
    both_in_one_name,
    one_split_twice,
    second_thoughts,
    some_are_splits,
)
from pipeline.images.layout import IN_NAMES
from pipeline.images.splitwords import classes_within, splits_named, splits_within
from pipeline.system.units import named


def decide(names: FolderNames, config: DataConfig, *, by_name: bool) -> Levels:
    """Return what each level is for; where names of files say the class (``by_name``), none is.

    Raises:
        InputError: A level that was typed is not there, or is none of splits.
        DataError: No level names classes.
        Doubt: More than one reading fits.
    """
    _check_typed(names, config)
    split, group = config.split_at or None, config.group_at
    typed = {level for level in (config.classes_at, split, group) if level}
    if config.split_at is None and not any(branch.split for branch in names.branches):
        split = find_split(names, typed)
    if config.classes_at is not None and by_name:
        raise InputError(
            f"expected either label_pattern or classes_at, received label_pattern="
            f"{config.label_pattern!r} and classes_at={config.classes_at}: leave one out"
        )
    if by_name:
        return Levels(0, split, group)
    if config.classes_at is not None:
        return Levels(config.classes_at, split, group)
    free = [level for level in range(1, names.depth + 1) if level not in typed | {split}]
    telling = [level for level in free if names.tell(level)] or free[:1]
    if not telling:
        raise DataError(
            f"expected folders of classes in {names.where} beside those of "
            f"{'splits' if split else 'groups'}, received none: {IN_NAMES}"
        )
    levels = Levels(telling[0], split, group)
    if (doubt := second_thoughts(names, levels, telling[1:])) is not None:
        raise doubt
    return levels


def _check_typed(names: FolderNames, config: DataConfig) -> None:
    typed = {
        f"--{role.replace('_', '-')}": level
        for role in ("classes_at", "split_at", "group_at")
        if (level := getattr(config, role))
    }
    deepest = max(map(len, names.paths), default=0)
    for flag, level in typed.items():
        if level > deepest:
            raise InputError(
                f"expected folders {level} levels deep in {names.where} ({flag} {level}), "
                f"received at most {deepest}: count the folder names between it and a picture"
            )
    of_splits = config.split_at or 0
    found = names.at(of_splits) if of_splits else []
    both = of_splits == config.classes_at and of_splits != config.group_at
    known = classes_within(found) if both else splits_within(found)
    if odd := [name for name in found if name not in known]:
        raise InputError(
            f"expected names of splits{' and classes' if both else ''} at level {of_splits} of "
            f"{names.where} (--split-at {of_splits}), received {named(odd)}: call the folders "
            f"{'train_<class>, test_<class>' if both else 'train, validation, test'}, or leave "
            f"some out with --only"
        )
    if not both and len(set(typed.values())) < len(typed):
        raise InputError(
            f"expected a level of its own for each of {', '.join(typed)}, received "
            f"{', '.join(f'{flag} {level}' for flag, level in typed.items())}"
        )


def find_split(names: FolderNames, taken: set[int]) -> int | None:
    """Return the outermost level whose folders all are splits, two or more; None if none is.

    Levels that are ``taken`` are for something else. Raises Doubt if that level may be read in
    another way.
    """
    for level in range(1, names.depth + 1):
        if level not in taken and len(set(splits_at(names, level).values())) > 1:
            return level
    return None


def splits_at(names: FolderNames, level: int) -> dict[str, str]:
    """Return which folders at a level are splits, and of which; none if they are none.

    At the outermost level one is enough, deeper there have to be two: a class may be called so.

    Raises:
        Doubt: Others lie beside them, two are of one split, or their names say classes as well.
    """
    found = names.at(level)
    splits = splits_named(found)
    several = len(set(splits.values())) > 1
    if not splits and (classes := classes_within(found)):
        raise both_in_one_name(names, level, classes)
    if not splits or (level > 1 and not several):
        return {}
    if len(splits) < len(found):
        raise some_are_splits(names, level, splits)
    if len(set(splits.values())) < len(splits):
        if len(classes := classes_within(found)) == len(found):
            raise both_in_one_name(names, level, classes)
        raise one_split_twice(names, level, splits)
    return splits
