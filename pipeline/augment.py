"""Seeded augmentation from Keras' own layers, for training pictures only.

Nothing flips unless asked: a mirrored cat is a cat, a mirrored 3 is not a 3.
"""

from collections.abc import Callable
from typing import Any

import keras

from pipeline.errors import UnknownNameError

VALUE_RANGE = (0, 255)
FILL = "nearest"

AUGMENTATIONS: dict[str, Callable[[int], Any]] = {
    "shift": lambda seed: keras.layers.RandomTranslation(0.08, 0.08, fill_mode=FILL, seed=seed),
    "rotate": lambda seed: keras.layers.RandomRotation(0.03, fill_mode=FILL, seed=seed),
    "zoom": lambda seed: keras.layers.RandomZoom(0.1, fill_mode=FILL, seed=seed),
    "flip": lambda seed: keras.layers.RandomFlip("horizontal", seed=seed),
    "brightness": lambda seed: keras.layers.RandomBrightness(0.15, VALUE_RANGE, seed=seed),
    "contrast": lambda seed: keras.layers.RandomContrast(0.2, VALUE_RANGE, seed=seed),
}
"""Shift up to 8 % of a side, rotate up to 11 degrees, zoom up to 10 %, and so on."""


def augmentation(names: str, image_size: int, seed: int) -> keras.Model:
    """Return a model that changes pictures (n, size, size, 3) RGB 0–255 at random.

    Args:
        names: Names of `AUGMENTATIONS` with commas, applied in that order; or none.
        image_size: Side in pixels.
        seed: Same seed, same changes in the same order of calls.

    Raises:
        UnknownNameError: A name is not in the catalog.
    """
    wanted = [] if names == "none" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in AUGMENTATIONS:
            hint = f"known: {', '.join(AUGMENTATIONS)}, none"
            raise UnknownNameError("augmentation", name, AUGMENTATIONS, hint)
    images = changed = keras.Input((image_size, image_size, 3))
    for i, name in enumerate(wanted):
        changed = AUGMENTATIONS[name](seed + i)(changed)
    return keras.Model(images, keras.layers.Identity()(changed))
