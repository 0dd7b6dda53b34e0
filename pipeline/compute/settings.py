"""Settings of stage 1, checked before any picture is read."""

from pipeline.backbones.cuts import Cut
from pipeline.backbones.frozen import FrozenBase, frozen_base
from pipeline.config import FeaturesConfig
from pipeline.engines import check_engine
from pipeline.images import ViewRecipe


def resolve(config: FeaturesConfig) -> tuple[FrozenBase, tuple[tuple[Cut, ...], ...]]:
    """Find the base that a config asks for, and refuse what no base could make good.

    Returns:
        The base with every cut that is needed, and the inputs that heads may use, see
        `frozen_base`.

    Raises:
        InputError: A backbone, layer, pooling, engine, precision or view policy does not exist.
        WeightsError: The weights are not there.
    """
    check_engine(config.engine, config.precision)
    ViewRecipe(config.view_policy, config.seed)
    return frozen_base(config)


def check_layers(config: FeaturesConfig, base: FrozenBase) -> None:
    """Refuse layers that a base has not, before any picture is read.

    Raises:
        UnknownNameError: There is no such layer.
    """
    if not (config.cache / base.recipe.id).is_dir():
        base.check_layers()
