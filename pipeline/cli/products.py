"""What a run is good for: labelling pictures, one file to take along."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, FLAT, SWITCH, Output, command
from pipeline.config import EvidenceConfig, ExportConfig, PredictConfig
from pipeline.system.files import expanded


@FLAT
@dataclass(frozen=True, kw_only=True)
class PredictFlags(PredictConfig):
    """Settings of labelling."""

    overwrite: Annotated[bool, SWITCH] = PredictConfig.overwrite


@command(
    "pipeline predict best ~/new-pictures",
    "pipeline predict best ~/new-pictures --csv labels.csv",
    "pipeline predict imagenet:EfficientNetLite0 photo.jpg",
)
def predict(
    run: str,
    paths: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    config: PredictFlags = PredictFlags(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Label pictures with a run, or with imagenet:BACKBONE.

    Args:
        run: Name or folder of a run, best, or for example imagenet:EfficientNetLite0.
        paths: Picture files, folders, and .zip or .tar files of pictures.
    """
    from pipeline.predict.predict import predict as label

    keep = output.json or config.csv is None
    pictures = [expanded(path) for path in paths]
    predictions = label(config, run, pictures, output.reporter, keep=keep)
    show.result(predictions.to_dict(), output.json, show.predictions)


@command(
    "pipeline evidence best photo.jpg --out maps",
    "pipeline evidence best ~/new-pictures --out maps --against cats",
)
def evidence(
    run: str,
    paths: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    out: Path,
    config: Annotated[EvidenceConfig, FLAT] = EvidenceConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Show where in pictures a run's answers come from: a map for each, and a page of them.

    Args:
        run: Name or folder of a run, or best.
        paths: Picture files, folders, and .zip or .tar files of pictures.
        out: Folder to write; it must be new or empty.
    """
    from pipeline.evidence.sheet import write_maps

    pictures = [expanded(path) for path in paths]
    written = write_maps(config, run, pictures, expanded(out), output.reporter)
    show.result(written.to_dict(), output.json, show.evidence)


@FLAT
@dataclass(frozen=True, kw_only=True)
class ExportFlags(ExportConfig):
    """Settings of the one model."""

    evidence: Annotated[bool, SWITCH] = ExportConfig.evidence
    overwrite: Annotated[bool, SWITCH] = ExportConfig.overwrite


@command(
    "pipeline export best model.keras",
    "pipeline export best model.onnx --overwrite",
    "pipeline export best model.keras --evidence",
)
def export(
    run: str,
    out: Path,
    /,
    *,
    config: ExportFlags = ExportFlags(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write a run as one model: RGB pictures of 0 to 255 in, class probabilities out.

    Args:
        run: Name or folder of a run, or best; its head must be linear or dense, or it fine-tuned.
        out: File that ends in .keras, .onnx or .tflite, or a folder for OpenVINO.
    """
    from pipeline.predict.export.export import export as write

    exported = write(config, run, expanded(out))
    show.result(exported.to_dict(), output.json, show.exported_model)
