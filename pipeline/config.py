"""One frozen dataclass per stage: the only home of defaults.

Command flags, Make variables and the TOML file all fill these; the resolved values are saved with
every artefact. Field docstrings are the help texts of the flags.
"""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pipeline.errors import InputError

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
PASSWORD = re.compile(r"(://[^/:@]*):([^/]*)@")
TRAINING_PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FeaturesConfig:
    """Stage 1: which frozen base, which of its layers, and how a picture gets there."""

    backbone: str = "EfficientNetLite0"
    """Pretrained base, arguments in brackets: "MobileNet(alpha=0.25)"; see `pipeline backbones`."""

    layers: str = "top"
    """Cut layers, separated by commas: block1 … blockN, top, or any Keras layer name."""

    pooling: str = "avg"
    """How a cut's map becomes a vector: avg, max, avg+max, gem, none; several with commas."""

    weights: str = "default"
    """default (packaged, else imagenet), imagenet, none, or a .weights.h5, .h5 or .keras file."""

    image_size: int | None = None
    """Side in pixels of the square the base sees; the base's own size when left out."""

    resize: str = "squash"
    """How a picture becomes square: squash, crop (short side, then centre), pad."""

    interpolation: str = "bilinear"
    """Antialiased resampling filter: bilinear, bicubic, lanczos."""

    precision: str = "float32"
    """Arithmetic of the base: float32, or mixed_float16 for GPUs with tensor cores."""

    engine: str = "auto"
    """What runs the base: auto (TensorFlow on a GPU, else OpenVINO), openvino, tensorflow."""

    dtype: str = "float32"
    """Stored type of the features: float32, or float16 for half the disk."""

    jpeg: str = "full"
    """JPEG decoding: full, or scaled (faster for photos far larger than the base's input)."""

    views: int = 0
    """Augmented views to cache of each training picture, beside the picture itself."""

    view_policy: str = "crop,flip"
    """What views change: crop, flip, shift, zoom, rotate, brightness, contrast."""

    test_views: int = 0
    """Augmented views of each picture over which its probabilities are averaged with its own."""

    label_pattern: str | None = None
    """Where labels stand in file names, for flat folders: "{label}.{}" reads cat from cat.0.jpg."""

    batch_size: int = 32
    """Pictures per step; halved by itself when a GPU runs out of memory. Never changes a result."""

    seed: int = 0
    """Seed of splits, folds, heads, and of random weights."""

    cache: Path = Path("features")
    """Folder of the feature cache."""

    strict: bool = False
    """Treat a picture that cannot be read as an error instead of reporting it."""

    remote_cache: str | None = None
    """URL of a feature cache shared by several machines, such as s3://bucket/features: what is
    missing here is fetched from it before anything is computed, what is computed here is sent to
    it, shard by shard."""

    cluster: str | None = None
    """Where to compute: local[:N] (N processes of this machine), or a Dask scheduler such as
    tcp://host:8786; in this process when left out. Never changes a result."""

    def __post_init__(self) -> None:
        _expand_paths(self)
        known = self.cluster is None or CLUSTER.fullmatch(self.cluster) is not None
        _require(self, "cluster", known, CLUSTERS)
        _require(self, "batch_size", self.batch_size >= 1, "at least 1")
        _require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")
        for name in ("views", "test_views"):
            _require(self, name, 0 <= getattr(self, name) <= MAX_VIEWS, f"from 0 to {MAX_VIEWS}")
        _require(self, "dtype", self.dtype in DTYPES, " or ".join(DTYPES))

    @property
    def models(self) -> Path:
        """Folder of the converted models."""
        return self.cache / MODELS


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(FeaturesConfig):
    """Stage 2: which heads to train on which cached layers.

    Here `layers` may also join cuts with "+": "top,block5+block6" tries two inputs, the second one
    being both cuts side by side.
    """

    heads: str = "logistic,ridge,lda,knn"
    """Heads separated by commas, parameters in brackets: "logistic(C=0.1),knn"; or all."""

    prepare: str = "auto"
    """Features before heads that do not say it themselves: standard, l2, sqrt-l2, pca(128), or
    several; auto: l2 up to 10 training pictures a class, else standard."""

    folds: int = 5
    """Folds of the stratified cross-validation inside train."""

    repeats: int | None = None
    """How often folds are drawn anew; up to 10 times where there are few pictures if left out."""

    tune: bool = False
    """Search for each head's layers, preparation and parameters, inside train."""

    class_weight: str = "none"
    """none, or balanced: rare classes count as much as frequent ones, in heads that can."""

    calibrate: bool = False
    """Fit one factor to the scores of every head, so that its probabilities can be believed."""

    max_error: float | None = None
    """Largest share of wrong answers; `predict` says "don't know" to pictures too unsure for it."""

    learning_curve: bool = False
    """Say whether more pictures would help: trains the best head on growing parts of train."""

    jobs: int = -1
    """Processes of a search; -1 for one per core."""

    runs: Path = Path("runs")
    """Folder of the runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "folds", self.folds >= 2, "at least 2")
        _require(self, "repeats", self.repeats is None or 1 <= self.repeats <= 100, "from 1 to 100")
        _require(self, "class_weight", self.class_weight in CLASS_WEIGHTS, "none or balanced")
        error = self.max_error
        _require(self, "max_error", error is None or 0 < error < 1, "between 0 and 1")
        _require(self, "jobs", self.jobs == -1 or self.jobs >= 1, "at least 1, or -1 for all cores")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CheckConfig(FeaturesConfig):
    """Looking at data: which features to look with, and how closely."""

    folds: int = 5
    """Folds of the cross-validation that finds suspect labels."""

    similarity: float | None = None
    """Cosine similarity from which pictures are near-duplicates; from the data if left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, "folds", self.folds >= 2, "at least 2")
        similar = self.similarity
        _require(self, "similarity", similar is None or 0 < similar <= 1, "above 0, up to 1")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Stage 3: what of the base is trained, and how gently."""

    source: Annotated[str, Parameter(name="--from")] = "best"
    """Run whose head to start from: its name, its folder, or best (of those on the same data)."""

    mode: str = "full"
    """full (from the picture), tail (on cached activations below what learns), frozen (head)."""

    unfreeze: str = "auto"
    """Lowest part that learns: a block, a layer, a number of layers, all; auto is two blocks."""

    augment: str = "auto"
    """Changes in each step: shift, rotate, zoom, flip, brightness, contrast, randaugment, mixup,
    cutmix; or none. auto: shift,rotate,zoom, or none where there are views."""

    views: int | None = None
    """Seeded augmented views of each training picture, one of which an epoch shows; left out: for
    tail as many as the run had, else none."""

    view_policy: str | None = None
    """What views change, as in stage 1; the run's own policy when left out."""

    epochs: int = 12
    """Most passes over the training pictures."""

    head_epochs: int = 0
    """Of these, passes in which the head alone learns, before the base is unfrozen."""

    patience: int = 6
    """Epochs without a lower validation loss before training stops."""

    learning_rate: float = 1e-4
    """Peak step size of AdamW; it warms up over the first epoch and then falls along a cosine."""

    block_decay: float = 1.0
    """Factor on the step size from block to block downwards, above 0 and at most 1."""

    weight_decay: float = 1e-4
    """Decoupled weight decay of AdamW."""

    batch_norm: str = "frozen"
    """BatchNorm of what learns: frozen (inference mode), or update (statistics and weights)."""

    class_weight: str = "auto"
    """none, balanced (rare classes count as much as frequent ones), or auto: as the run's head."""

    precision: str = "float32"
    """Arithmetic of training: float32; mixed_float16 or mixed_bfloat16 for GPUs."""

    label_smoothing: float = 0.0
    """Share of a label's probability that is spread over all classes, 0 to below 1."""

    validation_fraction: float = 0.15
    """Slice of train that decides when to stop, where no validation split is beside a test."""

    batch_size: int = 32
    """Pictures per training step."""

    tensorboard: Path | None = None
    """Folder for a TensorBoard log of the epochs."""

    seed: int = 0
    """Seed of the order, the augmentation and dropout."""

    cache: Path = Path("features")
    """Folder of the feature cache."""

    remote_cache: str | None = None
    """URL of a feature cache shared by several machines, such as s3://bucket/features."""

    runs: Path = Path("runs")
    """Folder of the runs."""

    def __post_init__(self) -> None:
        _expand_paths(self)
        _require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")
        for name in ("epochs", "patience", "batch_size"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")
        _require(self, "mode", self.mode in FINETUNE_MODES, "full, tail or frozen")
        if self.mode == "tail" and self.augment not in ("auto", "none"):
            raise InputError(
                f"expected no --augment beside --mode tail, which trains on cached activations and "
                f"sees no picture, received augment={self.augment!r}; ask for --views, or for "
                f"--mode full"
            )
        views = self.views is None or 0 <= self.views <= MAX_VIEWS
        _require(self, "views", views, f"from 0 to {MAX_VIEWS}")
        _require(self, "head_epochs", 0 <= self.head_epochs < self.epochs, "from 0 to below epochs")
        _require(self, "block_decay", 0 < self.block_decay <= 1, "above 0, at most 1")
        _require(self, "batch_norm", self.batch_norm in ("frozen", "update"), "frozen or update")
        weighs = self.class_weight in ("auto", *CLASS_WEIGHTS)
        _require(self, "class_weight", weighs, "auto, none or balanced")
        precise = self.precision in TRAINING_PRECISIONS
        _require(self, "precision", precise, " or ".join(TRAINING_PRECISIONS))
        _require(self, "learning_rate", self.learning_rate > 0, "above 0")
        _require(self, "weight_decay", self.weight_decay >= 0, "at least 0")
        _require(self, "label_smoothing", 0 <= self.label_smoothing < 1, "from 0 to below 1")
        fraction = self.validation_fraction
        _require(self, "validation_fraction", 0 < fraction < 1, "between 0 and 1")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """Labelling pictures with a run or with a base's own 1,000 ImageNet classes."""

    top: int = 5
    """How many of the likeliest classes to list for each picture."""

    weights: str = "default"
    """For imagenet:BACKBONE only: where its weights with the top are."""

    trust: bool = False
    """Load a head that only joblib could store; reading it can run any code. Know its maker."""

    csv: Path | None = None
    """File to write: path, label, probability, and a probability per class; a row a picture."""

    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace the CSV file if it is there."""

    batch_size: int = 32
    """Pictures per step."""

    cache: Path = Path("features")
    """Folder of the feature cache; beside it lie the converted models."""

    runs: Path = Path("runs")
    """Folder of the runs."""

    strict: bool = False
    """Treat a picture that cannot be read as an error instead of reporting it."""

    def __post_init__(self) -> None:
        _expand_paths(self)
        for name in ("top", "batch_size"):
            _require(self, name, getattr(self, name) >= 1, "at least 1")

    @property
    def models(self) -> Path:
        """Folder of the converted models."""
        return self.cache / MODELS


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """One file, or folder, that predicts without this program."""

    format: str | None = None
    """keras, onnx, openvino (a folder) or tflite; what the suffix of OUT says if left out."""

    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace the model, and the JSON file beside it, if they are there."""

    cache: Path = Path("features")
    """Folder of the feature cache; beside it lie the converted models."""

    runs: Path = Path("runs")
    """Folder of the runs."""

    def __post_init__(self) -> None:
        _expand_paths(self)

    @property
    def models(self) -> Path:
        """Folder of the converted models."""
        return self.cache / MODELS


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """One HTML file about runs: what it shows, and how much of it."""

    map: str = "auto"
    """Maps of the features: pca, tsne, umap, several with commas; auto: pca, and tsne where that
    takes no more than 5,000 pictures."""

    pictures: int = 5000
    """Most pictures in the file; of more, a seeded sample that keeps the mistakes."""

    overwrite: Annotated[bool, Parameter(negative="")] = False
    """Replace the file if it is there."""

    seed: int = 0
    """Seed of the sample and of the maps."""

    cache: Path = Path("features")
    """Folder of the feature cache."""

    runs: Path = Path("runs")
    """Folder of the runs."""

    def __post_init__(self) -> None:
        _expand_paths(self)
        _require(self, "pictures", self.pictures >= 1, "at least 1")
        _require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")


def _expand_paths(config: Any) -> None:
    """Let ``~`` mean the home folder, wherever a setting comes from."""
    for name, value in vars(config).items():
        if isinstance(value, Path):
            object.__setattr__(config, name, value.expanduser())


def _require(config: Any, name: str, good: bool, expected: str) -> None:
    if not good:
        raise InputError(f"expected {name} {expected}, received {name}={getattr(config, name)}")


def without_password(url: str) -> str:
    """Return a URL as it may be shown and saved: sftp://me@host of sftp://me:secret@host."""
    return PASSWORD.sub(r"\1@", url)


def to_dict(config: Any) -> dict[str, Any]:
    """Return a config as plain JSON values, in the order of its fields, without a password."""
    values = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(config).items()
    }
    if values.get("remote_cache") is not None:
        values["remote_cache"] = without_password(values["remote_cache"])
    return values
