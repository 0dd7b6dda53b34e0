"""What the settings of several stages share: their ranges, and how they are checked."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.system.filesystems import without_password

CACHE, RUNS = Path("features"), Path("runs")
N_SEEDS = 1 << 32
DTYPES = ("float32", "float16")
MODELS = "models"
MAX_VIEWS = 1000
CLASS_WEIGHTS = ("none", "balanced")
FINETUNE_MODES = ("full", "tail", "frozen")
CLUSTER = re.compile(
    r"local(:[1-9]\d{0,2})?|(tcp|tls)://([^\s:/\[\]]+|\[[0-9a-fA-F:]+\]):[1-9]\d{0,4}"
)
CLUSTERS = "as local, local:N with N from 1 to 999, or a Dask scheduler such as tcp://host:8786"
TRAINING_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


class HasModels:
    """Settings whose stage runs a frozen base, whose converted models lie in the cache."""

    cache: Path

    @property
    def models(self) -> Path:
        """Folder of the converted models."""
        return self.cache / MODELS


def expand_paths(config: Any) -> None:
    """Let ``~`` mean the home folder, wherever a setting comes from."""
    for name, value in vars(config).items():
        if isinstance(value, Path):
            object.__setattr__(config, name, value.expanduser())


def require(config: Any, name: str, good: bool, expected: str) -> None:
    """Refuse a value that is not good, with what was expected; raises InputError."""
    if not good:
        raise InputError(f"expected {name} {expected}, received {name}={getattr(config, name)}")


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain JSON values, in the order of its fields, without a password."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }
    for name in ("remote_cache", "root"):
        if values.get(name) is not None:
            values[name] = without_password(values[name])
    return values
