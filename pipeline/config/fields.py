"""What the settings of several stages share: their ranges, and how they are checked."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, without_secrets
from pipeline.system.files import expanded

CACHE, RUNS = Path("features"), Path("runs")
N_SEEDS = 1 << 32
DTYPES = ("float32", "float16")
MODELS = "models"
MAX_VIEWS = 1000
MAX_BATCH = 65536
CLASS_WEIGHTS = ("none", "balanced")
FINETUNE_MODES = ("full", "tail", "frozen")
CLUSTER = re.compile(
    r"local(:[1-9]\d{0,2})?|(tcp|tls)://([^\s:/\[\]]+|\[[0-9a-fA-F:]+\]):[1-9]\d{0,4}"
)
CLUSTERS = "as local, local:N with N from 1 to 999, or a Dask scheduler such as tcp://host:8786"
TRAINING_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


class HasModels:
    """Settings whose stage runs a frozen base, of which models may lie beside the features."""

    cache: Path

    @property
    def converted(self) -> Path:
        """Folder of the models beside the features."""
        return self.cache / MODELS


def expand_paths(config: Any) -> None:
    """Let ``~`` mean the home folder, wherever a setting comes from."""
    for name, value in vars(config).items():
        if isinstance(value, Path):
            object.__setattr__(config, name, expanded(value))


def require(config: Any, name: str, good: bool, expected: str) -> None:
    """Refuse a value that is not good, with what was expected; raises InputError."""
    if not good:
        raise InputError(f"expected {name} {expected}, received {name}={getattr(config, name)}")


def require_batch(config: Any) -> None:
    """Refuse a step of no pictures, or of more than any memory holds; raises InputError."""
    good = config.batch_size is None or 1 <= config.batch_size <= MAX_BATCH
    require(config, "batch_size", good, f"from 1 to {MAX_BATCH}")


def side_of(image_size: object) -> int | None:
    """Return the side of a square, however it is written; None stays None.

    Args:
        image_size: A whole number, a pair of them, or a text such as ``"224x224"``.

    Raises:
        InputError: It is none of these, or no square.

    >>> side_of("224x224"), side_of("224,224"), side_of((224, 224)), side_of("224")
    (224, 224, 224, 224)
    """
    if image_size is None:
        return None
    given = image_size if isinstance(image_size, list | tuple) else [image_size]
    text = "x".join(map(str, given)).strip("()[] ")
    sides = [side.strip() for side in re.split("[x×*,]", text.lower())]
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise InputError(
            f"expected image_size as one side in pixels, such as 224, or as 224x224, received "
            f"image_size={image_size}"
        )
    if int(sides[0]) != int(sides[-1]):
        raise InputError(
            f"expected a square, as every base sees one, received image_size={image_size}: give "
            f"one side, such as {max(map(int, sides))}, and say with resize how other pictures "
            "become squares"
        )
    return int(sides[0])


def seconds_of(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m or 1.5h; 0 where it is none.

    >>> seconds_of("90s"), seconds_of("10m"), seconds_of("1.5h"), seconds_of("soon")
    (90.0, 600.0, 5400.0, 0.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)", text.strip().lower())
    return 0.0 if found is None else float(found[1]) * {"s": 1, "h": 3600}.get(found[2], 60)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain JSON values, in the order of its fields, without a password."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }
    for name in ("remote_cache", "root"):
        if values.get(name) is not None:
            values[name] = without_secrets(values[name])
    return values
