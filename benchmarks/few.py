"""A data set with a few training pictures of each class, drawn by a seed; the test stays whole."""

import random
from pathlib import Path


def link_few(data: Path, few: Path, n_pictures: int, seed: int) -> None:
    """Make ``few`` of links to ``n_pictures`` training pictures a class and all test pictures."""
    rng = random.Random(seed)
    for split in ("train", "test"):
        for folder in sorted((data / split).iterdir()):
            pictures = sorted(folder.iterdir())
            chosen = rng.sample(pictures, n_pictures) if split == "train" else pictures
            (few / split / folder.name).mkdir(parents=True)
            for path in chosen:
                (few / split / folder.name / path.name).symlink_to(path)
