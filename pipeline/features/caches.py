"""Where features land: the pictures as they are in one cache, their augmented views in another."""

from pathlib import Path

from pipeline.config import FeaturesConfig
from pipeline.features.base import FrozenBase
from pipeline.features.store import FeatureCache, Recipe
from pipeline.features.store.remote import RemoteCache
from pipeline.images import ViewRecipe
from pipeline.system.startup import installed_version

VERSIONED = (
    *("tensorflow", "jax", "torch", "keras", "openvino", "numpy", "h5py", "pillow"),
    *("simplejpeg", "cykooz-resizer"),
)


def versions() -> dict[str, str]:
    """Return the versions of the libraries that touch a feature's value."""
    found = {name: installed_version(name) for name in VERSIONED}
    return {name: version for name, version in found.items() if version is not None}


class Caches:
    """The cache of a base's features of pictures as they are, and that of their augmented views.

    What is damaged is set aside if it is to ``mend``; else it is raised, and stays.
    """

    def __init__(self, config: FeaturesConfig, base: FrozenBase, *, mend: bool = False) -> None:
        self._recipes = wanted_recipes(config, base)
        caches = [
            FeatureCache(config.cache, recipe, set_aside_damaged=mend) for recipe in self._recipes
        ]
        self._caches, self.clean = caches, caches[0]
        self.viewed = caches[1] if len(caches) > 1 else None
        self._root, self._url = config.cache, config.remote_cache
        self._remote: RemoteCache | None = None

    def exchange(self) -> None:
        """Fetch what other machines computed and send what they lack, if there is a remote cache.

        Raises PipelineError if that cannot be used or reached.
        """
        if self._url is None:
            return
        self._remote = RemoteCache(self._url, self._root)
        if self._remote.exchange(self._recipes):
            self.refresh()

    def send(self, path: Path, recipe: Recipe) -> None:
        """Send a finished shard to the remote cache, after `exchange` where there is one."""
        if self._remote is not None:
            self._remote.send(path, recipe)

    def send_missing(self) -> None:
        """Send what the remote cache still lacks of all that was computed, and the quarantine."""
        if self._remote is not None:
            self._remote.send_missing(self._recipes)

    def refresh(self) -> None:
        """Look again at what is there."""
        for cache in self._caches:
            cache.refresh()


def wanted_recipes(config: FeaturesConfig, base: FrozenBase) -> list[Recipe]:
    """Return the recipe of the pictures as they are, and that of their views if any are wanted."""
    view = view_recipe(config)
    return [base.recipe] if view is None else [base.recipe, base.viewed(view).recipe]


def view_recipe(config: FeaturesConfig) -> ViewRecipe | None:
    """Return how the augmented views that a config asks for are made; None if it asks for none."""
    viewed = config.views or config.test_views
    return ViewRecipe(config.view_policy, config.seed) if viewed else None
