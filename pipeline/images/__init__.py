"""Pictures: where they lie, what they are called, which split they are for, what is in them.

The room owns sources (folders, archives, tables, URLs), the dataset index (content digests, labels,
splits, groups), the decode recipe, views, and the loader that feeds decoded batches. It knows
nothing of backbones or features, refuses pictures it cannot decode whole, never changes a user's
file, and imports neither TensorFlow nor h5py.
"""

from pipeline.images.dataset import SPLITS, Dataset, validation_slice
from pipeline.images.decode import MAX_PIXELS, decode, decode_full
from pipeline.images.digits import write_digits
from pipeline.images.find import PictureList, find_pictures, open_reader
from pipeline.images.indexing import index
from pipeline.images.loader import Batch, Failure, LoadTimes, RowLoader, load_batches, paired
from pipeline.images.location import resolve_location
from pipeline.images.recipe import RESIZE_MODES, DecodeRecipe
from pipeline.images.sources import scan
from pipeline.images.views import CHANGES, ViewAverage, ViewRecipe, make_view

__all__ = [
    "CHANGES",
    "MAX_PIXELS",
    "RESIZE_MODES",
    "SPLITS",
    "Batch",
    "Dataset",
    "DecodeRecipe",
    "Failure",
    "LoadTimes",
    "PictureList",
    "RowLoader",
    "ViewAverage",
    "ViewRecipe",
    "decode",
    "decode_full",
    "find_pictures",
    "index",
    "load_batches",
    "make_view",
    "open_reader",
    "paired",
    "resolve_location",
    "scan",
    "validation_slice",
    "write_digits",
]
