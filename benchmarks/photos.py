"""Made photos: seeded crops of scikit-learn's two sample pictures, as JPEG files."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

WIDTH, HEIGHT = 500, 375
CLASSES = ("china", "flower")


def write_photos(root: Path, n_photos: int, first: int = 0) -> None:
    """Write ``root/{china,flower}/<i>.jpg``, n_photos in all, no two alike.

    Args:
        root: The folder, there already or not.
        n_photos: How many to write.
        first: Number of the first one; the same number gives the same photo.
    """
    pictures = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for name in CLASSES:
        (root / name).mkdir(parents=True, exist_ok=True)

    def write(i: int) -> None:
        photo = _photo(pictures[i % 2], np.random.default_rng(i))
        photo.save(root / CLASSES[i % 2] / f"{i}.jpg", quality=90)

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, range(first, first + n_photos)))


def _photo(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut a part out, and mark it with squares of its own."""
    left, top = rng.integers(0, 100), rng.integers(0, 40)
    crop = picture.crop((left, top, left + WIDTH, top + HEIGHT))
    marks = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    crop.paste(marks.resize((64, 64), Image.Resampling.NEAREST), (0, 0))
    return crop
