"""Pictures: where they lie, what they are called, which split they are for, what is in them.

The room owns sources (folder layouts), the dataset index (content digests, labels, splits), the
decode recipe and the loader that feeds decoded batches. It knows nothing of backbones or features,
refuses pictures it cannot decode whole, never changes a user's file, and imports neither TensorFlow
nor h5py.
"""

from pipeline.images.dataset import SPLITS, Dataset, index, validation_slice
from pipeline.images.decode import MAX_PIXELS, decode, decode_full
from pipeline.images.digits import DigitsReport, write_digits
from pipeline.images.find import find_pictures
from pipeline.images.loader import Batch, Failure, load_batches
from pipeline.images.recipe import INTERPOLATIONS, RESIZE_MODES, DecodeRecipe
from pipeline.images.sources import Source, scan

__all__ = [
    "INTERPOLATIONS",
    "MAX_PIXELS",
    "RESIZE_MODES",
    "SPLITS",
    "Batch",
    "Dataset",
    "DecodeRecipe",
    "DigitsReport",
    "Failure",
    "Source",
    "decode",
    "decode_full",
    "find_pictures",
    "index",
    "load_batches",
    "scan",
    "validation_slice",
    "write_digits",
]
