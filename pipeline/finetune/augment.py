"""Seeded augmentation from Keras' own layers, for training examples only.

Nothing flips unless asked: a mirrored cat is a cat, a mirrored 3 is not a 3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from pipeline.errors import UnknownNameError

NONE = "none"
VALUE_RANGE = (0, 255)
FILL = "nearest"

AUGMENTATIONS: dict[str, Callable[[int], Any]] = {
    "shift": lambda seed: keras.layers.RandomTranslation(0.08, 0.08, fill_mode=FILL, seed=seed),
    "rotate": lambda seed: keras.layers.RandomRotation(0.03, fill_mode=FILL, seed=seed),
    "zoom": lambda seed: keras.layers.RandomZoom(0.1, fill_mode=FILL, seed=seed),
    "flip": lambda seed: keras.layers.RandomFlip("horizontal", seed=seed),
    "brightness": lambda seed: keras.layers.RandomBrightness(0.15, VALUE_RANGE, seed=seed),
    "contrast": lambda seed: keras.layers.RandomContrast(0.2, VALUE_RANGE, seed=seed),
    "randaugment": lambda seed: keras.layers.RandAugment(VALUE_RANGE, seed=seed),
}
"""Shift up to 8 % of a side, rotate up to 11 degrees, zoom up to 10 %, and so on."""

MIXINGS: dict[str, Callable[[int], Any]] = {
    "mixup": lambda seed: keras.layers.MixUp(seed=seed),
    "cutmix": lambda seed: keras.layers.CutMix(seed=seed),
}
"""What makes one picture of two, and one label of theirs (Zhang et al. 2018, Yun et al. 2019)."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch: of each picture, then of pictures with one another.

    Args:
        changes: Layers from pictures to pictures.
        mixings: Layers from pictures and targets to both.
    """

    changes: list[Any]
    mixings: list[Any]

    @property
    def layers(self) -> list[Any]:
        """Every layer that draws."""
        return [*self.changes, *self.mixings]

    def __call__(self, inputs: Any, targets: Any) -> tuple[Any, Any]:
        """Change a batch.

        Args:
            inputs: One tensor (n, size, size, 3) RGB 0–255 in a tuple; any others without changes.
            targets: (n, k) float32, rows add up to 1.

        Returns:
            The inputs in float32, as the network takes them, and the targets.
        """
        images, *others = (tf.cast(part, tf.float32) for part in inputs)
        for change in self.changes:
            images = change(images, training=True)
        for mixing in self.mixings:
            mixed = mixing({"images": images, "labels": targets}, training=True)
            images, targets = mixed["images"], mixed["labels"]
        return ([images, *others] if others else images), targets


def augmentation(names: str, seed: int) -> Augmentation:
    """Return random changes of pictures.

    Args:
        names: Names of `AUGMENTATIONS` and of `MIXINGS` with commas; or none. The former are
            applied in that order, and the latter after them.
        seed: Same seed, same changes in the same order of calls.

    Raises:
        UnknownNameError: A name is not in the catalog.
    """
    wanted = [] if names == NONE else [name.strip() for name in names.split(",")]
    known = AUGMENTATIONS | MIXINGS
    for name in wanted:
        if name not in known:
            raise UnknownNameError("augmentation", name, known, f"known: {', '.join(known)}, none")
    made = [(name, known[name](seed + i)) for i, name in enumerate(wanted)]
    changes = [layer for name, layer in made if name in AUGMENTATIONS]
    return Augmentation(changes, [layer for name, layer in made if name in MIXINGS])
