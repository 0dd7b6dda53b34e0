"""The three stages."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Data, Output, command
from pipeline.config import ClassifyConfig, FeaturesConfig, FinetuneConfig


@command(
    "pipeline features ~/pictures",
    "pipeline features ~/pictures --backbone MobileNetV2 --layers block_13,top",
    "pipeline features pictures.csv --views 4 --dtype float16",
    "pipeline features ~/unsorted --unlabelled",
)
def features(
    data: Data,
    *,
    unlabelled: Annotated[bool, SWITCH] = False,
    config: Annotated[FeaturesConfig, FLAT] = FeaturesConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Stage 1: run every picture once through the frozen base and cache its features.

    Args:
        unlabelled: Take all pictures as they lie, without labels, whatever folders and tables say.
    """
    from pipeline.api import stages

    extraction = stages.features(data, config, output.reporter, unlabelled=unlabelled)
    show.result(extraction.to_dict(), output.json, show.features)


@command(
    "pipeline classify ~/pictures",
    "pipeline classify ~/pictures --layers best --tune",
    "pipeline classify ~/pictures --heads all --class-weight balanced",
    'pipeline classify ~/pictures --heads "sklearn.svm:NuSVC(nu=0.3)"',
)
def classify(
    data: Data,
    *,
    config: Annotated[ClassifyConfig, FLAT] = ClassifyConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Stage 2: train classifiers on cached features; computes what is missing first."""
    from pipeline.api import stages

    classification, extraction = stages.classified(data, config, output.reporter)
    value = {
        **classification.to_dict(),
        "data": extraction.to_dict(),
        "reading": extraction.reading,
        "corrections": extraction.corrections,
        "failed": extraction.failed,
    }
    show.result(value, output.json, show.classification)


@FLAT
@dataclass(frozen=True, kw_only=True)
class FinetuneFlags(FinetuneConfig):
    """Settings of stage 3."""

    source: Annotated[str, Parameter(name="--from")] = FinetuneConfig.source


@command(
    "pipeline finetune ~/pictures",
    "pipeline finetune ~/pictures --mode tail --unfreeze block6 --epochs 20",
    "pipeline finetune ~/pictures --augment shift,flip,randaugment",
)
def finetune(
    data: Data, *, config: FinetuneFlags = FinetuneFlags(), output: Output = DEFAULT_OUTPUT
) -> None:
    """Stage 3: train the upper part of the base, starting from a run's head."""
    from pipeline.api import stages

    finetuned, extraction = stages.finetuned(data, config, output.reporter)
    value = {
        **finetuned.to_dict(),
        "data": extraction.data(),
        "failed": extraction.failed,
    }
    show.result(value, output.json, show.finetuned)
