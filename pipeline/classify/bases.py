"""Several bases in one question: which are asked for, and what is known of each in the end."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.backbones.available import named_bases
from pipeline.backbones.given_files import looks_given
from pipeline.config import ClassifyConfig
from pipeline.errors import InputError
from pipeline.features.base import FrozenBase, resolve
from pipeline.features.quantised import settled
from pipeline.images import Dataset

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contender:
    """A base that is compared with others: its settings, and what they stand for."""

    config: ClassifyConfig
    base: FrozenBase

    @property
    def clean(self) -> ClassifyConfig:
        """Its settings without augmented views: bases are compared on the pictures as they are."""
        return replace(self.config, views=0, test_views=0)

    def settled(self, dataset: Dataset) -> "Contender":
        """Return it with all that decides its numbers, for pictures; see `quantised.settled`."""
        return replace(self, base=settled(self.config, self.base, dataset))

    def row(self) -> "BaseRow":
        """Return what is known of it before anything is computed."""
        spec = self.base.spec  # the catalog counts values at default arguments alone
        n_parameters = None if spec.arguments else spec.backbone.n_parameters
        weights = str(self.base.to_dict()["weights"])
        return BaseRow(self.base.recipe.named(weights), self.base.weights, n_parameters)


def contenders(config: ClassifyConfig) -> list[Contender]:
    """Find the bases that a config names, each in every precision that it names; one, mostly.

    Raises:
        InputError: Two of them are the same, or one cannot be used as asked.
        WeightsError: The weights of one are not there.
    """
    found = named_bases(config.backbone, config.weights, config.models)
    if found.note:
        logger.info("%s", found.note)
    precisions = [one.strip() for one in config.precision.split(",")]
    for name in ("sample", "budget"):
        if len(found.bases) * len(precisions) == 1 and getattr(config, name) is not None:
            raise InputError(
                f"expected several bases for --{name}, received backbone={config.backbone}: name "
                f"more with commas, or leave --{name} out"
            )
    alone = replace(config, models=None, sample=None, budget=None)
    several = len(found.bases) > 1
    own = [
        replace(
            alone,
            backbone=one.backbone,
            weights=one.weights,
            # Those of the catalog bring theirs.
            preprocessing=None
            if several and not looks_given(one.backbone)
            else alone.preprocessing,
            precision=precision,
        )
        for one in found.bases
        for precision in precisions
    ]
    bases = [Contender(one, resolve(one)) for one in own]
    recipes = [one.base.recipe.digest for one in bases]
    for place, one in enumerate(bases):
        if recipes[place] in recipes[:place]:
            raise InputError(f"expected bases that differ, received {one.base.recipe.base} twice")
    return bases


@dataclass
class BaseRow:
    """One of the bases that were compared.

    Args:
        backbone: Its name.
        weights: Where its weights come from.
        n_parameters: Values without the top; None where the catalog does not say.
        images_per_second: From files to features on this machine; None where that was not seen.
        bytes_per_image: Of its features.
        sample_accuracy: Of ridge regression on the pictures on which all bases were judged.
        sample_ci95: Its 95 % interval.
        sample: Pictures a class on which all bases were judged.
        accuracy: Selection accuracy of its best head on all pictures; None where it was dropped.
        ci95: Its 95 % interval.
        dropped: When and why it was; None for those that went through all pictures.
        chosen: Whether the best run is one of this base.
        difference: What its best run's test accuracy is to the chosen one's on the same pictures,
            as the leaderboard says it; None for the chosen one, and those that were dropped.
        pareto: Whether no other base is both as accurate and as fast, on the pictures of all.
    """

    backbone: str
    weights: str
    n_parameters: int | None
    images_per_second: float | None = None
    bytes_per_image: int | None = None
    sample_accuracy: float | None = None
    sample_ci95: tuple[float, float] | None = None
    sample: int | None = None
    accuracy: float | None = None
    ci95: tuple[float, float] | None = None
    dropped: str | None = None
    chosen: bool = False
    pareto: bool = False
    difference: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return its row of ``bases.json`` and of ``bases`` in the ``--json`` value."""
        return asdict(self)


def mark_pareto(rows: Sequence[BaseRow]) -> None:
    """Mark the bases of which no other is at least as accurate and as fast, and more of one."""
    known = [row for row in rows if row.sample_accuracy is not None and row.images_per_second]
    points = {id(row): (row.sample_accuracy or 0.0, row.images_per_second or 0.0) for row in known}
    for row in known:
        mine = points[id(row)]
        others = (points[id(one)] for one in known)
        row.pareto = not any(
            one != mine and one[0] >= mine[0] and one[1] >= mine[1] for one in others
        )


@dataclass(frozen=True)
class ChosenBase:
    """Says to an experiment that its base is one of several.

    Args:
        bases: What the others are: backbone and digest of the weights, in their order.
        optimism: What being the best of them adds to a figure.
    """

    bases: tuple[tuple[str, str], ...]
    optimism: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, which are part of what an experiment is."""
        return {"bases": [list(base) for base in self.bases], "optimism": round(self.optimism, 6)}
