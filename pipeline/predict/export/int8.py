"""Models in int8: which can be, and the pictures that say what values int8 has to cover."""

from pathlib import Path

import numpy as np

from pipeline.backbones.engines.precision import FLOAT32, INT8, is_quantised
from pipeline.backbones.given_files import GRAPHS
from pipeline.config import DataConfig, ExportConfig
from pipeline.errors import InputError, PipelineError
from pipeline.features.quantised import calibrating
from pipeline.images import index
from pipeline.images.own import may_look
from pipeline.predict.export.formats import Format
from pipeline.runs import Bundle, RunFolder
from pipeline.system.startup import import_nncf

FORMATS_OF_INT8 = ("openvino", "tflite")
MOST_CHANGED = 0.05
"""Share of answers that may be others than the run's."""


def check_asked(config: ExportConfig, run: RunFolder, bundle: Bundle, wanted: Format) -> None:
    """Refuse what a run's base, or int8, cannot be in a format; raises InputError."""
    base = bundle.frozen(look=True)
    of_openvino = base.spec.backbone.given in GRAPHS or is_quantised(base.precision)
    if of_openvino and bundle.head is not None and wanted.name != "openvino":
        raise InputError(
            f"expected --format openvino for {run.name}, whose base OpenVINO alone computes, "
            f"received format={wanted.name}; or classify with the network as .keras, in float32"
        )
    if config.evidence and (of_openvino or config.precision == INT8):
        raise InputError(
            f"expected no --evidence for {run.name} in int8, or on a base that OpenVINO alone "
            f"computes; leave it out, and ask `pipeline evidence` for the maps"
        )
    if config.precision not in (None, FLOAT32, INT8):
        raise InputError(
            f"expected precision float32 or int8 of a model, received precision={config.precision}"
        )
    if config.precision == FLOAT32 and is_quantised(base.precision):
        raise InputError(
            f"expected no --precision float32 for {run.name}, whose head learnt from int8; leave "
            f"it out, or classify in float32"
        )
    if config.precision != INT8:
        return
    if wanted.name not in FORMATS_OF_INT8:
        raise InputError(
            f"expected --format {' or '.join(FORMATS_OF_INT8)} for --precision int8, received "
            f"format={wanted.name}; leave --precision out"
        )
    if wanted.name == "openvino":
        import_nncf()


def calibration_pictures(run: RunFolder, bundle: Bundle, cache: Path) -> np.ndarray:
    """Return some of the run's training pictures: (n, s, s, 3) uint8.

    They are looked for where the run says only if a command of this user's has read that place.

    Raises:
        InputError: They are not there.
    """
    root, settings = run.dataset.root, DataConfig(**run.indexing)
    reason = "no command of yours has read that place"
    if all(map(may_look, filter(None, (root, settings.root)))):
        try:
            dataset = index(root, settings, memory=cache / "index", remember=False)
            return calibrating(dataset, bundle.frozen(look=True), run.seed)
        except PipelineError as error:
            reason = str(error)
    raise InputError(
        f"expected the training pictures of {run.name} in {root}, which say what values int8 has "
        f"to cover, received none: {reason}; leave --precision out"
    )
