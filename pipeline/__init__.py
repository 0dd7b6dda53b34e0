"""Staged transfer learning for pictures: features once, classifiers often, fine-tuning last.

The names below are the whole Python API; each is imported when it is first asked for, so that
``import pipeline`` costs nothing and what needs no TensorFlow never pays for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api.features import extract_features, open_features
    from pipeline.api.runs import load_run
    from pipeline.api.training import fine_tune, train_classifier
    from pipeline.api.transformer import FrozenFeatures

__all__ = [
    "FrozenFeatures",
    "extract_features",
    "fine_tune",
    "load_run",
    "open_features",
    "train_classifier",
]

_HOMES = {
    "FrozenFeatures": "pipeline.api.transformer",
    "extract_features": "pipeline.api.features",
    "fine_tune": "pipeline.api.training",
    "load_run": "pipeline.api.runs",
    "open_features": "pipeline.api.features",
    "train_classifier": "pipeline.api.training",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names whether they were asked for or not."""
    return sorted({*globals(), *__all__})
