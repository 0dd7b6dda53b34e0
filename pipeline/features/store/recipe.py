"""The recipe: everything that decides a feature's value, and the key it makes.

Not in it, because they change no value: labels, splits, file names, batch size, engine.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.backbones.engines.precision import FLOAT32, kind_of
from pipeline.system.files import canonical_json

CutName = tuple[str, str]
"""How the store knows a cut: its layer and the pooling, e.g. ``("top_activation", "avg")``."""

MAX_ID_LAYERS = 3

DTYPES = ("float32", "float16")
"""What features are stored as."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a feature's value.

    Args:
        backbone: Canonical name with arguments, e.g. ``"MobileNet(alpha=0.25)"``.
        weights: SHA-256 of the weights file (or of the seed's description), in hex.
        cuts: Layers with their poolings, in the order they were asked for.
        image_size: Side in pixels of the square input.
        preprocessing: Arithmetic family: caffe, tf, torch, lite, none.
        decoding: Version, resize mode and interpolation of the decoder.
        view: Policy and seed of augmented views; ``{"policy": "clean"}`` is the picture itself.
        dtype: Stored dtype of the features.
        precision: Arithmetic of the base, float32, bfloat16, mixed_float16 or mixed_bfloat16; or
            int8: and the digest of the quantised model.
    """

    backbone: str
    weights: str
    cuts: tuple[CutName, ...]
    image_size: int
    preprocessing: str
    decoding: Mapping[str, Any]
    view: Mapping[str, Any]
    dtype: str = "float32"
    precision: str = "float32"

    @property
    def id(self) -> str:
        """Readable name plus digest, e.g. ``EfficientNetLite0-top_activation-avg-1f3a…``."""
        layers = sorted({layer for layer, _ in self.cuts})
        more = len(layers) - MAX_ID_LAYERS
        shown = "+".join(layers[:MAX_ID_LAYERS]) + (f"+{more}more" if more > 0 else "")
        poolings = "_".join(sorted({pooling for _, pooling in self.cuts}))
        readable = f"{self.backbone}-{shown}-{poolings}"
        safe = "".join(c if c.isalnum() or c in "-_.+=(),@" else "_" for c in readable)
        return f"{safe[:150]}-{self.digest[:12]}"

    @property
    def base(self) -> str:
        """Its base for people, with the precision where that is not the usual one."""
        precision = kind_of(self.precision)
        return self.backbone if precision == FLOAT32 else f"{self.backbone} in {precision}"

    def named(self, weights: str) -> str:
        """Its base for people: a network of the user's by its file, which the weights tell."""
        kind, _, digest = self.backbone.partition(":")
        if not digest:
            return self.base
        *_, run, folder, file = ("", "", *Path(weights).parts)
        shown = run if folder == "bundle" else file
        return self.base.replace(f"{kind}:{digest}", f"{shown} ({digest[:4]})")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hex. The order of the cuts does not matter."""
        value = self.to_dict()
        value["cuts"] = sorted(value["cuts"])
        return hashlib.sha256(canonical_json(value).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "cuts": [list(cut) for cut in self.cuts]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Recipe":
        """Inverse of `to_dict`; raises KeyError, TypeError or ValueError on anything else."""
        cuts = tuple((str(layer), str(pooling)) for layer, pooling in value["cuts"])
        recipe = cls(**{**value, "cuts": cuts})
        texts = (recipe.backbone, recipe.weights, recipe.preprocessing, recipe.precision)
        mappings = (recipe.decoding, recipe.view)
        right = all(isinstance(text, str) for text in texts)
        right &= all(isinstance(mapping, Mapping) for mapping in mappings)
        if (
            not right
            or type(recipe.image_size) is not int
            or len(set(cuts)) != len(cuts)
            or not cuts
        ):
            raise TypeError("values of other types than a recipe has")
        if recipe.dtype not in DTYPES:
            raise ValueError(f"dtype={recipe.dtype!r}")
        return recipe

    def covers(self, other: "Recipe") -> bool:
        """Whether features of this recipe contain, value for value, those of ``other``."""
        return set(other.cuts) <= set(self.cuts) and replace(other, cuts=self.cuts) == self

    def dataset_name(self, cut: CutName) -> str:
        """Return where in a shard the features of ``cut`` are.

        ``features/<layer>``; with several poolings of one layer ``features/<layer>.<pooling>``.
        """
        layer, pooling = cut
        shared = sum(other == layer for other, _ in self.cuts) > 1
        return f"features/{layer}.{pooling}" if shared else f"features/{layer}"
