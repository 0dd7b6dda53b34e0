"""Settings of how pictures become a data set: what says their labels, splits and groups."""

import os
from dataclasses import dataclass, fields
from typing import Any

from pipeline.config.fields import N_SEEDS, require
from pipeline.errors import without_secrets
from pipeline.system.files import expanded

LEVELS = ("classes_at", "split_at", "group_at")
COLUMNS = ("path_column", "label_column", "split_column", "group_column")


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How labels, splits and groups are read, and what is held out where no split is given.

    What is left out is read off the data where they allow one reading only.
    """

    label_pattern: str | None = None
    """Where labels stand in file names: "{label}.{}" for cat.0.jpg, "{label}_{number:d}" for
    pit_bull_12.jpg; {group} stays in one split, "{group}_{}" alone inside class folders."""

    classes_at: int | None = None
    """Level of folders below DATA, from 1, whose names are the classes."""

    split_at: int | None = None
    """Level of folders whose names are splits; 0 where none is, and the split is drawn."""

    group_at: int | None = None
    """Level of folders whose names are groups, such as patients, that stay in one split; 0 where
    every picture stands for itself."""

    only: str | None = None
    """Folders to take where one tree is there several times, by name or path with commas: fold1."""

    path_column: str | None = None
    """Column of a table that holds the pictures' paths."""

    label_column: str | None = None
    """Column of a table that holds the labels; one-hot where a 1 in one of several says them."""

    split_column: str | None = None
    """Column of a table that holds the splits; none where no column does."""

    group_column: str | None = None
    """Column of a table that holds the groups, which stay in one split."""

    root: str | None = None
    """Folder or URL that the paths of a table are relative to; the table's own when left out."""

    corrections: str | None = None
    """Table that says the labels of some pictures anew, by path or digest, or "drop"; pictures that
    DATA does not have join train. Also --labels."""

    min_per_class: int = 1
    """Classes with fewer different pictures (copies count once) are left out."""

    test_fraction: float = 0.2
    """Share of pictures held out as the final test where the data have no split of their own."""

    seed: int = 0
    """Seed of splits, folds, heads, and of random weights."""

    def __post_init__(self) -> None:
        require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")
        share = self.test_fraction
        require(self, "test_fraction", 0 < share < 1, "between 0 and 1")
        for name in LEVELS:
            least = 1 if name == "classes_at" else 0
            level = getattr(self, name)
            require(self, name, level is None or least <= level <= 99, f"from {least} to 99")
        require(self, "root", self.root != "", "as a folder or a URL")
        require(self, "corrections", self.corrections != "", "as a table")
        for name in ("root", "corrections"):
            said = getattr(self, name)
            if said is not None and "://" not in said:
                # It is saved in runs, which are read from other folders too.
                object.__setattr__(self, name, os.path.abspath(expanded(said)))
        require(self, "min_per_class", self.min_per_class >= 1, "at least 1")

    @property
    def indexing(self) -> dict[str, Any]:
        """What decides labels, splits and groups, as plain values by the names of the settings."""
        values = {field.name: getattr(self, field.name) for field in fields(DataConfig)}
        return {**values, "root": self.root and without_secrets(self.root)}


USUAL = DataConfig()
"""Nothing said: what the data show decides."""
