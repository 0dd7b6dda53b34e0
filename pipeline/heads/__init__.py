"""Classifiers on features: arrays in, a fitted head out. Never reads or writes a file.

Every fitted head turns features (n, d) into scores (n, k); its probabilities are the softmax of the
scores, and its prediction is the likeliest class.
"""

from pipeline.heads.catalog import HEADS, HeadSpec, parse_head, parse_heads
from pipeline.heads.fitted import FittedHead, NetworkHead, SklearnHead, softmax
from pipeline.heads.preparation import Preparation, parse_preparation

__all__ = [
    "HEADS",
    "FittedHead",
    "HeadSpec",
    "NetworkHead",
    "Preparation",
    "SklearnHead",
    "parse_head",
    "parse_heads",
    "parse_preparation",
    "softmax",
]
