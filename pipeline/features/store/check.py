"""Checking a recipe folder wholly: every byte of every shard is read, in little memory.

What is damaged is set aside; a lost or altered ``recipe.json`` is written again from the shards,
which say themselves what they were made with.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.features.store.folders import (
    QUARANTINES,
    RECIPE_NAME,
    SHARDS,
    prepare_folder,
    read_quarantine,
    read_recipe,
)
from pipeline.features.store.reader import Shard, check_shard
from pipeline.features.store.recipe import Recipe
from pipeline.system.files import DAMAGED_PREFIX, set_aside

Problem = dict[str, Any]
"""``{"path", "reason", "set_aside"}``, the last being the new path or None; perhaps ``rows``."""


@dataclass
class FolderCheck:
    """What is in a recipe folder.

    Args:
        shards: Those that are sound.
        bad: What is not.
        newer: What a newer version of this program wrote; it was left alone.
        mended: Files that were written again.
    """

    shards: list[Shard] = field(default_factory=list)
    bad: list[Problem] = field(default_factory=list)
    newer: list[Problem] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


def recipe_folders(root: Path) -> list[Path]:
    """Return the folders of a cache that hold a recipe or shards, sorted; not what is set aside."""
    found = {path.parent for name in (RECIPE_NAME, SHARDS) for path in root.glob(f"*/{name}")}
    return sorted(path for path in found if not path.name.startswith(DAMAGED_PREFIX))


def check_folder(folder: Path) -> Generator[tuple[Path, int], None, FolderCheck]:
    """Read everything in a recipe folder and set aside what is damaged.

    Yields:
        (file, bytes of it) after each chunk that was read.

    Returns:
        What is there.
    """
    check = FolderCheck()
    recipe = _recipe_in(folder, check)
    if check.newer:
        return check
    for path in sorted(folder.glob(QUARANTINES)):
        with _noted(path, check):
            read_quarantine(path)
    for path in sorted(folder.glob(SHARDS)):
        with _noted(path, check):
            check.shards.append((yield from _counted(path)))
    _match_recipes(folder, recipe, check)
    return check


def _counted(path: Path) -> Generator[tuple[Path, int], None, Shard]:
    reading = check_shard(path)
    while True:
        try:
            n_bytes = next(reading)
        except StopIteration as end:
            shard: Shard = end.value
            return shard
        yield path, n_bytes


def _recipe_in(folder: Path, check: FolderCheck) -> Recipe | None:
    path = folder / RECIPE_NAME
    if path.exists():
        with _noted(path, check):
            return read_recipe(path)
    return None


@contextmanager
def _noted(path: Path, check: FolderCheck) -> Iterator[None]:
    """Note why a file cannot be read, and set aside what is damaged."""
    try:
        yield
    except NewerFormatError as error:
        check.newer.append({"path": str(path), "reason": str(error)})
    except DamagedShardError as error:
        check.bad.append(put_aside(path, str(error)))
    except StoreError as error:
        if path.exists():  # else another process set it aside meanwhile
            check.bad.append({"path": str(path), "reason": str(error), "set_aside": None})


def put_aside(path: Path, reason: str) -> Problem:
    """Set something aside, if that can be done, and return it as an entry of what is bad."""
    try:
        aside = set_aside(path, reason)
    except StoreError as error:
        return {"path": str(path), "reason": f"{reason}; {error}", "set_aside": None}
    return {"path": str(path), "reason": reason, "set_aside": str(aside) if aside else None}


def _match_recipes(folder: Path, recipe: Recipe | None, check: FolderCheck) -> None:
    """Hold the shards against the folder's recipe; where that is wrong, against its name."""
    path = folder / RECIPE_NAME
    named = next((shard.recipe for shard in check.shards if shard.recipe.id == folder.name), None)
    if recipe is not None and recipe.id != folder.name and named is not None:
        reason = f"expected the recipe of {folder.name} in {path}, received that of {recipe.id}"
        check.bad.append(put_aside(path, reason))
        recipe = None
    if recipe is None and named is not None:
        _mend(folder, named, check)
        recipe = named
    for shard in list(check.shards):
        if recipe is None or shard.recipe.digest != recipe.digest:
            check.shards.remove(shard)
            check.bad.append(_stray(shard, folder))


def _mend(folder: Path, recipe: Recipe, check: FolderCheck) -> None:
    path = folder / RECIPE_NAME
    if path.exists():  # it could not be set aside
        return
    try:
        prepare_folder(folder, recipe)
    except StoreError as error:
        check.bad.append({"path": str(path), "reason": str(error), "set_aside": None})
    else:
        check.mended.append(str(path))


def _stray(shard: Shard, folder: Path) -> Problem:
    reason = (
        f"expected a shard of the recipe of {folder}, received one of {shard.recipe.id}: it is "
        f"never read here; move it to a folder of that name"
    )
    return {**put_aside(shard.path, reason), "rows": shard.n_rows}
