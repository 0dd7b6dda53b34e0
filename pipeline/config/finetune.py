"""Settings of stage 3."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.fields import (
    CACHE,
    CLASS_WEIGHTS,
    FINETUNE_MODES,
    MAX_VIEWS,
    N_SEEDS,
    RUNS,
    TRAINING_PRECISIONS,
    expand_paths,
    require,
    require_batch,
    seconds_of,
)
from pipeline.errors import InputError, UnknownNameError

AUGMENTS = (
    *("shift", "rotate", "zoom", "flip", "brightness", "contrast", "randaugment"),
    *("mixup", "cutmix"),
)
"""Changes of pictures in each step, in the order in which they are listed."""


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Stage 3: what of the base is trained, and how gently."""

    source: str = "best"
    """Run whose head to start from: its name, its folder, or best (of those on the same data)."""

    mode: str = "full"
    """full (from the picture), tail (on cached activations below what learns), frozen (head)."""

    unfreeze: str = "auto"
    """Lowest part that learns: a block, a layer, a number of layers, all; auto is all, and two
    blocks for tail."""

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

    learning_rate: float | None = None
    """Peak step size of AdamW; it warms up over the first epoch and then falls along a cosine. Left
    out: 1e-3, and less where a training with that gains nothing."""

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

    weights: str | None = None
    """Where the weights of the base are, if not where the run says."""

    budget: str | None = None
    """Time for training, such as 90s, 10m or 2h: no epoch begins that would not end in it."""

    anyway: bool = False
    """Train even where the pictures that decide are too few, or too easy, to show a gain."""

    tensorboard: Path | None = None
    """Folder for a TensorBoard log of the epochs."""

    seed: int = 0
    """Seed of the order, the augmentation and dropout."""

    cache: Path = CACHE
    """Folder of the feature cache."""

    remote_cache: str | None = None
    """URL of a feature cache shared by several machines, such as s3://bucket/features."""

    runs: Path = RUNS
    """Folder of the runs."""

    def __post_init__(self) -> None:
        expand_paths(self)
        require(self, "seed", 0 <= self.seed < N_SEEDS, "from 0 to 4294967295")
        require_batch(self)
        for name in ("epochs", "patience"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        require(self, "mode", self.mode in FINETUNE_MODES, "full, tail or frozen")
        if self.mode == "tail" and self.augment not in ("auto", "none"):
            raise InputError(
                f"expected no --augment beside --mode tail, which trains on cached activations and "
                f"sees no picture, received augment={self.augment!r}; ask for --views, or for "
                f"--mode full"
            )
        for name in self.augment.split(",") if self.augment not in ("auto", "none") else ():
            if name.strip() not in AUGMENTS:
                way_out = f"known: {', '.join(AUGMENTS)}, none"
                raise UnknownNameError("augmentation", name.strip(), AUGMENTS, way_out)
        views = self.views is None or 0 <= self.views <= MAX_VIEWS
        require(self, "views", views, f"from 0 to {MAX_VIEWS}")
        require(self, "head_epochs", 0 <= self.head_epochs < self.epochs, "from 0 to below epochs")
        require(self, "block_decay", 0 < self.block_decay <= 1, "above 0, at most 1")
        require(self, "batch_norm", self.batch_norm in ("frozen", "update"), "frozen or update")
        weighs = self.class_weight in ("auto", *CLASS_WEIGHTS)
        require(self, "class_weight", weighs, "auto, none or balanced")
        precise = self.precision in TRAINING_PRECISIONS
        require(self, "precision", precise, " or ".join(TRAINING_PRECISIONS))
        rate = self.learning_rate is None or self.learning_rate > 0
        require(self, "learning_rate", rate, "above 0")
        require(self, "weight_decay", self.weight_decay >= 0, "at least 0")
        require(self, "label_smoothing", 0 <= self.label_smoothing < 1, "from 0 to below 1")
        fraction = self.validation_fraction
        require(self, "validation_fraction", 0 < fraction < 1, "between 0 and 1")
        require(self, "budget", self.budget_seconds != 0, "as 90s, 10m or 2h")

    @property
    def budget_seconds(self) -> float | None:
        """The budget in seconds; None where none was given, 0 where it cannot be read."""
        return None if self.budget is None else seconds_of(self.budget)
