"""What a source was taken for: which folders or columns say labels, splits and groups."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.images.tables.column_names import ONE_HOT
from pipeline.system.units import named

BY_FOLDER, BY_NAME, BY_TABLE, LISTED = "folders", "file names", "table", "list"


@dataclass(frozen=True)
class Reading:
    """How a source was read.

    Args:
        kind: ``"folders"``, ``"file names"``, ``"table"``, or ``"list"`` of pictures without
            labels.
        levels: What the folders at each level below the location are for, from the outermost:
            ``"split"``, ``"class"``, ``"group"``, or ``"all"`` where they say nothing; folders
            deeper than these say nothing either.
        odd_levels: The same for folders in which it is different, by their paths.
        groups_in_names: Whether names of files say the groups.
        splits: What each split folder, or each value of a split column, was taken for.
        columns: Of a table: the column of ``"path"``, ``"label"``, ``"split"`` and ``"group"``, as
            far as it has them; ``"one-hot"`` where a 1 in one of several says the label.
        dropped_classes: Classes that are left out, with how many different pictures each has.
        min_per_class: Fewer than so many.
    """

    kind: str
    levels: tuple[str, ...] = ()
    splits: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    dropped_classes: Mapping[str, int] = field(default_factory=dict)
    min_per_class: int = 1
    odd_levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups_in_names: bool = False

    def levels_of(self, path: str) -> tuple[str, ...]:
        """Return what the folders are for that lead to a picture."""
        odd = (levels for at, levels in self.odd_levels.items() if path.startswith(f"{at}/"))
        return next(odd, self.levels)

    @property
    def sentence(self) -> str:
        """The reading in one line."""
        parts = []
        if self.splits:
            taken = ", ".join(f"{name} → {split}" for name, split in self.splits.items())
            parts.append(f"splits: {taken}")
        parts += [
            f"{what} at level {level}"
            for role, what in (("class", "classes"), ("group", "groups"))
            for level, found in enumerate(self.levels, 1)
            if found == role
        ]
        parts += [
            f"in {path} {'classes' if role == 'class' else 'groups'} at level {level}"
            for path, levels in self.odd_levels.items()
            for level, role in enumerate(levels, 1)
            if role in ("class", "group") and self.levels[level - 1 : level] != (role,)
        ]
        parts += [
            f"folders at level {level} say nothing"
            for level, found in enumerate(self.levels, 1)
            if found == "all"
        ]
        parts += [
            f"{role} from the column with a 1"
            if name == ONE_HOT
            else f"{role} from column {name!r}"
            for role, name in self.columns.items()
        ]
        if self.kind == BY_NAME:
            parts.append("labels from file names")
        if self.groups_in_names:
            parts.append("groups from file names")
        return "; ".join(parts)

    @property
    def dropped(self) -> str:
        """Which classes are left out, in one line; nothing where none is."""
        if not (names := list(self.dropped_classes)):
            return ""
        are = "class" if len(names) == 1 else "classes"
        return (
            f"{len(names)} {are} with fewer than {self.min_per_class} different pictures "
            f"{'is' if len(names) == 1 else 'are'} left out (--min-per-class "
            f"{self.min_per_class}): {named(names)}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values, for ``--json``."""
        return {
            "kind": self.kind,
            "sentence": self.sentence,
            "levels": list(self.levels),
            "splits": dict(self.splits),
            "columns": dict(self.columns),
            "dropped_classes": dict(self.dropped_classes),
        }


def folder_tree(paths: Sequence[str], reading: Reading, labels: Sequence[str]) -> dict[str, Any]:
    """Return the folders whose names say something, nested, with the pictures in each.

    ``labels`` are for paths whose folders do not say them.

    Returns:
        ``{"name", "is", "pictures", "folders": [...]}``; the outermost has no name. Where names of
        files or rows of a table say the class, it stands as the innermost folder.
    """
    by_folder = reading.kind == BY_FOLDER
    tree: dict[str, Any] = {"name": "", "is": "all", "pictures": len(paths), "folders": []}
    nodes: dict[tuple[str, ...], dict[str, Any]] = {(): tree}
    counts: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    for path, label in zip(paths, labels, strict=True):
        levels = reading.levels_of(path) if reading.kind != BY_TABLE else ()
        folders = tuple(path.split("/")[:-1][: len(levels)])
        counts[folders if by_folder else (*folders, label), levels] += 1
    for (parts, levels), count in sorted(counts.items()):
        for level in range(1, len(parts) + 1):
            place = parts[:level]
            if place not in nodes:
                role = [*levels, "class"][level - 1] if by_folder or level < len(parts) else "class"
                nodes[place] = {"name": parts[-1 - len(parts) + level], "is": role}
                nodes[place] |= {"pictures": 0, "folders": []}
                nodes[place[:-1]]["folders"].append(nodes[place])
            nodes[place]["pictures"] += count
    return tree
