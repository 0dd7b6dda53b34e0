"""Where features land: the pictures as they are in one cache, their augmented views in another."""

import importlib.metadata
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FeaturesConfig
from pipeline.features.base import FrozenBase
from pipeline.features.store import FeatureCache, Recipe
from pipeline.features.store.remote import RemoteCache
from pipeline.features.store.writer import OnShard, ShardWriter
from pipeline.images import ViewRecipe

VERSIONED = ("tensorflow", "keras", "openvino", "numpy", "h5py", "pillow")


def versions() -> dict[str, str]:
    """Return the versions of the libraries that touch a feature's value."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


class Caches:
    """The cache of the pictures as they are, and that of their augmented views.

    Args:
        config: Where they are, and which views are wanted.
        base: Whose features they hold.
        look: Change nothing: what is damaged is raised, and left where it is.
    """

    def __init__(self, config: FeaturesConfig, base: FrozenBase, *, look: bool = False) -> None:
        self.view = view_recipe(config)
        mend = not look
        self.clean = FeatureCache(config.cache, base.recipe, set_aside_damaged=mend)
        self.viewed = None
        if self.view is not None:
            recipe = base.viewed(self.view).recipe
            self.viewed = FeatureCache(config.cache, recipe, set_aside_damaged=mend)
        self._root, self._url = config.cache, config.remote_cache
        self._remote: RemoteCache | None = None

    def exchange(self) -> None:
        """Fetch what other machines computed and send what they lack, if there is a remote cache.

        Raises:
            PipelineError: The remote cache cannot be used or reached.
        """
        if self._url is None:
            return
        self._remote = RemoteCache(self._url, self._root)
        if self._remote.exchange(self._recipes()):
            self.refresh()

    def send(self, path: Path, recipe: Recipe) -> None:
        """Send a finished shard to the remote cache, after `exchange` where there is one."""
        if self._remote is not None:
            self._remote.send(path, recipe)

    def send_missing(self) -> None:
        """Send what the remote cache still lacks of all that was computed, and the quarantine."""
        if self._remote is not None:
            self._remote.send_missing(self._recipes())

    def _recipes(self) -> list[Recipe]:
        return [cache.recipe for cache in (self.clean, self.viewed) if cache is not None]

    def refresh(self) -> None:
        """Look again at what is there."""
        for cache in (self.clean, self.viewed):
            if cache is not None:
                cache.refresh()


def view_recipe(config: FeaturesConfig) -> ViewRecipe | None:
    """Return how the augmented views that a config asks for are made; None if it asks for none."""
    viewed = config.views or config.test_views
    return ViewRecipe(config.view_policy, config.seed) if viewed else None


class Writers:
    """Takes rows of any view and gives each to the cache that it belongs to.

    Args:
        root: Folder of the feature cache; what is in it is not looked at.
        base: What the features are of.
        view: How augmented views are made; None where there are none.
        engine: What computes.
        on_shard: Told of each finished shard.
    """

    def __init__(
        self,
        root: Path,
        base: FrozenBase,
        view: ViewRecipe | None,
        engine: str,
        on_shard: OnShard | None = None,
    ) -> None:
        self._root, self._base, self._view, self._engine = root, base, view, engine
        self._on_shard = on_shard
        self._open = ExitStack()

    def __enter__(self) -> "Writers":
        self._clean = self._open.enter_context(self._writer(self._base.recipe))
        if self._view is not None:
            recipe = self._base.viewed(self._view).recipe
            self._viewed = self._open.enter_context(self._writer(recipe))
        return self

    def __exit__(self, *reason: Any) -> None:
        self._open.__exit__(*reason)

    def _writer(self, recipe: Recipe) -> ShardWriter:
        folder = self._root / recipe.id
        return ShardWriter(folder, recipe, self._engine, versions(), self._on_shard)

    def add(self, digests: np.ndarray, views: np.ndarray, outputs: tuple[np.ndarray, ...]) -> None:
        """Take rows: digests (k, 32), views (k,), and an array (k, …) per cut, all aligned."""
        cuts, clean = self._base.recipe.cuts, views == 0
        if clean.any():
            rows = [output[clean] for output in outputs]
            self._clean.add(digests[clean], dict(zip(cuts, rows, strict=True)))
        if not clean.all():
            rows = [output[~clean] for output in outputs]
            features = dict(zip(cuts, rows, strict=True))
            self._viewed.add(digests[~clean], features, views[~clean])
