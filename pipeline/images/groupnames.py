"""Pictures in class folders whose names begin alike: of one patient, or made of one picture.

What begins alike says nothing where every class has one beginning, as ``n02085620_1.jpg`` has.
"""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from pipeline.errors import DataError
from pipeline.images.doubts import Doubt, Way
from pipeline.images.patterns import groups_in_names, parse_pattern, stem_of
from pipeline.images.walk import Listing
from pipeline.system.units import named

# patient01_3, mouse-7 left; no day or year of a camera, no number of a copy: photo-3 (2).
_NUMBERED = re.compile(
    r"(?P<key>(?P<before>[^\W\d_]+[ _-]?)(?!(19|20)\d{6}[ _.-]|(19|20)\d\d[_.-][01]\d[_.-]\d)\d+)"
    r"(?P<mark>[ _.-])(?!\(\d+\)$).+"
)
# What programs write behind the name of a picture that they change.
_CHANGED = re.compile(
    r"(?i)(?P<key>.+?)(?P<mark>[ _.-])(?P<before>)(?:"
    r"(?:[hv]|lr|ud)?flip(?:ped)?|mirror(?:ed)?|rot(?:at(?:e|ed|ion))?|aug(?:mented|mentation)?"
    r"|crop(?:ped)?|bright(?:ness|er)?|dark(?:er)?|contrast|nois[ey]|blur(?:red|ry)?|zoom(?:ed)?"
    r"|shear(?:ed)?|shift(?:ed)?|scaled?|resized?|jitter|sharp(?:ened|en)?|gamma|hue|rf(?=\.)"
    r")(?![^\W\d_]).*"
)
_PATTERNS = ("{group}MARK{*}", "{group:*}MARK{}", "{group}MARK{word:a}", "BEFORE{group:d}MARK{*}")


def begins_alike(found: Sequence[Listing]) -> Doubt | None:
    """Return what to ask of pictures by class whose names begin alike, if no split is given."""
    if any(part.split for part in found):
        return None
    paths = {path: part.label for part in found for path in part.pictures}
    for name in (_NUMBERED, _CHANGED):
        matches = {path: match for path in paths if (match := name.fullmatch(stem_of(path)))}
        if matches and (doubt := _asked(paths, matches, needed=0.5 * (name is _NUMBERED))):
            return doubt
    return None


def _asked(
    labels: Mapping[str, str], matches: Mapping[str, re.Match[str]], needed: float
) -> Doubt | None:
    """Return the question, if the share of pictures that begin alike, and of classes, is needed."""
    groups = {path: matches[path]["key"] if path in matches else stem_of(path) for path in labels}
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, label in labels.items():
        together[label, groups[path]].append(path)
    again = [those for those in together.values() if len(those) > 1]
    n_keys = Counter(label for label, _ in {(labels[path], groups[path]) for path in matches})
    divisible = sum(n > 1 for n in n_keys.values())
    few = sum(map(len, again)) < needed * len(labels) or len(again) < 2
    if few or divisible < max(1, needed * len(set(labels.values()))):
        return None
    match = next(matches[path] for path in again[0] if path in matches)
    meaning = "to keep what begins alike in one split"
    fits = [text for text in _written(match) if _divides_so(text, groups)]
    ways = [Way({"label_pattern": text}, meaning) for text in fits[:1]]
    ways.append(Way({"group_at": 0}, "if every picture stands for itself"))
    names = [posixpath.basename(path) for path in sorted(again[0])]
    return Doubt(
        f"{named(names)} begin alike, and so do the names in {len(again)} groups in all, as those "
        "of one patient, or of one picture and its copies",
        ways,
        "" if fits else "give a table with a column group",
    )


def _written(match: re.Match[str]) -> Iterable[str]:
    before, mark = (
        match[part].replace("{", "{{").replace("}", "}}") for part in ("before", "mark")
    )
    return (text.replace("BEFORE", before).replace("MARK", mark) for text in _PATTERNS)


def _divides_so(text: str, groups: Mapping[str, str]) -> bool:
    """Say whether a pattern divides pictures into these groups, whatever it calls them."""
    try:
        found = groups_in_names(groups, parse_pattern(text))
    except DataError:
        return False
    pairs: Sequence[set[Hashable]] = (
        set(groups.values()),
        set(found.values()),
        {(groups[path], found[path]) for path in groups},
    )
    return len(set(map(len, pairs))) == 1
