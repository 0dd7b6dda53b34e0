"""Checking a recipe folder wholly: every byte of every shard is read, in little memory.

What is damaged is set aside; a lost or altered ``recipe.json`` is written again from the shards,
which say themselves what they were made with.
"""

from collections import Counter
from collections.abc import Callable, Iterator
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
from pipeline.features.store.reader import Shard, check_shard, read_index
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.system.files import DAMAGED_PREFIX, matching, set_aside

Problem = dict[str, Any]
"""``{"path", "reason", "set_aside"}``, the last being the new path or None; perhaps ``rows``."""


def recipe_folders(root: Path) -> list[Path]:
    """Return the folders of a cache that hold a recipe or shards, sorted, strays among them."""
    return sorted(
        {path.parent for name in (RECIPE_NAME, SHARDS) for path in matching(root, f"*/{name}")}
    )


def stray_reason(folder: Path) -> str | None:
    """Return why nothing in a folder is ever read; None if it has the name of its recipe.

    Where its ``recipe.json`` says something else, or nothing, its shards say what it is; where they
    are damaged too, its name is believed.
    """
    if folder.name.startswith(DAMAGED_PREFIX):
        return f"{folder} was set aside, and is never read; remove it once it is of no use"
    said = [_id_of(read_recipe, folder / RECIPE_NAME)]
    if folder.name not in said:
        shards = matching(folder, SHARDS)
        said += [_id_of(lambda one: read_index(one).shard.recipe, path) for path in shards]
    other = next(filter(None, said), None)
    if other is None or folder.name in said:
        return None
    return (
        f"expected the name {other}, which its recipe says, received {folder}; it is never read: "
        f"give it that name, or remove it"
    )


def _id_of(read: Callable[[Path], Recipe], path: Path) -> str | None:
    """Return the id of a recipe; None where it cannot be read, which is told when it is checked."""
    try:
        return read(path).id
    except StoreError:
        return None


@dataclass
class FolderCheck:
    """What is in a recipe folder, once it was read.

    Args:
        folder: The folder.
        shards: Those that are sound.
        bad: What is not.
        newer: What a newer version of this program wrote; it was left alone.
        mended: Files that were written again.
    """

    folder: Path
    shards: list[Shard] = field(default_factory=list)
    bad: list[Problem] = field(default_factory=list)
    newer: list[Problem] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)

    def read(self) -> Iterator[tuple[Path, int]]:
        """Read everything in the folder and set aside what is damaged.

        Yields:
            (file, bytes of it) after each chunk that was read.
        """
        recipe, path = None, self.folder / RECIPE_NAME
        if path.exists():
            with self._noted(path):
                recipe = read_recipe(path)
        if self.newer:
            return
        for path in matching(self.folder, QUARANTINES):
            with self._noted(path):
                read_quarantine(path)
        for path in matching(self.folder, SHARDS):
            with self._noted(path):
                self.shards.append((yield from check_shard(path)))
        self._match_recipes(recipe)
        self._match_shapes()

    @contextmanager
    def _noted(self, path: Path) -> Iterator[None]:
        """Note why a file cannot be read, and set aside what is damaged."""
        try:
            yield
        except NewerFormatError as error:
            self.newer.append({"path": str(path), "reason": str(error)})
        except DamagedShardError as error:
            self.bad.append(put_aside(path, str(error).partition("; run `pipeline verify")[0]))
        except StoreError as error:
            of_file = (PermissionError, FileNotFoundError, type(None))
            if not isinstance(error.__cause__, of_file):
                raise  # the machine's fault says nothing about the file, and others would fail too
            if path.exists():  # else another process set it aside meanwhile
                self._note_bad(path, error)

    def _note_bad(self, path: Path, error: StoreError) -> None:
        self.bad.append({"path": str(path), "reason": str(error), "set_aside": None})

    def _match_recipes(self, recipe: Recipe | None) -> None:
        """Hold the shards against the folder's recipe; where that is wrong, against its name."""
        folder, path = self.folder, self.folder / RECIPE_NAME
        named = next((one.recipe for one in self.shards if one.recipe.id == folder.name), None)
        if recipe is not None and recipe.id != folder.name and named is not None:
            reason = f"expected the recipe of {folder.name} in {path}, received that of {recipe.id}"
            self.bad.append(put_aside(path, reason))
            recipe = None
        if recipe is None and named is not None:
            self._mend(named)
            recipe = named
        for shard in list(self.shards):
            if recipe is None or shard.recipe.digest != recipe.digest:
                self.shards.remove(shard)
                reason = (
                    f"expected a shard of the recipe of {folder}, received one of "
                    f"{shard.recipe.id}: it is never read here; move it to a folder of that name"
                )
                self.bad.append({**put_aside(shard.path, reason), "rows": shard.n_rows})

    def _match_shapes(self) -> None:
        """Note shards whose rows have other shapes than most: which are right, nobody can say."""
        rows: Counter[RowShapes] = Counter()
        for shard in self.shards:
            rows[_shapes(shard)] += shard.n_rows
        for shard in list(self.shards):
            if _shapes(shard) != rows.most_common(1)[0][0]:
                self.shards.remove(shard)
                reason = (
                    f"expected rows of one shape in {self.folder}, received others in {shard.path} "
                    f"than in most shards; one of them is not what its recipe says: move that out "
                    f"of the cache, its rows are computed again"
                )
                self.bad.append({"path": str(shard.path), "reason": reason, "set_aside": None})

    def _mend(self, recipe: Recipe) -> None:
        path = self.folder / RECIPE_NAME
        if path.exists():  # it could not be set aside
            return
        try:
            prepare_folder(self.folder, recipe)
        except StoreError as error:
            self._note_bad(path, error)
        else:
            self.mended.append(str(path))


RowShapes = tuple[tuple[CutName, tuple[int, ...]], ...]


def _shapes(shard: Shard) -> RowShapes:
    return tuple(sorted(shard.shapes.items()))


def put_aside(path: Path, reason: str) -> Problem:
    """Set something aside, if that can be done, and return it as an entry of what is bad."""
    try:
        aside = set_aside(path, reason)
    except StoreError as error:
        return {"path": str(path), "reason": f"{reason}; {error}", "set_aside": None}
    return {"path": str(path), "reason": reason, "set_aside": str(aside) if aside else None}
