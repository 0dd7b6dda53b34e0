"""Made photos: seeded crops of scikit-learn's two sample pictures, as JPEG files."""

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

WIDTH, HEIGHT = 500, 375


def write_photos(root: Path, n_photos: int) -> None:
    """Write ``root/{china,flower}/<i>.jpg``, n_photos in all, no two alike."""
    rng = np.random.default_rng(0)
    for name, pixels in zip(("china", "flower"), load_sample_images().images, strict=True):
        picture = Image.fromarray(pixels)
        (root / name).mkdir(parents=True)
        for i in range(n_photos // 2):
            left, top = rng.integers(0, 100), rng.integers(0, 40)
            crop = picture.crop((left, top, left + WIDTH, top + HEIGHT))
            crop.save(root / name / f"{i}.jpg", quality=int(rng.integers(70, 95)))
