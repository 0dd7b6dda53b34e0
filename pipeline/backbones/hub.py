"""Presets of KerasHub: where one lies, its preprocessing, its network. Imports KerasHub late."""

import importlib
from pathlib import Path
from typing import Any

from pipeline.backbones.preprocessing import scaled
from pipeline.errors import InputError, WeightsError
from pipeline.system.startup import import_keras, installed
from pipeline.system.typed import read_json

PACKAGE = "keras_hub"


def import_hub() -> Any:
    """Import KerasHub.

    Raises:
        InputError: It is not installed, or cannot be imported.
    """
    if not installed(PACKAGE):
        raise InputError(
            "expected KerasHub for this base, which is not installed; run: pip install "
            "'bottleneck-pipeline[hub]'"
        )
    import_keras()
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as error:
        raise InputError(
            f"expected KerasHub for this base, which is installed and cannot be imported "
            f"({str(error)[:200]}); run: pip install 'bottleneck-pipeline[hub]'"
        ) from error


def preset_folder(name: str) -> Path:
    """Return the folder of a preset of a name, which KerasHub fetches where it is not there.

    Raises:
        WeightsError: There is no such preset, or it cannot be had.
    """
    import_hub()
    from keras_hub.src.utils.preset_utils import get_file

    try:
        files = [Path(get_file(name, file)) for file in ("config.json", "model.weights.h5")]
    # Hubs, networks and archives raise as they like.
    except (ValueError, OSError, RuntimeError, LookupError, TypeError) as error:
        raise WeightsError(
            f"expected a preset of KerasHub, received kerashub:{name}, which cannot be had "
            f"({' '.join(str(error).split())[:200]}); give the folder of one with --backbone DIR"
        ) from error
    return files[0].parent


def load_preset(path: Path) -> Any:
    """Load the network of a preset's folder; raises what Keras raises."""
    return import_hub().models.Backbone.from_preset(str(path))


def brought(path: Path) -> str:
    """Return the preprocessing that a preset brings, as recipes say it; empty where it has none."""
    for name in ("image_converter.json", "preprocessor.json"):
        try:
            said = read_json(path / name)
            config = said["config"]
            config = config.get("image_converter", {}).get("config", config)
            if config["scale"] is None and config["offset"] is None:
                return "raw"
            scale, offset = _three(config["scale"], 1.0), _three(config["offset"], 0.0)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
        return scaled(scale, offset)
    return ""


def _three(value: Any, default: float) -> tuple[float, float, float]:
    value = default if value is None else value
    r, g, b = value if isinstance(value, list) else [value] * 3
    return float(r), float(g), float(b)
