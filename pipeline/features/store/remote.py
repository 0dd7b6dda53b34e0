"""A feature cache that several machines share: what one has computed, the others fetch.

It has the layout of a local cache. Shards and quarantine files have names that nobody else gives,
and never change, so sharing is the union of two sets of files and needs no lock: what is missing
here is fetched, what is missing there is sent. Nothing is ever deleted or replaced, on either side.

Features are read from the local cache only. Nothing that was fetched is believed: it lies under a
temporary name until every byte was checked.
"""

import json
import logging
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.features.store.folders import (
    RECIPE_NAME,
    SHARDS,
    covering_folders,
    parse_recipe,
    prepare_folder,
    read_quarantine,
    recipe_value,
)
from pipeline.features.store.reader import Shard, checked_shard, read_index
from pipeline.features.store.recipe import Recipe
from pipeline.features.store.remote_folder import RemoteFolder
from pipeline.system.files import atomic_path, matching
from pipeline.system.units import counted, size_text

logger = logging.getLogger(__name__)

SHARED = re.compile(r"shard-[\w-]+\.h5|quarantine-[\w-]+\.json")
"""What is fetched and sent, beside the recipe; all else is left alone."""


@dataclass
class _Count:
    """Shards that went one way; quarantine files go along untold."""

    shards: int = 0
    n_bytes: int = 0

    def add(self, name: str, n_bytes: int) -> None:
        if name.startswith("shard-"):
            self.shards += 1
            self.n_bytes += n_bytes

    def __str__(self) -> str:
        return f"{counted(self.shards, 'shard')} ({size_text(self.n_bytes)})"


class RemoteCache:
    """The cache of several machines behind a URL, as seen from one of them.

    Args:
        url: Where it is; see `remote_folder` for what each kind of storage guarantees.
        root: The local cache.

    Raises:
        InputError: The URL cannot be used.
        StoreError: The machine cannot be reached.
    """

    def __init__(self, url: str, root: Path) -> None:
        self._folder, self._root = RemoteFolder(url), root
        self._announced: set[str] = set()
        self._refused: list[str] = []
        self._first: dict[str, Shard | None] = {}
        self._sent = _Count()
        self._warned = False
        self._lock = Lock()

    def exchange(self, recipes: Sequence[Recipe]) -> bool:
        """Fetch what is missing here of some recipes, then send what is missing there.

        A recipe is fetched wholly, with what covers it: which pictures a shard holds is known only
        once it is here.

        Returns:
            Whether anything came.

        Raises:
            StoreError: It cannot be reached, or says something else of one of the recipes. Nothing
                is left half done, and what was fetched stays.
        """
        names = self._folder.sizes()
        if names is None:  # what cannot even be begun is an error now, and not in an hour
            self._announce(recipes[0])
        found = {} if names is None else self._covering(names, recipes)
        came = self._fetch(self._missing(found.values()))
        self.send_missing(recipes)
        return came

    def _covering(self, names: dict[str, int], recipes: Sequence[Recipe]) -> dict[str, Recipe]:
        """Return the remote recipes that serve, by id."""
        found = {}
        for recipe in recipes:
            base = recipe.id.partition("-")[0]  # ids begin with the backbone's name
            for name in sorted(name for name in names if name.startswith(base)):
                other = self._read_recipe(name, recipe)
                if other is not None and other.covers(recipe):
                    found[name] = other
        return found

    def _read_recipe(self, name: str, wanted: Recipe) -> Recipe | None:
        """Read a folder's recipe; None where it is of no use.

        Raises:
            StoreError: It is not the recipe that is wanted, though its folder has that name.
        """
        path = f"{name}/{RECIPE_NAME}"
        data, place = self._folder.read(path), self._folder.place(path)
        if data is None:  # each shard says itself what it was made with
            return wanted if name == wanted.id else None
        try:
            recipe = parse_recipe(data, place)
            if recipe.id != name:
                raise DamagedShardError(f"that of {recipe.id}")
            return recipe
        except (DamagedShardError, NewerFormatError) as error:
            if name == wanted.id:
                raise StoreError(
                    f"expected the recipe of {name} in {place}, received another: "
                    f"{_reason(error)}; remove that file there, shards say themselves what they "
                    f"were made with"
                ) from error
            logger.info("not looked into: %s: %s", place, _reason(error))
            return None

    def _missing(self, recipes: Iterable[Recipe]) -> list[tuple[Recipe, str, int]]:
        """Return the name and the bytes of each file that is there and not here."""
        missing = []
        for recipe in recipes:
            sizes = self._folder.sizes(recipe.id) or {}
            for name in sorted(filter(SHARED.fullmatch, sizes)):
                if not (self._root / recipe.id / name).exists():
                    missing.append((recipe, name, sizes[name]))
        return missing

    def _fetch(self, missing: Sequence[tuple[Recipe, str, int]]) -> bool:
        expected, fetched = _Count(), _Count()
        for _, name, n_bytes in missing:
            expected.add(name, n_bytes)
        if expected.shards:
            logger.info("fetching %s from %s", expected, self._folder.url)
        for recipe, name, _ in missing:
            fetched.add(name, self._fetch_one(recipe, name))
        if fetched.shards:
            logger.info("fetched %s from %s", fetched, self._folder.url)
        if self._refused:
            logger.warning(
                "%s of %s cannot be used, first %s; remove it there, what was in it is computed "
                "again",
                counted(len(self._refused), "file"),
                self._folder.url,
                self._refused[0],
            )
            self._refused.clear()
        return bool(missing)

    def _fetch_one(self, recipe: Recipe, name: str) -> int:
        """Fetch a file and check it before it gets its name; return its bytes."""
        path = f"{recipe.id}/{name}"
        data = self._folder.read(path)
        if data is None:  # gone since it was listed
            return 0
        prepare_folder(self._root / recipe.id, recipe)
        try:
            with atomic_path(self._root / path) as temporary:
                temporary.write_bytes(data)
                self._check_shapes(_check(temporary, name, recipe), recipe)
        except (DamagedShardError, NewerFormatError) as error:
            self._refused.append(f"{self._folder.place(path)}: {_reason(error)}")
            return 0
        return len(data)

    def _check_shapes(self, shard: Shard | None, recipe: Recipe) -> None:
        """Refuse rows of other shapes than those that are here, or came before."""
        if shard is None:
            return
        if recipe.id not in self._first:
            self._first[recipe.id] = _first_shard(self._root / recipe.id)
        first = self._first[recipe.id] = self._first[recipe.id] or shard
        if first.shapes != shard.shapes:
            raise DamagedShardError("its rows have other shapes than those that are here")

    def send(self, path: Path, recipe: Recipe) -> None:
        """Send a shard that was just published here; a failure is told once, and nothing is lost.

        After a failure nothing is tried before `send_missing`: each try may take minutes.
        """
        with self._lock:
            if self._warned:
                return
            try:
                self._publish(recipe, path.name, path.read_bytes())
            except (StoreError, OSError) as error:
                self._warn(error)

    def send_missing(self, recipes: Sequence[Recipe]) -> None:
        """Send what is here and not there of some recipes, and of those that cover them.

        A failure is told, unless one was told before.
        """
        with self._lock:
            try:
                for recipe in recipes:
                    self._send_missing(recipe)
            except StoreError as error:
                self._warn(error)
            if self._sent.shards:
                logger.info("sent %s to %s", self._sent, self._folder.url)
            self._sent = _Count()

    def _send_missing(self, recipe: Recipe) -> None:
        for folder, found in covering_folders(self._root, recipe, _leave):
            names = self._folder.sizes(folder.name) or {}
            here = [path for path in matching(folder, "*") if SHARED.fullmatch(path.name)]
            for path in here:
                data = None if path.name in names else _whole_bytes(path, found)
                if data is not None:
                    self._publish(found, path.name, data)

    def _publish(self, recipe: Recipe, name: str, data: bytes) -> None:
        self._announce(recipe)
        self._folder.publish(f"{recipe.id}/{name}", data)
        self._sent.add(name, len(data))

    def _announce(self, recipe: Recipe) -> None:
        """Let the recipe be there before its first shard."""
        if recipe.id in self._announced:
            return
        path = f"{recipe.id}/{RECIPE_NAME}"
        if RECIPE_NAME not in (self._folder.sizes(recipe.id) or {}):
            self._folder.publish(path, json.dumps(recipe_value(recipe), indent=2).encode())
        self._announced.add(recipe.id)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            logger.warning("%s; what is computed is kept here, the next run sends it", error)
        self._warned = True


def _first_shard(folder: Path) -> Shard | None:
    """Return a shard that is here; None where there is none that can be read."""
    for path in matching(folder, SHARDS):
        with suppress(StoreError):
            return read_index(path).shard
    return None


def _check(path: Path, name: str, recipe: Recipe) -> Shard | None:
    """Read every byte of a file; refuse what is damaged, newer, or of another recipe.

    Returns:
        The shard, if it is one.
    """
    if not name.endswith(".h5"):
        read_quarantine(path)
        return None
    shard = checked_shard(path)
    if shard.recipe.digest != recipe.digest:
        raise DamagedShardError(f"it is of another recipe, {shard.recipe.id}")
    return shard


def _whole_bytes(path: Path, recipe: Recipe) -> bytes | None:
    """Return a file's bytes; None where it is damaged or gone, which the cache itself tells."""
    try:
        _check(path, path.name, recipe)
        return path.read_bytes()
    except (StoreError, OSError):
        return None


def _leave(path: Path, error: Exception) -> None:
    """Leave a damaged recipe of another folder alone: `pipeline verify` mends it."""


def _reason(error: Exception) -> str:
    """Return what was wrong, without the temporary name that it had."""
    behind = error if error.__cause__ is None else error.__cause__
    return " ".join(str(behind).split()).partition(";")[0][:200]
