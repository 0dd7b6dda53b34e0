"""Where features land: the pictures as they are in one cache, their augmented views in another."""

import importlib.metadata
from contextlib import ExitStack
from typing import Any

import numpy as np

from pipeline.backbones.frozen import FrozenBase
from pipeline.config import FeaturesConfig
from pipeline.images import ViewRecipe
from pipeline.store import FeatureCache
from pipeline.store.writer import ShardWriter

VERSIONED = ("tensorflow", "keras", "openvino", "numpy", "h5py", "pillow")


def versions() -> dict[str, str]:
    """Return the versions of the libraries that touch a feature's value."""
    return {name: importlib.metadata.version(name) for name in VERSIONED}


class Caches:
    """The cache of the pictures as they are, and that of their augmented views."""

    def __init__(self, config: FeaturesConfig, base: FrozenBase) -> None:
        viewed = config.views or config.test_views
        self.view = ViewRecipe(config.view_policy, config.seed) if viewed else None
        self.clean = FeatureCache(config.cache, base.recipe, set_aside_damaged=True)
        self.viewed = None
        if self.view is not None:
            recipe = base.viewed(self.view).recipe
            self.viewed = FeatureCache(config.cache, recipe, set_aside_damaged=True)

    def refresh(self) -> None:
        """Look again at what is there."""
        for cache in (self.clean, self.viewed):
            if cache is not None:
                cache.refresh()


class Writers:
    """Takes rows of any view and gives each to the cache that it belongs to."""

    def __init__(self, caches: Caches, base: FrozenBase, engine: str) -> None:
        self._caches, self._base, self._engine = caches, base, engine
        self._open = ExitStack()

    def __enter__(self) -> "Writers":
        self._clean = self._open.enter_context(self._writer(self._caches.clean))
        if self._caches.viewed is not None:
            self._viewed = self._open.enter_context(self._writer(self._caches.viewed))
        return self

    def __exit__(self, *reason: Any) -> None:
        self._open.__exit__(*reason)

    def _writer(self, cache: FeatureCache) -> ShardWriter:
        return cache.writer(self._engine, versions())

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
