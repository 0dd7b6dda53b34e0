"""Folders that hold tables instead of class folders, as hubs and labelling services write them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.images.names import is_clutter, is_picture_name
from pipeline.images.splitwords import splits_named
from pipeline.system.units import named

SHARD = ".parquet"
ONE_HOT_TABLE = "_classes.csv"
"""What labelling services write beside the pictures of each split."""
_DATA = "data"


@dataclass(frozen=True)
class TablePart:
    """One of several tables that are read as one.

    Args:
        path: The file, relative to the folder.
        prefix: What comes before the paths in it, or before the names of pictures inside it.
        split: The word in its name, or the name of its folder, that says its split; or None.
    """

    path: str
    prefix: str
    split: str | None


def tables_in(root: Path) -> list[TablePart]:
    """Return the tables that a folder is made of; none if it holds pictures of its own.

    These are Parquet files in the folder, in ``data/``, or in a folder for each split; or a
    ``_classes.csv`` beside the pictures of each split.

    Raises:
        InputError: Some are of splits by their names, and others lie beside them that are of none.
    """
    folders, files = _listed(root)
    if any(map(is_picture_name, files)):
        return []
    folder = "" if folders != [_DATA] or _shards(files) else f"{_DATA}/"
    shards = _shards(_listed(root / folder)[1])
    if not shards:
        return _in_split_folders(root, folders)
    # train-00000-of-00002.parquet: what follows the first mark is a number.
    words = {name: name.partition("-")[0].removesuffix(SHARD) for name in shards}
    splits = splits_named(set(words.values()))
    _refuse_others(root, list(splits), sorted({*words.values()} - splits.keys()))
    return [
        TablePart(folder + name, f"{folder}{name}/", word if word in splits else None)
        for name, word in words.items()
    ]


def _shards(names: Iterable[str]) -> list[str]:
    return [name for name in names if name.lower().endswith(SHARD)]


def _in_split_folders(root: Path, folders: Sequence[str]) -> list[TablePart]:
    splits = splits_named(folders)
    parts = []
    for name in splits:
        inner, files = _listed(root / name)
        if not inner and ONE_HOT_TABLE in files:
            parts.append(TablePart(f"{name}/{ONE_HOT_TABLE}", f"{name}/", name))
        elif not inner and _shards(files) and not any(map(is_picture_name, files)):
            parts += [TablePart(f"{name}/{one}", f"{name}/{one}/", name) for one in _shards(files)]
        else:
            return []
    if len({part.path.endswith(ONE_HOT_TABLE) for part in parts}) != 1:
        return []
    beside = {name: _listed(root / name)[1] for name in folders if name not in splits}
    others = [name for name, files in beside.items() if ONE_HOT_TABLE in files or _shards(files)]
    _refuse_others(root, list(splits), others)
    return parts


def _refuse_others(root: Path, splits: Sequence[str], others: Sequence[str]) -> None:
    if splits and others:
        raise InputError(
            f"more than one reading fits {root}: {named(splits)} are splits by their names, "
            f"{named(others)} beside them none; rename these to train, validation or test if they "
            f"are, else move them out of the folder"
        )


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the sorted names of visible folders and files; none of what cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            shown = sorted(entries, key=lambda entry: entry.name)
    except OSError:  # told by whoever reads it as a folder of pictures
        return [], []
    shown = [entry for entry in shown if not is_clutter(entry.name)]
    folders = [entry.name for entry in shown if entry.is_dir()]
    return folders, [entry.name for entry in shown if not entry.is_dir()]
