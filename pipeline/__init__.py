"""Staged transfer learning for pictures: features once, classifiers often, fine-tuning last.

The names below are the whole Python API; each is imported when it is first asked for, so that
``import pipeline`` costs nothing and what needs no TensorFlow never pays for it.

The commands ``features``, ``classify`` and ``finetune`` are the functions `extract_features`,
`train_classifier` and `fine_tune`: those words are the packages of the stages, and no name can be
both.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.api.features import extract_features, open_features
    from pipeline.api.opened import OpenedFeatures
    from pipeline.api.runs import Run, load_run
    from pipeline.api.training import FineTuned, Trained, TrainedHead, fine_tune, train_classifier
    from pipeline.api.transformer import FrozenFeatures
    from pipeline.errors import (
        ClusterError,
        DamagedShardError,
        DataError,
        DecodeError,
        InputError,
        NewerFormatError,
        PipelineError,
        RunError,
        StoreError,
        UnclearError,
        UnknownNameError,
        WeightsError,
    )
    from pipeline.features.extract import Extraction

__version__ = "0.2.0"

# Every module logs below this name; who imports the package decides what becomes of that.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "ClusterError",
    "DamagedShardError",
    "DataError",
    "DecodeError",
    "Extraction",
    "FineTuned",
    "FrozenFeatures",
    "InputError",
    "NewerFormatError",
    "OpenedFeatures",
    "PipelineError",
    "Run",
    "RunError",
    "StoreError",
    "Trained",
    "TrainedHead",
    "UnclearError",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "extract_features",
    "fine_tune",
    "load_run",
    "open_features",
    "train_classifier",
]

_HOMES = {
    "Extraction": "pipeline.features.extract",
    "FineTuned": "pipeline.api.training",
    "FrozenFeatures": "pipeline.api.transformer",
    "OpenedFeatures": "pipeline.api.opened",
    "Run": "pipeline.api.runs",
    "Trained": "pipeline.api.training",
    "TrainedHead": "pipeline.api.training",
    "extract_features": "pipeline.api.features",
    "fine_tune": "pipeline.api.training",
    "load_run": "pipeline.api.runs",
    "open_features": "pipeline.api.features",
    "train_classifier": "pipeline.api.training",
}


if not TYPE_CHECKING:  # type checkers shall know the names above, and refuse any other

    def __getattr__(name: str) -> Any:
        """Import a public name when it is first asked for; errors are where no other name is."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES.get(name, "pipeline.errors")), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the public names, whether they were asked for or not."""
    return __all__
