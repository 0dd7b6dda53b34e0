"""Settings of stages 1 and 2, and of looking at data with features."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.data import DataConfig
from pipeline.config.fields import (
    CACHE,
    CLASS_WEIGHTS,
    CLUSTER,
    CLUSTERS,
    DTYPES,
    MAX_VIEWS,
    RUNS,
    HasModels,
    expand_paths,
    require,
    require_batch,
    seconds_of,
    side_of,
)


@dataclass(frozen=True, kw_only=True)
class FeaturesConfig(DataConfig, HasModels):
    """Stage 1: which frozen base, which of its layers, and how a picture gets there."""

    backbone: str = "EfficientNetLite0"
    """Pretrained base, arguments in brackets: "MobileNet(alpha=0.25)"; see `pipeline backbones`.
    `classify` compares several, "VGG16,ResNet50", or all whose weights are at hand: available.
    Or a network of your own: a .keras, .h5, .onnx or OpenVINO .xml file, run:NAME (a fine-tuned
    run), a KerasHub preset (kerashub:NAME or its folder)."""

    preprocessing: str | None = None
    """What pixels go through first in a network of your own that does not say it: raw, unit, tf,
    torch, caffe, or mean=R,G,B,std=R,G,B of pixels from 0 to 1."""

    layers: str = "top"
    """Cut layers, separated by commas: block1 … blockN, top, or any layer that `pipeline summary`
    lists."""

    pooling: str = "avg"
    """How a cut's map becomes a vector: avg, max, avg+max, gem, none, and of a transformer's tokens
    cls, patch, cls+patch; several with commas."""

    weights: str = "default"
    """default (packaged, else imagenet), imagenet, none, or a file: .h5, .hdf5 or .keras."""

    image_size: int | str | None = None
    """Side in pixels of the square the base sees, 224 or 224x224; the base's own if left out."""

    resize: str = "squash"
    """How a picture becomes square: squash, crop (short side, then centre), pad."""

    interpolation: str = "bilinear"
    """Antialiased resampling filter: bilinear, bicubic, lanczos."""

    precision: str = "float32"
    """Arithmetic of the base: float32; on processors bfloat16 or int8, on GPUs mixed_float16 or
    mixed_bfloat16; fast: the fastest of them here. `classify` compares several: float32,int8."""

    engine: str = "auto"
    """What runs the base: openvino, tensorflow, jax, torch; auto: one with a GPU, else OpenVINO."""

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

    batch_size: int | None = None
    """Pictures per step; left out: 32, on a GPU 128, halved by itself when its memory runs out.
    Never changes a result."""

    cache: Path = CACHE
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
        super().__post_init__()
        expand_paths(self)
        object.__setattr__(self, "image_size", self.side)
        known = self.cluster is None or CLUSTER.fullmatch(self.cluster) is not None
        require(self, "cluster", known, CLUSTERS)
        require_batch(self)
        for name in ("views", "test_views"):
            require(self, name, 0 <= getattr(self, name) <= MAX_VIEWS, f"from 0 to {MAX_VIEWS}")
        require(self, "dtype", self.dtype in DTYPES, " or ".join(DTYPES))

    @property
    def side(self) -> int | None:
        """Side in pixels of the square that the base sees; None for the base's own."""
        return side_of(self.image_size)


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

    min_typical: float | None = None
    """How typical of train a picture has to be, 0.01: `predict` answers "unknown" below that."""

    models: Path | None = None
    """Folder of weights files, each taken for the base that it fits, where several are compared."""

    sample: int | None = None
    """Pictures of a class on which several bases are first judged; from the budget if left out."""

    budget: str | None = None
    """Time for computing features where several bases are compared, such as 90s, 10m or 2h; if left
    out, half of what all pictures would take through all of them."""

    learning_curve: bool = False
    """Say whether more pictures would help: trains the best head on growing parts of train."""

    jobs: int = -1
    """Processes of a search; -1 for one per core."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "folds", self.folds >= 2, "at least 2")
        require(self, "repeats", self.repeats is None or 1 <= self.repeats <= 100, "from 1 to 100")
        require(self, "class_weight", self.class_weight in CLASS_WEIGHTS, "none or balanced")
        error = self.max_error
        require(self, "max_error", error is None or 0 < error < 1, "between 0 and 1")
        least = self.min_typical
        require(self, "min_typical", least is None or 0 < least < 1, "between 0 and 1")
        require(self, "sample", self.sample is None or self.sample >= 2, "at least 2")
        require(self, "budget", self.budget_seconds != 0, "as 90s, 10m or 2h")
        require(self, "jobs", self.jobs == -1 or self.jobs >= 1, "at least 1, or -1 for all cores")

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds; None where none was given, 0 where it cannot be read."""
        return None if self.budget is None else seconds_of(self.budget)


def refuse_views(config: FeaturesConfig) -> None:
    """Raise InputError where views are asked for that nobody would look at."""
    for name in ("views", "view_policy", "test_views"):
        usual = getattr(config, name) == getattr(FeaturesConfig, name)
        require(config, name, usual, "left out where pictures are compared as they are")


@dataclass(frozen=True, kw_only=True)
class CheckConfig(FeaturesConfig):
    """Looking at data: which features to look with, and how closely."""

    folds: int = 5
    """Folds of the cross-validation that finds suspect labels."""

    similarity: float | None = None
    """Cosine similarity from which pictures are near-duplicates; from the data if left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_views(self)
        require(self, "folds", self.folds >= 2, "at least 2")
        similar = self.similarity
        require(self, "similarity", similar is None or 0 < similar <= 1, "above 0, up to 1")


@dataclass(frozen=True, kw_only=True)
class LabelConfig(CheckConfig):
    """The page on which pictures are labelled: what is on it."""

    n: int = 300
    """Pictures on the page at most."""

    run: str | None = None
    """Name or folder of a run, or best: its surest mistakes are on the page, and its features are
    looked at."""

    suggestions: Path | None = None
    """Table that `suggest` wrote: its pictures are on the page."""

    classes: str | None = None
    """Names of classes with commas, where nothing is labelled yet; more are typed on the page."""

    overwrite: bool = False
    """Replace the page if it is there."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "n", 1 <= self.n <= 2000, "from 1 to 2000")


@dataclass(frozen=True, kw_only=True)
class SimilarConfig(FeaturesConfig):
    """Looking for pictures that are like others: which features to look with, and how many."""

    n: int = 10
    """Pictures to list for each; near-duplicates of one another count once."""

    out: Path | None = None
    """Contact sheet to write: a file that ends in .html or .png."""

    overwrite: bool = False
    """Replace the sheet if it is there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_views(self)
        require(self, "n", 1 <= self.n <= 1000, "from 1 to 1000")


STRATEGIES = ("both", "uncertain", "margin", "badge", "typical", "centres")


@dataclass(frozen=True, kw_only=True)
class SuggestConfig(FeaturesConfig):
    """Choosing what to label next: how many, and how. A run has a base of its own.

    Pictures that the table of `corrections` has labels of are not asked about.
    """

    n: int = 20
    """Pictures to suggest."""

    strategy: str | None = None
    """both (unsure and unlike what is labelled), uncertain, margin, badge; typical and centres need
    no run. If left out, both with a run, centres without."""

    trust: bool = False
    """Load a head that only joblib could store; reading it can run any code. Know its maker."""

    overwrite: bool = False
    """Replace the table if it is there."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_views(self)
        require(self, "n", self.n >= 1, "at least 1")
        known = self.strategy is None or self.strategy in STRATEGIES
        require(self, "strategy", known, "as " + ", ".join(STRATEGIES))
