"""A run as one model that predicts without this program: what formats there are, what they hold.

Every format takes RGB pictures (n, s, s, 3) of 0 to 255 and gives class probabilities (n, k), with
the preprocessing inside and any n. Decoding and resizing stay outside; the description beside the
model says how. What was written is loaded again in the format's own runtime and held against what
the run predicts before it gets its name. Nothing here decides which run, and nothing prints.
"""

from pipeline.predict.export.compare import Sample, greatest_difference, sample
from pipeline.predict.export.description import describe_model
from pipeline.predict.export.formats import FORMATS, Format, Runtime, check_packages, find_format
from pipeline.predict.export.place import check_place, description_path, published

__all__ = [
    "FORMATS",
    "Format",
    "Runtime",
    "Sample",
    "check_packages",
    "check_place",
    "describe_model",
    "description_path",
    "find_format",
    "greatest_difference",
    "published",
    "sample",
]
