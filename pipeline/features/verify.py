"""Checking the cache: every shard, every quarantine, every converted model, byte by byte.

Models that all caches of this user share are checked with any of them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.backbones.engines.kept import FILES, models_cache, read_kept
from pipeline.config import MODELS
from pipeline.errors import InputError
from pipeline.features.store.check import FolderCheck, put_aside, recipe_folders, stray_reason
from pipeline.features.store.folders import SHARDS
from pipeline.system.files import DAMAGED_PREFIX, matching
from pipeline.system.leftovers import remove_leftovers
from pipeline.system.progress import SILENT, Reporter


@dataclass
class Verification:
    """What is in a cache.

    Args:
        shards: Sound shards.
        rows: Rows in them.
        bytes: Their size on disk.
        bad: What is damaged: ``[{"path", "reason", "set_aside"}]``, the last being where it was
            moved to, or None where that could not be done.
        newer: What a newer version of this program wrote, which is left alone, in the same form.
        strays: Folders without the name of their recipe, which nothing reads, in the same form.
        mended: Files that were written again.
        models: Sound converted models.
        recipes: ``[{"id", "rows", "bytes"}]``, sound shards by recipe folder.
        leftovers_removed: Temporary files of killed processes that were removed.
    """

    shards: int = 0
    rows: int = 0
    bytes: int = 0
    bad: list[dict[str, Any]] = field(default_factory=list)
    newer: list[dict[str, Any]] = field(default_factory=list)
    strays: list[dict[str, Any]] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    models: int = 0
    recipes: list[dict[str, Any]] = field(default_factory=list)
    leftovers_removed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return dict(vars(self))


def verify(cache_root: Path, reporter: Reporter = SILENT) -> Verification:
    """Read everything in a cache, set aside what is damaged, clear away what was never finished.

    Nothing is deleted but temporary files of this program that are older than an hour. What is set
    aside is computed again when it is next needed. Memory stays small however large the cache is.

    Raises:
        InputError: There is no such folder, or nothing to check in it.
        StoreError: Something cannot be read for reasons that are not the file's: a disk that fails,
            no memory. Nothing is called damaged for that.
    """
    if not cache_root.is_dir():
        raise InputError(
            f"expected the folder of a feature cache, received cache={cache_root}, which is not "
            f"there; `pipeline features DATA` makes one, --cache names another"
        )
    found, own = recipe_folders(cache_root), _model_folders(cache_root / MODELS)
    machine = models_cache()
    models = [*own, *(_model_folders(machine) if machine else ())]
    strays = {folder: reason for folder in found if (reason := stray_reason(folder))}
    folders = [folder for folder in found if folder not in strays]
    meter = _Meter(
        [*(path for f in folders for path in matching(f, SHARDS)), *_files(models)], reporter
    )
    result = Verification(
        strays=[{"path": str(path), "reason": reason} for path, reason in strays.items()]
    )
    for folder in folders:
        _verify_recipe(folder, meter, result)
    for folder in models:
        _verify_model(folder, meter, result)
    within = (path for path in matching(cache_root, "*") if path.is_dir())
    cleared = {cache_root, *within, *models, *([machine] if machine else ())}
    result.leftovers_removed = sum(map(remove_leftovers, cleared))
    if not (found or own or result.leftovers_removed):
        raise InputError(
            f"expected features in cache={cache_root}, received a folder without any; `pipeline "
            f"features DATA` makes some, --cache names another"
        )
    return result


class _Meter:
    """Adds up what was read, file by file; a file that was done counts as a whole."""

    def __init__(self, paths: list[Path], reporter: Reporter) -> None:
        self._sizes = {path: path.stat().st_size for path in paths if path.exists()}
        self._read: dict[Path, int] = {}
        self._total, self._done = sum(self._sizes.values()), 0
        self._reporter = reporter

    def add(self, path: Path, n_bytes: int) -> None:
        before = self._read.get(path, 0)
        after = self._read[path] = min(before + n_bytes, self.size(path))
        self._done += after - before
        self._reporter.advance("verify", self._done, self._total, "bytes")

    def size(self, path: Path) -> int:
        return self._sizes.get(path, 0)

    def finish(self, path: Path) -> None:
        self.add(path, self.size(path))


def _verify_recipe(folder: Path, meter: _Meter, result: Verification) -> None:
    paths = matching(folder, SHARDS)
    check = FolderCheck(folder)
    for path, n_bytes in check.read():
        meter.add(path, n_bytes)
    for path in paths:
        meter.finish(path)
    rows = sum(shard.n_rows for shard in check.shards)
    size = sum(meter.size(shard.path) for shard in check.shards)
    result.recipes.append({"id": folder.name, "rows": rows, "bytes": size})
    result.shards += len(check.shards)
    result.rows += rows
    result.bytes += size
    result.bad += check.bad
    result.newer += check.newer
    result.mended += check.mended


def _model_folders(models: Path) -> list[Path]:
    found = [path for path in matching(models, "*") if path.is_dir()]
    return [path for path in found if not path.name.startswith((".", DAMAGED_PREFIX))]


def _files(models: list[Path]) -> list[Path]:
    return [path for folder in models for path in matching(folder, "*") if path.is_file()]


def _verify_model(folder: Path, meter: _Meter, result: Verification) -> None:
    files = _files([folder])
    reason = _damage_of(folder)
    for path in files:
        meter.finish(path)
    if reason is not None:
        result.bad.append(put_aside(folder, reason))
    elif (folder / FILES[0]).is_file():  # else it only remembers that a model was refused
        result.models += 1


def _damage_of(folder: Path) -> str | None:
    """Return what is wrong with a converted model; None if its files are what they were."""
    try:
        kept = read_kept(folder)
    except ValueError as error:
        return f"expected a converted model in {folder}, received {error}"
    reason = None if kept is None else kept.damage()
    return reason and f"expected {folder} as it was written: {reason}"
