"""What a source was taken for: which folders or columns say labels, splits and groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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
        splits: What each split folder, or each value of a split column, was taken for.
        columns: Of a table: the column of ``"path"``, ``"label"``, ``"split"`` and ``"group"``, as
            far as it has them.
        dropped_classes: Classes that are left out, with how many different pictures each has.
        min_per_class: Fewer than so many.
    """

    kind: str
    levels: tuple[str, ...] = ()
    splits: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    dropped_classes: Mapping[str, int] = field(default_factory=dict)
    min_per_class: int = 1

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
        parts += [f"{role} from column {name!r}" for role, name in self.columns.items()]
        if self.kind == BY_NAME:
            parts.append("labels from file names")
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
