"""What of a run and of the flags decides the examples of a fine-tuning. Imports no TensorFlow."""

from dataclasses import dataclass, replace
from typing import Any

from pipeline.config import FeaturesConfig, FinetuneConfig
from pipeline.errors import InputError
from pipeline.features.base import FrozenBase
from pipeline.features.store.remote_folder import RemoteFolder
from pipeline.heads import HeadSpec
from pipeline.heads.class_weights import BALANCED
from pipeline.images import ViewRecipe
from pipeline.runs import RunFolder

TAIL, FROZEN, FULL = "tail", "frozen", "full"
ALL, AUTO, NONE = "all", "auto", "none"
USUAL_CHANGES = "shift,rotate,zoom"


@dataclass(frozen=True)
class Changes:
    """How training pictures are changed.

    Args:
        names: Changes drawn in each step, see `augment`; or none.
        n_views: Seeded augmented views of each picture.
        view: How those are made; None where there are none.
    """

    names: str
    n_views: int
    view: ViewRecipe | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        view = None if self.view is None else self.view.to_dict()
        return {"augment": self.names, "views": self.n_views, "view": view}


def check_asked(config: FinetuneConfig) -> None:
    """Raise what can be said of settings before any picture is read, whatever comes of them.

    Raises:
        InputError: A view policy or a remote cache does not exist, or a log cannot be written.
    """
    if config.view_policy is not None:
        ViewRecipe(config.view_policy, config.seed)
    if config.remote_cache is not None:
        RemoteFolder(config.remote_cache)
    if config.tensorboard is not None and config.tensorboard.is_file():
        raise InputError(
            f"expected a folder for the log, received tensorboard={config.tensorboard}, which is a "
            f"file"
        )


def depth(config: FinetuneConfig) -> str:
    """Return the lowest part that learns: everything, unless that is said or must be cached.

    Measured by `python -m benchmarks worth`: where anything is gained, it is by all layers.
    """
    return ALL if config.unfreeze == AUTO and config.mode == FULL else config.unfreeze


def changes(config: FinetuneConfig, source: RunFolder) -> Changes:
    """Resolve what was left to the run, and what is off beside something else."""
    n_views = config.views
    if n_views is None:
        n_views = source.n_views if config.mode == TAIL else 0
    names = config.augment
    if names == AUTO:
        names = NONE if n_views or config.mode == TAIL else USUAL_CHANGES
    policy = config.view_policy or source.view_policy
    view = ViewRecipe(policy, source.seed) if n_views else None
    return Changes(names, n_views, view)


def stage1_config(config: FinetuneConfig, source: RunFolder, base: FrozenBase) -> FeaturesConfig:
    """Return the settings by which stage 1 computes what the run's head learns from."""
    return FeaturesConfig(
        cache=config.cache,
        remote_cache=config.remote_cache,
        precision=base.precision,
        views=source.n_views,
        view_policy=source.view_policy,
        seed=source.seed,
    )


def maps_config(config: FinetuneConfig, base: FrozenBase, changed: Changes) -> FeaturesConfig:
    """Return the settings by which stage 1 computes the activations that ``tail`` learns from."""
    settings = FeaturesConfig(
        cache=config.cache, remote_cache=config.remote_cache, precision=base.precision
    )
    if (view := changed.view) is None:
        return settings
    return replace(settings, views=changed.n_views, view_policy=view.policy, seed=view.seed)


def class_weight(config: FinetuneConfig, spec: HeadSpec) -> str | None:
    """Return how classes are weighed: ``balanced``, or None for all pictures alike."""
    if config.class_weight == AUTO:
        return BALANCED if spec.class_weight == BALANCED else None
    return None if config.class_weight == NONE else config.class_weight
