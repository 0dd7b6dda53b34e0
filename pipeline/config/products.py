"""Settings of what comes after training: labelling, one model, one report."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.fields import (
    CACHE,
    N_SEEDS,
    RUNS,
    HasModels,
    expand_paths,
    require,
    require_batch,
)


@dataclass(frozen=True, kw_only=True)
class PredictConfig(HasModels):
    """Labelling pictures with a run or with a base's own 1,000 ImageNet classes."""

    top: int = 5
    """How many of the likeliest classes to list for each picture."""

    weights: str | None = None
    """Where the weights of the base are, if not where the run says; of imagenet:BACKBONE, those
    with the top."""

    trust: bool = False
    """Load a head that only joblib could store; reading it can run any code. Know its maker."""

    min_typical: float | None = None
    """How typical of the run's training pictures a picture has to be, 0.01; else it is "unknown".
    What the run says if left out."""

    csv: Path | None = None
    """File to write: path, label, probability, and a probability per class; a row a picture."""

    overwrite: bool = False
    """Replace the CSV file if it is there."""

    batch_size: int = 32
    """Pictures per step."""

    cache: Path = CACHE
    """Folder of the feature cache, from which pictures are answered that are in it."""

    cache_features: bool = False
    """Keep features of these pictures; those of a place that `features` knows are kept anyway."""

    runs: Path = RUNS
    """Folder of the runs."""

    strict: bool = False
    """Treat a picture that cannot be read as an error instead of reporting it."""

    def __post_init__(self) -> None:
        expand_paths(self)
        require_batch(self)
        require(self, "top", self.top >= 1, "at least 1")
        least = self.min_typical
        require(self, "min_typical", least is None or 0 < least < 1, "between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvidenceConfig(HasModels):
    """Where in a picture the answers of a run come from."""

    against: str | None = None
    """Class that the answer is held against; left out, the true class of a mistake where the run
    knows it, else the runner-up."""

    grid: int = 7
    """Squares a side that are covered, where the head is not linear: GRID² + 1 passes a picture."""

    weights: str | None = None
    """Where the weights of the base are, if not where the run says."""

    trust: bool = False
    """Load a head that only joblib could store; reading it can run any code. Know its maker."""

    batch_size: int = 32
    """Pictures per step."""

    cache: Path = CACHE
    """Folder of the feature cache."""

    runs: Path = RUNS
    """Folder of the runs."""

    strict: bool = False
    """Treat a picture that cannot be read as an error instead of reporting it."""

    def __post_init__(self) -> None:
        expand_paths(self)
        require_batch(self)
        require(self, "grid", 2 <= self.grid <= 32, "from 2 to 32")


@dataclass(frozen=True, kw_only=True)
class ExportConfig(HasModels):
    """One file, or folder, that predicts without this program."""

    format: str | None = None
    """keras, onnx, openvino (a folder) or tflite; what the suffix of OUT says if left out."""

    precision: str | None = None
    """int8: smaller and faster, as OpenVINO or TFLite, and a few answers may change; if left out,
    the run's own."""

    evidence: bool = False
    """Give the model a second output: what each cell of a picture adds to each class's score. For
    linear heads on averages of maps."""

    weights: str | None = None
    """Where the weights of the base are, if not where the run says."""

    overwrite: bool = False
    """Replace the model, and the JSON file beside it, if they are there."""

    cache: Path = CACHE
    """Folder of the feature cache."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        expand_paths(self)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """One HTML file about runs: what it shows, and how much of it."""

    map: str = "auto"
    """Maps of the features: pca, tsne, umap, several with commas; auto: pca, and tsne where that
    takes no more than 5,000 pictures."""

    pictures: str | None = None
    """Where the pictures are: a local folder, archive or table; left out, where the runs say,
    if a command of yours has read that place on this machine."""

    most_pictures: int = 5000
    """Most pictures in the file; of more, a seeded sample that keeps the mistakes."""

    evidence: bool = False
    """Ask the runs in detail where their answers come from, and whether some place gives a class
    away; the base then sees up to 500 pictures again."""

    overwrite: bool = False
    """Replace the file if it is there."""

    seed: int = 0
    """Seed of the sample and of the maps."""

    cache: Path = CACHE
    """Folder of the feature cache."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        expand_paths(self)
        require(self, "most_pictures", self.most_pictures >= 1, "at least 1")
        require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")
