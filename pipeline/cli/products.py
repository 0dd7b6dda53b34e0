"""What a run is good for: labelling pictures, one file to take along."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.cli import show
from pipeline.cli.app import DEFAULT_OUTPUT, Output, command
from pipeline.config import ExportConfig, PredictConfig


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
    config: PredictConfig = PredictConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Label pictures with a run, or with imagenet:BACKBONE.

    Args:
        run: Name or folder of a run, best, or for example imagenet:EfficientNetLite0.
        paths: Picture files, folders, and .zip or .tar files of pictures.
    """
    from pipeline.api.progress import Relay
    from pipeline.predict.predict import predict as label

    keep = output.json or config.csv is None
    with show.progress("predict", "pictures", output.silent) as progress:
        pictures = [path.expanduser() for path in paths]
        predictions = label(config, run, pictures, Relay(progress), keep=keep)
    show.result(predictions.to_dict(), output.json, show.predictions)


@command(
    "pipeline export best model.keras",
    "pipeline export best model.onnx --overwrite",
)
def export(
    run: str,
    out: Path,
    /,
    *,
    config: ExportConfig = ExportConfig(),
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Write a run as one model: RGB pictures of 0 to 255 in, class probabilities out.

    Args:
        run: Name or folder of a run, or best; its head must be linear or dense, or it fine-tuned.
        out: File that ends in .keras, .onnx or .tflite, or a folder for OpenVINO.
    """
    from pipeline.predict.export.export import export as write

    exported = write(config, run, out.expanduser())
    show.result(exported.to_dict(), output.json, show.exported_model)
