"""The recipe folders of a cache: which there are, and which hold features of a recipe.

Beside the shards each keeps the quarantine: pictures that cannot be decoded, with the reason.
"""

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.errors import DamagedShardError, NewerFormatError, StoreError
from pipeline.features.store.keys import DIGEST_BYTES
from pipeline.features.store.recipe import Recipe
from pipeline.features.store.shard import FORMAT, FORMAT_VERSION, check_version
from pipeline.images.sniff import is_settled
from pipeline.system.files import OnDamage, fsync, write_json

logger = logging.getLogger(__name__)

RECIPE_NAME = "recipe.json"

SHARDS = "shard-*.h5"


def prepare_folder(folder: Path, recipe: Recipe) -> None:
    """Make the recipe's folder and its ``recipe.json``.

    Raises:
        StoreError: The folder cannot be written or the disk is full.
    """
    path = folder / RECIPE_NAME
    if not path.exists():
        value = {"format": FORMAT, "format_version": FORMAT_VERSION, **recipe.to_dict()}
        write_json(path, value)
        fsync(folder.parent)  # else a crash of the machine could forget the new folder


def read_recipe(path: Path) -> Recipe:
    """Read a ``recipe.json``.

    Raises:
        NewerFormatError: A newer version of this program wrote it.
        DamagedShardError: It is not a recipe.
        StoreError: It may not be read, or is gone.
    """
    try:
        return parse_recipe(path.read_bytes(), path)
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; make it readable, nothing is lost"
        ) from error


def parse_recipe(data: bytes, path: Path | str) -> Recipe:
    """Make a recipe of the bytes of a ``recipe.json``; raises as `read_recipe` does.

    Args:
        data: The bytes.
        path: Where they are from, for the error.
    """
    try:
        value = json.loads(data.decode("utf-8"))
        check_version(path, int(value.pop("format_version")))
        value.pop("format")
        return Recipe.from_dict(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedShardError(
            f"expected a recipe in {path}, received {type(error).__name__}: {error}; "
            f"run `pipeline verify`, it mends that"
        ) from error


def folders_of(root: Path) -> list[Path]:
    """Return every recipe folder of a cache, sorted by name."""
    return sorted(path.parent for path in root.glob(f"*/{RECIPE_NAME}"))


def covering_folders(
    root: Path, recipe: Recipe, on_damage: OnDamage
) -> Iterator[tuple[Path, Recipe]]:
    """Yield the folders under ``root`` whose recipe covers ``recipe``, the exact one first.

    The exact folder is known by its name, so that its shards serve even where its ``recipe.json``
    is lost; every shard says itself what it was made with.

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
        if found is not None and found.covers(recipe):
            yield folder, found


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
        value = json.loads(path.read_text("utf-8"))
        if not all(len(bytes.fromhex(digest)) == DIGEST_BYTES for digest in value):
            raise ValueError("keys that are no SHA-256")
        return {digest: str(reason) for digest, reason in value.items()}
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; make it readable, nothing is lost"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DamagedShardError(
            f"expected JSON of digests and reasons in {path}, received {error}; move that file "
            f"away, its pictures are tried again"
        ) from error


def read_quarantines(folder: Path, on_damage: OnDamage) -> dict[str, str]:
    """Return ``{digest in hex: reason}`` of every picture that a folder knows not to decode.

    Reasons that were good for an earlier version only are left out.
    """
    reasons: dict[str, str] = {}
    for path in sorted(folder.glob(QUARANTINES)):
        try:
            entries = read_quarantine(path).items()
            reasons.update(entry for entry in entries if is_settled(entry[1]))
        except DamagedShardError as error:
            on_damage(path, error)
    return reasons
