"""Bases as OpenVINO's models, made by Keras in a process of its own, without TensorFlow or JAX.

What Keras runs on is settled once a process, and this one may need another for learning. The other
process imports Keras on OpenVINO, without what that needs for plots and data, builds the base,
writes its graph, and ends; its memory goes with it.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.catalog import parse_backbone
from pipeline.backbones.cuts import Cut
from pipeline.backbones.weights import WeightsSource
from pipeline.errors import WeightsError
from pipeline.system.startup import import_keras_to_build, import_openvino

logger = logging.getLogger(__name__)

_FILE = "model.xml"
_WRONG_WEIGHTS = 3


def made_apart(
    spec: BackboneSpec,
    source: WeightsSource,
    image_size: int,
    cuts: Sequence[Cut],
    outputs: Sequence[str],
) -> Any:
    """Let another process build a base and write its graph; None where it cannot.

    Args:
        spec: A base of the catalog.
        source: Its weights, in a file: random ones depend on what Keras runs on.
        image_size: Side of the pictures.
        cuts: Where features are taken.
        outputs: What each is called.

    Returns:
        OpenVINO's model with the input ``images`` (n, size, size, 3) uint8, compared with nothing.

    Raises:
        WeightsError: The weights do not fit.
    """
    if not sys.executable or getattr(sys, "frozen", False):  # inside another program
        return None
    start = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        asked = {
            "backbone": str(spec),
            "weights": str(source.path),
            "image_size": image_size,
            "cuts": [[cut.layer, cut.pooling] for cut in cuts],
            "outputs": list(outputs),
            "path": str(Path(folder, _FILE)),
        }
        command, text = [sys.executable, "-c", start], json.dumps(asked).encode()
        done = subprocess.run(command, input=text, capture_output=True, check=False)
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode == _WRONG_WEIGHTS:
            raise WeightsError(said.splitlines()[-1])
        if done.returncode:
            logger.debug("another process cannot make %s: %s", spec, said[-300:])
            return None
        core = import_openvino().Core()
        core.set_property({"ENABLE_MMAP": False})  # the files go
        return core.read_model(asked["path"])


def main() -> None:
    """Make what the process that started this one asks for."""
    import_keras_to_build()
    from pipeline.backbones.build import build_extractor
    from pipeline.backbones.keras_graph import graph_of

    asked = json.load(sys.stdin)
    source = WeightsSource("file", Path(asked["weights"]), "")
    cuts = [Cut(layer, pooling) for layer, pooling in asked["cuts"]]
    try:
        base = parse_backbone(asked["backbone"])
        graph = graph_of(build_extractor(base, source, asked["image_size"], cuts), asked["outputs"])
    except WeightsError as error:
        sys.stderr.write(f"\n{error}")
        sys.exit(_WRONG_WEIGHTS)
    import_openvino().save_model(graph, asked["path"], compress_to_fp16=False)
