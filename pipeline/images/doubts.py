"""Questions about folders that can be read in more than one way, and the ways to say which.

Each function names one kind of folders. It says what is seen there and what the user may say;
what of that leads to a reading is tried (`answers`) before it is offered.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote
from typing import Any

from pipeline.config import DataConfig
from pipeline.errors import PipelineError
from pipeline.images.branches import FolderNames, Levels
from pipeline.images.layout import IN_NAMES, LAY_OUT
from pipeline.images.patterns import NamePattern
from pipeline.images.splitwords import splits_named
from pipeline.system.units import named

BY_NAMES = ""
"""Of a way's label_pattern: the one that fits the names of the files, if one does; with what it
means."""

_MOST_WAYS, _MOST_FURTHER, _MOST_ONLY = 5, 2, 5

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
# Anything with a number, such as mouse_01: whom pictures are of where all of it is the same word.
_ANY_NUMBERED = re.compile(r"([^\W\d_]+)[\W_]*\d+")


def names_kinds(name: str) -> bool:
    """Return whether a folder's name says a kind of pictures, and nothing of what they show."""
    return _KINDS.fullmatch(name) is not None


@dataclass(frozen=True)
class Way:
    """What the user may say: values of settings of DataConfig, and when or what for."""

    flags: Mapping[str, int | str]
    meaning: str

    def __str__(self) -> str:
        typed = (f"--{key.replace('_', '-')} {quote(str(self.flags[key]))}" for key in self.flags)
        return f"{' '.join(typed)} {self.meaning}"


class Doubt(Exception):  # noqa: N818 - a question, which ends in a sentence or not at all
    """More than one reading fits: never seen outside, a sentence is made of it.

    Args:
        seen: What is there.
        ways: What may be said.
        rest: What may be done instead.
        fits: Whether several readings fit; else none does, and ``seen`` says what was expected.
        loose: Whether the pictures lie in no folder, and no list of labels lies beside them.
    """

    def __init__(
        self,
        seen: str,
        ways: Iterable[Way],
        rest: str = "",
        *,
        fits: bool = True,
        loose: bool = False,
    ) -> None:
        super().__init__(seen)
        self.seen, self.ways, self.rest, self.fits = seen, tuple(ways), rest, fits
        self.loose = loose

    def question(self, where: str, ways: Sequence[Way]) -> str:
        """Return what is told, with those of the ways that lead somewhere."""
        said = f"say {', or '.join(map(str, ways))}" if ways else ""
        if self.fits:
            told = ", or ".join(filter(None, (said, self.rest))) or LAY_OUT
            return f"more than one reading fits {where}: {self.seen}; {told}"
        asked, offered = (
            ["label_pattern" in w.flags for w in those] for those in (self.ways, ways)
        )
        in_names = IN_NAMES if any(asked) and not any(offered) else ""
        return f"{self.seen}: {', or '.join(filter(None, (self.rest, said, in_names)))}"


def answers(
    doubt: Doubt,
    config: DataConfig,
    attempt: Callable[[DataConfig], object],
    by_names: Callable[[DataConfig], NamePattern | None],
) -> list[Way]:
    """Return the ways that lead to a reading; where another question follows, with its answers.

    Of ways with one meaning the first is enough. ``attempt`` reads as it is told, and raises
    PipelineError or Doubt; ``by_names`` returns the pattern that fits the names of the files.
    """
    found: dict[tuple[str, object], Way] = {}
    for way in doubt.ways:
        if any(getattr(config, name) is not None for name in way.flags):
            continue
        further = [Way({}, "")]
        try:
            typed: dict[str, Any] = dict(way.flags)
            said = replace(config, **typed)
            meaning = way.meaning
            if said.label_pattern == BY_NAMES:
                if (told := by_names(said)) is None:
                    continue
                typed["label_pattern"] = told.pattern
                meaning = f"if the labels in file names are {named(told.labels, 2)}"
                said = replace(said, **typed)
            attempt(said)
        except Doubt as more:
            further = answers(more, said, attempt, by_names)[:_MOST_FURTHER]
        except PipelineError:
            continue
        for more_said in further:
            flags = {**typed, **more_said.flags}
            whole = ", ".join(filter(None, (meaning, more_said.meaning)))
            found.setdefault((whole, flags.get("classes_at")), Way(flags, whole))
    return list(found.values())[:_MOST_WAYS]


def _at(names: FolderNames, **levels: int) -> dict[str, int | str]:
    """Return levels below a branch as they are typed: from the outermost folder."""
    return {role: level + len(names.start) if level else 0 for role, level in levels.items()}


def _as_classes(names: FolderNames, level: int, **others: int) -> Way:
    classes = f"if the classes are {named(names.at(level), 2)}"
    return Way(_at(names, classes_at=level, **others), classes)


def _only(folders: Iterable[str], meaning: str) -> Way:
    return Way({"only": ",".join(folders)}, meaning)


# Of splits.


def some_are_splits(names: FolderNames, level: int, splits: Mapping[str, str]) -> Doubt:
    """Return what to ask where other folders lie beside splits."""
    others = [name for name in names.at(level) if name not in splits]
    ways = [_only(splits, f"to leave {named(others)} out")]
    if any(map(splits_named, names.first_forks(level).values())):
        ways += [_only([name], "to take what lies there") for name in others[:1]]
    telling = [other for other in range(1, names.depth + 1) if names.tell(other)]
    ways += [_as_classes(names, other, split_at=0) for other in telling[:2]]
    return Doubt(
        f"of the folders at level {level + len(names.start)}, {named(list(splits))} "
        f"{'is a split' if len(splits) == 1 else 'are splits'} by name and {named(others)} "
        f"{'is' if len(others) == 1 else 'are'} not",
        ways,
        f"rename {others[0]!r} to train, validation or test" if len(others) == 1 else "",
    )


def one_split_twice(names: FolderNames, level: int, splits: Mapping[str, str]) -> Doubt:
    """Return what to ask where several folders, by names or paths, are of one split."""
    counts = Counter(splits.values())
    split = max(counts, key=lambda each: counts[each])
    alike = [name for name in splits if splits[name] == split]
    others = [name for name in splits if splits[name] != split]
    ways = [_only([name, *others], f"to take {name!r}") for name in alike[:2]]
    if level:
        ways.append(Way(_at(names, split_at=level), f"to take all as {split}"))
    return Doubt(f"{named(alike)} are all {split} folders by name", ways, "merge them")


def both_in_one_name(names: FolderNames, level: int, classes: Mapping[str, str]) -> Doubt:
    """Return what to ask where names of folders say a split and a class."""
    inside = named(sorted(set(classes.values())), 2)
    both = Way(_at(names, split_at=level, classes_at=level), f"if the classes are {inside}")
    ways = [both, _as_classes(names, level, split_at=0)]
    if level < names.depth:
        ways.insert(1, _as_classes(names, level + 1, split_at=level))
    if others := [name for name in names.at(level) if name not in classes]:
        ways.append(_only(classes, f"to leave {named(others)} out"))
    return Doubt(f"{named(list(classes))} say a split, and something else as well", ways)


def splits_in_splits(names: FolderNames) -> Doubt:
    """Return what to ask where the two outermost levels are all called like splits."""
    ways = [_as_classes(names, 2, split_at=1), _as_classes(names, 1, split_at=2)]
    ways += [_as_classes(names, 3, split_at=split) for split in (2, 1) if names.depth > 2]
    first = len(names.start) + 1
    levels = f"the folders at level {first} and those at level {first + 1}"
    return Doubt(f"{levels} are all called like splits", ways)


# Of classes.


def second_thoughts(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Return what to ask before the outermost level that says something is taken for the classes.

    Levels ``below`` are the others that might say something.
    """
    found = (thought(names, levels, below) for thought in _THOUGHTS)
    return next((doubt for doubt in found if doubt is not None), None)


def _a_copy_inside(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about a folder in which its neighbours lie once more."""
    beside = set(names.at(levels.classes))
    for name, inner in names.first_forks(levels.classes).items():
        again = sorted((inner & beside) - {name})
        if len(again) > 1 and len(again) * 2 >= len(beside):
            path = next(p for p in names.reaching(levels.classes) if p[levels.classes - 1] == name)
            others = sorted(beside - {name})
            few = len(others) <= _MOST_ONLY
            ways = [_only(["/".join((*names.start, *path[: levels.classes]))], "to take it alone")]
            ways += [_only(others, "to take the others")] if few else []
            return Doubt(
                f"{name!r} holds {named(again)} once more, which also lie beside it, as in a copy",
                [*ways, Way(_at(names, classes_at=levels.classes), "if it is a class")],
                "" if few else "move it away to take the others",
            )
    return None


def _names_again(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about names that come again below several folders: classes in groups, or trees alike."""
    first = levels.classes
    again = [level for level in below if any(_repeated(names.children(first, level)))]
    if not again:
        return None
    outer, inner = names.at(first), names.at(again[-1])
    ways = [_as_classes(names, first), *(_as_classes(names, level) for level in again)]
    if all(map(names_kinds, inner)):
        kinds = (_only([name], "to take one kind of pictures") for name in _likeliest(inner))
        return Doubt(f"{named(inner)} come again below {named(outer)}", [*kinds, ways[0]])
    ways.append(_as_classes(names, again[-1], split_at=0))
    if levels.group is None:
        group = f"if each of {named(outer, 2)} is a group, such as a patient or place"
        said = _at(names, classes_at=again[-1], group_at=first)
        ways += [Way(said, group), Way({**said, "split_at": 0}, group)]
    ways.append(_only(outer[:1], "to take one of several like trees"))
    shown = sorted(_repeated(names.children(first, again[-1])))
    come = "comes" if len(shown) == 1 else "come"
    return Doubt(f"{named(shown)} {come} again below {named(outer)}", ways)


def _likeliest(kinds: Iterable[str]) -> list[str]:
    """Return kinds of pictures with those first that are hardly masks."""
    return sorted(kinds, key=lambda name: not re.search(r"(?i)im(a?)g|pic|photo|jpe?g|rgb", name))


def _repeated(children: Mapping[str, set[str]]) -> set[str]:
    """Return the names that are below more than one folder."""
    n_parents = Counter(name for inner in children.values() for name in inner)
    return {name for name, n in n_parents.items() if n > 1}


def _trees_again(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about the same folders at different depths."""
    again = _repeated(names.first_forks(levels.classes))
    if levels.split or levels.group or not again:
        return None
    outer = names.at(levels.classes)
    ways = [_only([name], f"to take {name!r} alone") for name in outer[:2]]
    ways.append(_as_classes(names, levels.classes))
    return Doubt(
        f"below {named(outer)} the same folders, such as {min(again)!r}, come again at different "
        f"depths, as in a copy",
        ways,
    )


def _masks_inside(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about folders such as masks that lie in class folders beside the pictures."""
    first = levels.classes
    holders: dict[str, set[str]] = defaultdict(set)
    for parts in names.reaching(first + 1):
        if names_kinds(parts[first]):
            holders[parts[first]].add(parts[first - 1])
    for kind, classes in holders.items():
        more = any(len(p) == first or p[first] != kind for p in names.reaching(first))
        if len(classes) > 1 and more:
            return Doubt(
                f"{named(sorted(classes))} hold pictures and also a folder {kind!r}",
                [
                    _only([kind], "to take these"),
                    Way(_at(names, classes_at=first), "to take all"),
                ],
                "move them away to take the others",
            )
    return None


def _groups_inside(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about folders in classes that are numbered as patients or videos are."""
    inner = names.at(below[0]) if below and levels.group is None else []
    words = {found and found[1].casefold() for found in map(_ANY_NUMBERED.fullmatch, inner)}
    one_word = len(words) == 1 and None not in words
    if len(inner) < 2 or not (one_word or all(map(_NUMBERED.fullmatch, inner))):
        return None
    return Doubt(
        f"{named(inner)} inside the classes {named(names.at(levels.classes), 2)} may be groups "
        f"that must not be divided",
        [
            Way(_at(names, group_at=below[0]), "to keep each in one split"),
            Way(_at(names, classes_at=levels.classes), "if they say nothing"),
        ],
    )


def _no_classes(names: FolderNames, levels: Levels, below: Sequence[int]) -> Doubt | None:
    """Ask about folders that are called like kinds of pictures, or parts of one collection."""
    found = names.at(levels.classes)
    kinds = list(filter(names_kinds, found))
    if len(kinds) > 1:
        seem = "kinds of pictures of the same things"
    elif len(found) > 1 and all(map(_NUMBERED.fullmatch, found)):
        seem = "parts of one collection"
    else:
        return None
    ways = [Way({"only": kind, "label_pattern": BY_NAMES}, "") for kind in _likeliest(kinds)[:2]]
    return Doubt(
        f"{named(found)} at level {levels.classes + len(names.start)} seem to be {seem}",
        [
            _as_classes(names, levels.classes),
            *(ways or [Way({"label_pattern": BY_NAMES}, "")]),
        ],
        "give a table of paths and labels",
    )


_THOUGHTS = (
    _a_copy_inside,
    _names_again,
    _trees_again,
    _masks_inside,
    _groups_inside,
    _no_classes,
)
