"""Pretrained convolutional bases: catalog, weights, preprocessing, cut layers and pooling.

What is named here imports no TensorFlow. Models are built by ``pipeline.backbones.build``
(``build_extractor``, ``build_base``, ``build_classifier``), which does. Refuses to download
anything that was not asked for, and to load weights in part.
"""

from pipeline.backbones.backbone import Argument, Backbone, BackboneSpec
from pipeline.backbones.catalog import BACKBONES, class_names, parse_backbone
from pipeline.backbones.cuts import POOLINGS, Cut
from pipeline.backbones.given import find_base
from pipeline.backbones.preprocessing import PREPROCESSINGS
from pipeline.backbones.summary import LayerRow, summarize
from pipeline.backbones.weights import WeightsSource, resolve_weights

__all__ = [
    "BACKBONES",
    "POOLINGS",
    "PREPROCESSINGS",
    "Argument",
    "Backbone",
    "BackboneSpec",
    "Cut",
    "LayerRow",
    "WeightsSource",
    "class_names",
    "find_base",
    "parse_backbone",
    "resolve_weights",
    "summarize",
]
