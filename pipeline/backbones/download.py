"""Let Keras fetch ImageNet weights that its cache lacks: visibly, and never anything else."""

import contextlib
import sys
import warnings
from pathlib import Path

from pipeline.backbones.backbone import BackboneSpec
from pipeline.errors import WeightsError


def download_imagenet(
    spec: BackboneSpec, path: Path, *, include_top: bool = False, image_size: int | None = None
) -> None:
    """Download one file through the backbone's own constructor.

    The constructor knows the address and the checksum; a list of ours would go stale. Keras
    reports what it downloads; that goes to stderr, as stdout belongs to results.

    Args:
        spec: The backbone.
        path: Where the file is expected afterwards, in Keras' cache.
        include_top: Whether the file with the classifier is wanted.
        image_size: Side of the input, where there is a file per size.

    Raises:
        WeightsError: If there is no such file afterwards.
    """
    import keras

    row = spec.backbone
    size = image_size if image_size in row.training_sizes else row.input_size
    constructor = getattr(keras.applications, row.name)
    reason = "Keras keeps it elsewhere"
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            constructor(
                include_top=include_top,
                weights="imagenet",
                input_shape=(size, size, 3),
                **spec.arguments,
            )
    except Exception as error:
        # Keras raises a bare Exception where a download fails, ValueError where it is corrupt.
        if type(error) not in (Exception, ValueError) and not isinstance(error, OSError):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _missing(spec, path, reason) from error
    if not path.is_file():
        raise _missing(spec, path, reason)


def _missing(spec: BackboneSpec, path: Path, reason: str) -> WeightsError:
    return WeightsError(
        f"ImageNet weights of {spec} are expected in {path}, and downloading them failed "
        f"({reason}); put the file there, or give it with --weights PATH"
    )
