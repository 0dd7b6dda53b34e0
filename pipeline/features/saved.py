"""A base as runs and bundles say it, made again; raises where it cannot be, or is another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.backbones.backbone import BackboneSpec, GivenGraph, given_backbone
from pipeline.backbones.catalog import parse_backbone
from pipeline.backbones.cuts import Cut
from pipeline.backbones.engines.precision import check_precision
from pipeline.backbones.weights import CHOICES, WeightsSource, resolve_weights
from pipeline.config import DTYPES
from pipeline.errors import InputError, UnknownNameError, WeightsError
from pipeline.features.base import FrozenBase, note_file
from pipeline.features.store.recipe import CutName
from pipeline.images import DecodeRecipe
from pipeline.images.own import is_own
from pipeline.system.typed import record


@dataclass(frozen=True, kw_only=True)
class SavedBase:
    """A base as runs and bundles say it, which `FrozenBase.to_dict` wrote."""

    backbone: str
    weights: str
    weights_digest: str
    weights_seed: int
    with_top: bool
    cuts: tuple[CutName, ...]
    image_size: int
    resize: str
    interpolation: str
    decoder_version: int
    jpeg: str = "full"
    precision: str
    dtype: str = "float32"
    given: GivenGraph | None = None


def frozen_from_dict(
    value: Mapping[str, Any], *, look: bool = False, of_run: bool = False
) -> FrozenBase:
    """Make a saved base again.

    Args:
        value: From `FrozenBase.to_dict`.
        look: Only the recipe is wanted, to read what is cached: weights are not looked for, and
            the base cannot be built.
        of_run: A run says it, which anybody may have written: a file of weights is opened only if
            a command of this user's named it.

    Raises:
        MisreadError: It is something else.
        InputError: There is no such base, or no such cut.
        WeightsError: The weights are gone, are not the same as then, or not to be opened.
    """
    saved: SavedBase = record(SavedBase, value)
    spec = parse_backbone(saved.backbone)
    if spec.backbone.given:
        any_size = saved.given is not None and saved.given.size != saved.image_size
        spec = BackboneSpec(given_backbone(spec.backbone.name, saved.given, any_size=any_size))
    cuts = tuple(Cut(layer, pooling) for layer, pooling in saved.cuts)
    check_precision(saved.precision)
    if saved.dtype not in DTYPES:
        raise UnknownNameError("dtype", saved.dtype, DTYPES)
    decoding = decoding_from_dict(value)
    spec.check_image_size(decoding.size)
    if look:
        source = WeightsSource("recorded", None, saved.weights_digest)
    else:
        if of_run and saved.weights not in CHOICES and not is_own(saved.weights):
            raise WeightsError(
                f"expected weights in a file that a command of yours has named here, received "
                f"weights={saved.weights!r}, which only the run says; name the file with --weights "
                f"PATH if you have it"
            )
        source = _same_weights(spec, saved)
    return FrozenBase(
        spec, saved.weights, source, cuts, decoding, saved.precision, saved.with_top, saved.dtype
    )


def with_weights(value: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """Return a saved base whose weights are where the user's own command says.

    Raises:
        MisreadError: The base is something else.
        WeightsError: The weights are not there, are others, or are none.
    """
    saved: SavedBase = record(SavedBase, {**value, "weights": weights})
    spec = parse_backbone(saved.backbone)
    try:
        source = _same_weights(spec, saved)
    except InputError as error:  # the command is wrong, and not what the run says
        raise WeightsError(str(error)) from error
    note_file(source)
    path = source.path if source.kind == "file" else None
    return {**value, "weights": weights if path is None else str(path.resolve())}


def _same_weights(spec: BackboneSpec, saved: SavedBase) -> WeightsSource:
    given, wanted, size = saved.weights, saved.weights_digest, saved.image_size
    top, seed = saved.with_top, saved.weights_seed
    source = resolve_weights(spec, given, seed, include_top=top, image_size=size)
    if source.digest != wanted:
        raise WeightsError(
            f"expected the weights with digest {wanted[:12]}…, received {source.digest[:12]}… "
            f"from weights={given!r}: the file was changed since the run was made, or is another; "
            f"put the old one back or train again"
        )
    return source


def decoding_from_dict(value: Mapping[str, Any]) -> DecodeRecipe:
    """Make the decode recipe of a saved run again; raises MisreadError and InputError."""
    saved: SavedBase = record(SavedBase, value)
    return DecodeRecipe(
        saved.image_size,
        saved.resize,
        saved.interpolation,
        saved.decoder_version,
        jpeg=saved.jpeg,
    )
