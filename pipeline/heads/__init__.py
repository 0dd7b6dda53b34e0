"""Classifiers on features: arrays in, a fitted head out. Never reads or writes a file.

Every fitted head turns features (n, d) into scores (n, k); its probabilities are the softmax of the
scores, and its prediction is the likeliest class.
"""

from pipeline.heads.catalog import HEADS, HeadSpec, parse_head, parse_heads
from pipeline.heads.fitted import FittedHead, NetworkHead, SklearnHead, softmax

__all__ = [
    "HEADS",
    "FittedHead",
    "HeadSpec",
    "NetworkHead",
    "SklearnHead",
    "parse_head",
    "parse_heads",
    "softmax",
]
