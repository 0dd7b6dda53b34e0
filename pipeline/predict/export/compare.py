"""Is the exported model the run? Held against what the run predicts, on pictures of the run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import PipelineError
from pipeline.images import DecodeRecipe, load_batches, open_reader
from pipeline.predict.export.formats import Runtime
from pipeline.runs import RunFolder
from pipeline.system.startup import import_tensorflow

N_PICTURES = 32


@dataclass(frozen=True)
class Sample:
    """Decoded pictures to compare predictions on.

    Args:
        images: (n, s, s, 3) uint8, RGB.
        source: Where they come from, in words.
        made_up: Whether they are no pictures of the run.
    """

    images: np.ndarray
    source: str
    made_up: bool


def sample(run: RunFolder, recipe: DecodeRecipe) -> Sample:
    """Return up to 32 test pictures of a run, spread over them; made-up ones where all are gone.

    A picture that is not byte for byte the one that was tested does not count.
    """
    images = _tested(run, recipe) if Path(run.dataset.root).exists() else None
    if images is not None and len(images):
        return Sample(images, f"test pictures of {run.dataset.name}", made_up=False)
    import_tensorflow()
    from pipeline.backbones.engines.conversion import parity_images

    return Sample(parity_images(recipe.size), "made-up pictures", made_up=True)


def _tested(run: RunFolder, recipe: DecodeRecipe) -> np.ndarray | None:
    """Return the run's own test pictures that are still there: (n, s, s, 3) uint8."""
    pictures = run.tested()
    chosen = np.unique(np.linspace(0, len(pictures) - 1, N_PICTURES).round().astype(int))
    digests = np.array([list(bytes.fromhex(digest)) for _, digest in pictures], np.uint8)
    try:
        read = open_reader(run.dataset.root)
    except PipelineError:  # an archive, say, that is none any more: as good as gone
        return None
    batches = load_batches(
        lambda row: read(pictures[row][0]), chosen, recipe, N_PICTURES, expected_digests=digests
    )
    return np.concatenate([batch.images for batch in batches])


def greatest_difference(expected: np.ndarray, runtime: Runtime, images: np.ndarray) -> float:
    """Return max |a − b| of probabilities; infinite where one is not finite.

    Args:
        expected: (n, k) probabilities of the run.
        runtime: The exported model; it is given one picture first and then the others, since any
            number of pictures has to do.
        images: (n, s, s, 3) uint8.
    """
    parts = [part for part in (images[:1], images[1:]) if len(part)]
    received = np.concatenate([runtime(part) for part in parts])
    difference = float(np.abs(received - expected).max())
    return difference if np.isfinite(difference) else float("inf")
