"""One frozen dataclass per stage: the only home of defaults.

Command flags, Make variables and the TOML file all fill these; the resolved values are saved with
every artefact. Field docstrings are the help texts of the flags; how a flag is written is the
command line's business.
"""

from pipeline.config.data import USUAL, DataConfig
from pipeline.config.features import (
    CheckConfig,
    ClassifyConfig,
    FeaturesConfig,
    LabelConfig,
    SimilarConfig,
    SuggestConfig,
)
from pipeline.config.fields import (
    CACHE,
    CLASS_WEIGHTS,
    CLUSTER,
    CLUSTERS,
    DTYPES,
    FINETUNE_MODES,
    MAX_VIEWS,
    MODELS,
    N_SEEDS,
    RUNS,
    TRAINING_PRECISIONS,
    side_of,
    to_dict,
)
from pipeline.config.finetune import FinetuneConfig
from pipeline.config.products import EvidenceConfig, ExportConfig, PredictConfig, ReportConfig

__all__ = [
    "CACHE",
    "CLASS_WEIGHTS",
    "CLUSTER",
    "CLUSTERS",
    "DTYPES",
    "FINETUNE_MODES",
    "MAX_VIEWS",
    "MODELS",
    "N_SEEDS",
    "RUNS",
    "TRAINING_PRECISIONS",
    "USUAL",
    "CheckConfig",
    "ClassifyConfig",
    "DataConfig",
    "EvidenceConfig",
    "ExportConfig",
    "FeaturesConfig",
    "FinetuneConfig",
    "LabelConfig",
    "PredictConfig",
    "ReportConfig",
    "SimilarConfig",
    "SuggestConfig",
    "side_of",
    "to_dict",
]
