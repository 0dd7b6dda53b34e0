"""The recipe folders of a cache: which there are, and which hold features of a recipe.

Beside the shards each keeps the quarantine: pictures that cannot be decoded, with the reason.
"""

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.features.store.keys import DIGEST_BYTES
from pipeline.features.store.recipe import Recipe
from pipeline.features.store.shard import FORMAT, FORMAT_VERSION, check_version
from pipeline.images.sniff import is_settled
from pipeline.system.files import OnDamage, fsync, matching, read_file, unreadable, write_json

logger = logging.getLogger(__name__)

RECIPE_NAME = "recipe.json"

SHARDS = "shard-*.h5"

MOST_RECIPE_BYTES, MOST_QUARANTINE_BYTES = 1 << 20, 1 << 27
"""A recipe of a thousand cuts, and the reasons of a million pictures."""


def prepare_folder(folder: Path, recipe: Recipe) -> None:
    """Make the recipe's folder and its ``recipe.json``; raises StoreError if it cannot."""
    path = folder / RECIPE_NAME
    if not path.exists():
        write_json(path, recipe_value(recipe))
        fsync(folder.parent)  # else a crash of the machine could forget the new folder


def recipe_value(recipe: Recipe) -> dict[str, Any]:
    """Return what a ``recipe.json`` says."""
    return {"format": FORMAT, "format_version": FORMAT_VERSION, **recipe.to_dict()}


def read_recipe(path: Path) -> Recipe:
    """Read a ``recipe.json``.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        DamagedShardError: It is not a recipe.
        StoreError: It may not be read, or is gone.
    """
    try:
        return parse_recipe(read_file(path, MOST_RECIPE_BYTES), path)
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise _no_recipe(path, error) from error


def parse_recipe(data: bytes, path: Path | str) -> Recipe:
    """Make a recipe of the bytes of a ``recipe.json`` somewhere; raises as `read_recipe` does."""
    try:
        value = json.loads(data.decode("utf-8"))
        check_version(path, int(value.pop("format_version")))
        value.pop("format")
        return Recipe.from_dict(value)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _no_recipe(path, error) from error


def _no_recipe(path: Path | str, error: Exception) -> DamagedShardError:
    return DamagedShardError(
        f"expected a recipe in {path}, received {type(error).__name__}: {error}; "
        f"run `pipeline verify`, it mends that"
    )


def folders_of(root: Path) -> list[Path]:
    """Return every folder of a cache with a recipe, sorted by name; whose name may be another's."""
    return [path.parent for path in matching(root, f"*/{RECIPE_NAME}")]


def covering_folders(
    root: Path, recipe: Recipe, on_damage: OnDamage
) -> Iterator[tuple[Path, Recipe]]:
    """Yield the folders under ``root`` whose recipe covers ``recipe``, the exact one first.

    The exact folder is known by its name, so that its shards serve even where its ``recipe.json``
    is lost; every shard says itself what it was made with. A folder under another name than its
    recipe's, a copy or what was set aside, is a stray and never read.

    Raises:
        NewerFormatError: A newer version of this program wrote the exact one.
        StoreError: One of them may not be read.
    """
    exact = root / recipe.id
    if exact.is_dir():
        _read_in(exact, on_damage, expected=recipe)
        yield exact, recipe
    for folder in folders_of(root):
        found = None if folder == exact else _read_in(folder, on_damage)
        if found is not None and found.id == folder.name and found.covers(recipe):
            yield folder, found


def holds(root: Path, recipe: Recipe) -> bool:
    """Return whether there is a folder for a recipe; what is damaged there shows when it is read.

    Raises:
        NewerFormatError: A newer version of this program wrote the exact one.
        StoreError: One of them may not be read.
    """
    return next(covering_folders(root, recipe, lambda *_: None), None) is not None


def _read_in(folder: Path, on_damage: OnDamage, expected: Recipe | None = None) -> Recipe | None:
    """Read a folder's recipe; None where there is none, or none any more."""
    path = folder / RECIPE_NAME
    try:
        recipe = read_recipe(path)
        if expected is not None and recipe.digest != expected.digest:
            raise DamagedShardError(
                f"expected the recipe of {folder.name} in {path}, received that of {recipe.id}; "
                f"run `pipeline verify`, it mends that"
            )
        return recipe
    except DamagedShardError as error:
        on_damage(path, error)
    except NewerFormatError as error:
        if expected is not None:
            raise
        logger.info("not looked into: %s", error)
    except StoreError:
        if path.exists():
            raise
    return None


QUARANTINES = "quarantine-*.json"


def write_quarantine(folder: Path, reasons: Mapping[str, str]) -> None:
    """Write ``{digest in hex: reason}`` as one more file of a recipe folder."""
    write_json(folder / f"quarantine-{uuid.uuid4().hex}.json", dict(reasons))


def read_quarantine(path: Path) -> dict[str, str]:
    """Read one quarantine file: ``{digest in hex: reason}``.

    Raises:
        DamagedShardError: It holds something else.
        StoreError: It may not be read, or is gone.
    """
    try:
        value = json.loads(read_file(path, MOST_QUARANTINE_BYTES).decode("utf-8"))
        if not all(len(bytes.fromhex(digest)) == DIGEST_BYTES for digest in value):
            raise ValueError("keys that are no SHA-256")
        return {digest: str(reason) for digest, reason in value.items()}
    except (OSError, MemoryError) as error:
        raise unreadable(path, error) from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DamagedShardError(
            f"expected JSON of digests and reasons in {path}, received {error}; move that file "
            f"away, its pictures are tried again"
        ) from error


def read_quarantines(folder: Path, on_damage: OnDamage) -> dict[str, str]:
    """Return ``{digest in hex: reason}`` of every picture that a folder knows not to decode.

    What an earlier version could not read, and this one may, is not among them.
    """
    reasons: dict[str, str] = {}
    for path in matching(folder, QUARANTINES):
        try:
            found = read_quarantine(path).items()
        except DamagedShardError as error:
            on_damage(path, error)
        else:
            reasons.update(entry for entry in found if is_settled(entry[1]))
    return reasons


@contextmanager
def one_at_a_time(cache: Path, recipe_id: str) -> Iterator[None]:
    """Wait until nobody else computes this recipe, in this process or another of this machine.

    Only a courtesy: the cache is safe without it, but two would compute the same pictures. Where
    the system or the file system has no such locks, nobody waits.

    Raises:
        StoreError: The folder cannot be written.
    """
    folder = cache / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / f"{recipe_id[-12:]}.lock", "ab")  # noqa: SIM115
    except OSError as error:
        raise StoreError(
            f"cannot write {folder}: {error.strerror or error}; name another cache folder or make "
            f"this one writable"
        ) from error
    with file:  # closing it ends the lock, and so does any end of the process
        with suppress(ImportError, OSError):  # Windows, or a network file system without locks
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
