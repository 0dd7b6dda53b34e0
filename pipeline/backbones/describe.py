"""The catalog and a backbone's layers as plain values, for printing and JSON."""

from dataclasses import asdict
from typing import Any

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.catalog import BACKBONES, parse_backbone
from pipeline.backbones.summary import summarize


def describe_catalog() -> list[dict[str, Any]]:
    """Return one row per backbone, in the catalog's order."""
    return [
        {
            "name": row.name,
            "family": row.family,
            "input_size": row.input_size,
            "min_size": row.min_size,
            "preprocessing": row.preprocessing,
            "n_parameters": row.n_parameters,
            "arguments": {argument.name: argument.default for argument in row.arguments},
            "cut_points": BackboneSpec(row).cut_points(),
        }
        for row in BACKBONES.values()
    ]


def describe_layers(backbone: str, image_size: int | None = None) -> list[dict[str, Any]]:
    """Return one row per layer of a backbone, from input to output."""
    return [asdict(row) for row in summarize(parse_backbone(backbone), image_size)]
