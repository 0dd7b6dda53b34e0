"""Saying what the cache holds of a data set, what it lacks, and what differs from what it holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.errors import DamagedShardError, NewerFormatError
from pipeline.features import cached_views, distinct, left_out_of, undecodable, wanted_views
from pipeline.features.base import FrozenBase
from pipeline.features.caches import wanted_recipes
from pipeline.features.store import FeatureCache, Recipe
from pipeline.features.store.cache import held_by
from pipeline.features.store.folders import RECIPE_NAME, folders_of, read_recipe
from pipeline.images import Dataset
from pipeline.images.leftout import check_some

MAX_PATHS = 20
SHOWN_DIGEST = 12


@dataclass
class Explanation:
    """What the cache holds of a data set, for one recipe.

    Args:
        recipe: Id of the recipe that the settings make.
        images: Pictures that are used: those that are not known to be unusable.
        distinct: Those with different bytes: cached, missing and quarantined ones together.
        cached: Distinct pictures whose features are there.
        missing: Distinct pictures that would have to be computed.
        quarantined: Distinct pictures that are known not to decode.
        served_by: Recipe folders that the cached ones are read from, with their pictures.
        nearest: Where pictures are missing, the other recipe that has most of this data set.
        changed: What differs from it: ``{field: {"cached", "wanted"}}``.
        missing_paths: The first 20 missing pictures.
        views: ``{"recipe", "cached", "missing"}``, augmented views of the distinct pictures, of
            those that are asked for; None where none are.
        unreadable: Other recipes that could not be looked into: ``[{"path", "reason"}]``.
        failed: Pictures that are left out: ``[{"path", "reason"}]``.
        found: Pictures that were found: ``images`` and ``failed`` together.
        older_decoder: Whether the cache was begun with an older version of the decoder than there
            is by now, and goes on with it.
    """

    recipe: str
    images: int
    distinct: int = 0
    cached: int = 0
    missing: int = 0
    quarantined: int = 0
    served_by: dict[str, int] = field(default_factory=dict)
    nearest: str | None = None
    changed: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing_paths: list[str] = field(default_factory=list)
    views: dict[str, Any] | None = None
    unreadable: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    found: int = 0
    older_decoder: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return {**vars(self), "served_by": list(self.served_by)}


def explain(config: FeaturesConfig, base: FrozenBase, dataset: Dataset) -> Explanation:
    """Compare a data set with the cache; nothing is computed, and nothing is changed.

    Raises:
        DamagedShardError: A shard of the wanted recipe is damaged.
        DataError: Not one picture can be used.
        PipelineError: An argument, the weights or the cache cannot be used.
    """
    cache = FeatureCache(config.cache, base.recipe)
    failed = [one.to_dict() for one in left_out_of(dataset, cache)]
    check_some(dataset.location, dataset.n_found, failed)
    rows = distinct(dataset)
    digests = dataset.digests[rows]
    cached = cache.has(digests)
    quarantined = undecodable(cache, digests)
    missing = rows[~cached & ~quarantined]
    result = Explanation(
        recipe=base.recipe.id,
        images=dataset.n_found - len(failed),
        distinct=len(rows),
        cached=int(cached.sum()),
        missing=len(missing),
        quarantined=int(quarantined.sum()),
        served_by=cache.sources(digests),
        missing_paths=[dataset.paths[row] for row in missing[:MAX_PATHS]],
        failed=failed,
        found=dataset.n_found,
        older_decoder=base.decoding != replace(base.decoding, version=0),
    )
    if result.missing:
        _find_nearest(config.cache, base.recipe, digests, result)
    if config.views or config.test_views:
        recipe, decoded = wanted_recipes(config, base)[-1], rows[~quarantined]
        wanted = wanted_views(config, dataset, decoded)
        held = cached_views(config, dataset, decoded, FeatureCache(config.cache, recipe))
        n_cached, n_missing = int((wanted & held).sum()), int((wanted & ~held).sum())
        result.views = {"recipe": recipe.id, "cached": n_cached, "missing": n_missing}
    return result


def _find_nearest(root: Path, wanted: Recipe, digests: np.ndarray, result: Explanation) -> None:
    """Find the recipe with most of these pictures, and of those the one that differs least."""
    best, held = (0, 0), _held_by_folder(root, wanted, digests, result)
    for folder, (recipe, _) in held.items():
        serving = [there for other, there in held.values() if other.covers(recipe)]
        n_cached = int(np.logical_or.reduce(serving).sum())
        changed = changes(recipe, wanted)
        if n_cached and (n_cached, -len(changed)) > best:
            best = (n_cached, -len(changed))
            result.nearest, result.changed = folder.name, changed


def _held_by_folder(
    root: Path, wanted: Recipe, digests: np.ndarray, result: Explanation
) -> dict[Path, tuple[Recipe, np.ndarray]]:
    """Read each folder of another recipe once: which of these pictures its shards hold, (n,)."""
    held = {}
    for folder in folders_of(root):
        try:
            recipe = read_recipe(folder / RECIPE_NAME)
            if recipe.id == folder.name and not recipe.covers(wanted):
                held[folder] = recipe, held_by(folder, recipe, digests)
        except (DamagedShardError, NewerFormatError) as error:
            result.unreadable.append({"path": str(folder), "reason": str(error)})
    return held


def changes(cached: Recipe, wanted: Recipe) -> dict[str, dict[str, Any]]:
    """Return what differs between two recipes, in words: ``{field: {"cached", "wanted"}}``.

    More cuts than are wanted make no difference: they would serve.
    """
    ours, theirs = _in_words(cached), _in_words(wanted)
    if set(wanted.cuts) <= set(cached.cuts):
        ours["cuts"] = theirs["cuts"]
    return {
        name: {"cached": ours.get(name), "wanted": theirs.get(name)}
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    }


def _in_words(recipe: Recipe) -> dict[str, Any]:
    """Return the fields one by one, the parts of a field under names like ``decoding.size``."""
    value: dict[str, Any] = {}
    for name, part in recipe.to_dict().items():
        if isinstance(part, Mapping):
            value.update({f"{name}.{inner}": part[inner] for inner in part})
        else:
            value[name] = part
    value.pop("decoding.size", None)  # the same as image_size
    value["weights"] = f"{recipe.weights[:SHOWN_DIGEST]}…"
    value["cuts"] = sorted(":".join(cut) for cut in recipe.cuts)
    return value
