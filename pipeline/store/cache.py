"""The feature cache: shards of one recipe, and of wider recipes that hold the same values.

The index *is* the shards' digest columns: there is no second file to disagree with them. Opening
never writes. Rows of another recipe are found when that recipe covers ours (same everything, more
cuts), so asking for fewer layers than before computes nothing.
"""

import json
import logging
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import DamagedShardError, StoreError
from pipeline.store.files import write_json
from pipeline.store.recipe import Cut, Recipe
from pipeline.store.shard import (
    ShardIndex,
    check_version,
    read_index,
    read_rows,
)
from pipeline.store.writer import ShardWriter, prepare_folder

logger = logging.getLogger("pipeline")

DAMAGED_PREFIX = "damaged-"


class FeatureCache:
    """Features of one recipe, addressed by the content of the pictures.

    Args:
        root: Folder of all recipes.
        recipe: What the features must have been made with.
        set_aside_damaged: Rename a damaged shard to ``damaged-…`` and go on without its rows,
            instead of raising.

    Raises:
        NewerFormatError: A newer version of this program wrote into the cache.
        DamagedShardError: A shard cannot be read and ``set_aside_damaged`` is off.
    """

    def __init__(self, root: Path, recipe: Recipe, *, set_aside_damaged: bool = False) -> None:
        self.root, self.recipe = root, recipe
        self.folder = root / recipe.id
        self._set_aside_damaged = set_aside_damaged
        self.refresh()

    def refresh(self) -> None:
        """Read again what is there: shards may have come from this or another process."""
        folders = covering_folders(self.root, self.recipe)
        self._shards = [index for folder in folders for index in self._indexes(folder)]
        self.quarantined = read_quarantine(folders)
        self._locate()

    def _indexes(self, folder: Path) -> Iterable[ShardIndex]:
        for path in sorted(folder.glob("shard-*.h5")):
            try:
                index = read_index(path)
            except DamagedShardError as error:
                if not self._set_aside_damaged:
                    raise
                self.set_aside(path, error)
                continue
            if index.recipe.covers(self.recipe):
                yield index

    def set_aside(self, path: Path, reason: Exception) -> None:
        """Rename a damaged shard out of the way; nothing is deleted."""
        aside = path.with_name(f"{DAMAGED_PREFIX}{path.name}")
        try:
            path.rename(aside)
        except FileNotFoundError:  # another process was quicker
            return
        except OSError as error:
            raise StoreError(
                f"cannot set the damaged {path} aside: {error.strerror}; move it away yourself, "
                f"its rows are computed again"
            ) from error
        logger.warning("set aside as %s: %s", aside.name, reason)

    def _locate(self) -> None:
        """Build the sorted table digest → (shard, row) of the clean views."""
        keys, shards, rows = [np.empty(0, "S32")], [np.empty(0, int)], [np.empty(0, int)]
        for number, index in enumerate(self._shards):
            clean = np.flatnonzero(index.views == 0)
            keys.append(_keys(index.digests)[clean])
            shards.append(np.full(len(clean), number))
            rows.append(clean)
        table, first = np.unique(np.concatenate(keys), return_index=True)
        self._table = table
        self._shard_of = np.concatenate(shards)[first]
        self._row_of = np.concatenate(rows)[first]

    def __len__(self) -> int:
        """Return the number of distinct pictures that are cached."""
        return len(self._table)

    def __contains__(self, digest: bytes) -> bool:
        return bool(self.has(np.frombuffer(digest, np.uint8)[None])[0])

    def has(self, digests: np.ndarray) -> np.ndarray:
        """Return which of ``digests`` (n, 32) are cached: (n,) bool, same order."""
        return self._positions(digests) >= 0

    def _positions(self, digests: np.ndarray) -> np.ndarray:
        keys = _keys(digests)
        if not len(self._table):
            return np.full(len(keys), -1)
        found = np.minimum(np.searchsorted(self._table, keys), len(self._table) - 1)
        return np.where(self._table[found] == keys, found, -1)

    def engines(self) -> dict[str, int]:
        """Return how many rows each engine computed (provenance, not part of the key)."""
        counts: dict[str, int] = {}
        for index in self._shards:
            counts[index.engine] = counts.get(index.engine, 0) + len(index.digests)
        return counts

    def read(self, cut: Cut, digests: np.ndarray) -> np.ndarray:
        """Read one cut's features of ``digests`` (n, 32): (n, d) or (n, h, w, c), same order.

        Raises:
            StoreError: Some of them are not cached.
            DamagedShardError: A checksum does not hold.
        """
        positions = self._positions(digests)
        if (missing := int(np.sum(positions < 0))) or not len(positions):
            raise StoreError(
                f"expected features of all {len(digests)} pictures in {self.folder}, "
                f"{missing} are missing: run `pipeline features` first, or again where pictures "
                f"changed meanwhile"
            )
        return self._gather(cut, self._shard_of[positions], self._row_of[positions])

    def _gather(self, cut: Cut, shards: np.ndarray, rows: np.ndarray) -> np.ndarray:
        features: np.ndarray | None = None
        for number in np.unique(shards):
            where = np.flatnonzero(shards == number)
            index = self._shards[number]
            part = self._read_rows(index, cut, rows[where])
            if features is None:
                features = np.empty((len(rows), *part.shape[1:]), part.dtype)
            features[where] = part
        assert features is not None
        return features

    def _read_rows(self, index: ShardIndex, cut: Cut, rows: np.ndarray) -> np.ndarray:
        """Read rows; a shard that turns out damaged is out of the way before the error is told."""
        try:
            return read_rows(index.path, index.recipe, cut, rows)
        except DamagedShardError as error:
            self.set_aside(index.path, error)
            raise

    def writer(self, engine: str, versions: Mapping[str, str]) -> "ShardWriter":
        """Return a context manager that takes rows and publishes shards."""
        return ShardWriter(self.folder, self.recipe, engine, versions)

    def quarantine(self, reasons: Mapping[str, str]) -> None:
        """Remember pictures that cannot be decoded: ``{digest in hex: reason}``."""
        if reasons:
            prepare_folder(self.folder, self.recipe)
            write_json(self.folder / f"quarantine-{uuid.uuid4().hex}.json", dict(reasons))
            self.quarantined.update(reasons)


def _keys(digests: np.ndarray) -> np.ndarray:
    """View (n, 32) uint8 as n strings of 32 bytes, which numpy sorts and searches quickly."""
    return np.ascontiguousarray(digests, np.uint8).view("S32").ravel()


def read_recipe(path: Path) -> Recipe:
    """Read a ``recipe.json``.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        StoreError: It is not a recipe.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        check_version(path, int(value.pop("format_version")))
        value.pop("format")
        return Recipe.from_dict(value)
    except (KeyError, TypeError, ValueError, OSError, AttributeError) as error:
        raise StoreError(
            f"expected a recipe in {path}, received {type(error).__name__}: {error}; "
            f"move that folder out of the cache"
        ) from error


def covering_folders(root: Path, recipe: Recipe) -> list[Path]:
    """Return the folders under ``root`` whose recipe covers ``recipe``, the exact one first."""
    exact = root / recipe.id
    found = [path.parent for path in sorted(root.glob("*/recipe.json"))]
    covering = [folder for folder in found if read_recipe(folder / "recipe.json").covers(recipe)]
    return sorted(covering, key=lambda folder: folder != exact)


def read_quarantine(folders: Iterable[Path]) -> dict[str, str]:
    """Return ``{digest in hex: reason}`` of every picture known not to decode."""
    reasons: dict[str, str] = {}
    for folder in folders:
        for path in sorted(folder.glob("quarantine-*.json")):
            try:
                reasons.update(json.loads(path.read_text("utf-8")))
            except (OSError, ValueError) as error:
                raise StoreError(
                    f"expected JSON in {path}, received {error}; move that file away, its "
                    f"pictures are tried again"
                ) from error
    return reasons
