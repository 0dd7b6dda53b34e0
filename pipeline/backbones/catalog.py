"""Which backbones exist, and how one is asked for: ``VGG16``, ``MobileNet(alpha=0.25)``.

Answers from a table of one row per constructor, so that listing backbones or refusing a bad name
imports no TensorFlow; beside it are the names of the 1,000 ImageNet classes.

Counts are values without the top at default arguments, batch statistics included. The table was
taken from models built with Keras 3.15.1 and is held against the installed Keras by the tests
and by ``benchmarks/check_catalog.py``.
"""

import functools
from importlib import resources
from types import MappingProxyType
from typing import Any

from pipeline.backbones.backbone import Backbone, BackboneSpec, given_backbone
from pipeline.backbones.families import (
    convnext,
    densenet,
    efficientnet,
    inception,
    mobilenet,
    mobilenet_v2,
    mobilenet_v3,
    nasnet,
    resnet,
    vgg,
)
from pipeline.backbones.given_files import NAME
from pipeline.calls import parse_call
from pipeline.errors import InputError, UnknownNameError


@functools.cache
def class_names() -> tuple[str, ...]:
    """Return the 1,000 distinct class names; the position is the index of the output.

    Source: WordNet 3.0 lemmas of the ILSVRC2012 synsets, packaged with this program.

    >>> class_names()[985]
    'daisy'
    """
    text = (resources.files(__package__) / "imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(row.split("\t")[1] for row in rows)


_V3_SMALL = ("project_bn", "2_add", "5_add", "7_add", "10_add")

_V3_LARGE = ("add", "2_add", "5_add", "9_add", "11_add", "14_add")

_POOLS = ("max_pooling2d", "max_pooling2d_1")

_INCEPTION_V3 = (*_POOLS, "mixed2", "mixed7", "mixed10")

_INCEPTION_RESNET = (*_POOLS, "block35_10_ac", "block17_20_ac", "conv_7b_ac")

_XCEPTION = (
    "block1_conv2_act",
    "add",
    *(f"add_{i}" for i in range(1, 12)),
    "block14_sepconv2_act",
)

ROWS: tuple[Backbone, ...] = (
    vgg("VGG16", 14_714_688),
    vgg("VGG19", 20_024_384),
    resnet("ResNet50", 23_587_712, (3, 4, 6, 3)),
    resnet("ResNet101", 42_658_176, (3, 4, 23, 3)),
    resnet("ResNet152", 58_370_944, (3, 8, 36, 3)),
    resnet("ResNet50V2", 23_564_800, (3, 4, 6, 3)),
    resnet("ResNet101V2", 42_626_560, (3, 4, 23, 3)),
    resnet("ResNet152V2", 58_331_648, (3, 8, 36, 3)),
    densenet("DenseNet121", 7_037_504, (6, 12, 24, 16)),
    densenet("DenseNet169", 12_642_880, (6, 12, 32, 32)),
    densenet("DenseNet201", 18_321_984, (6, 12, 48, 32)),
    inception("InceptionV3", "inception_v3", 21_802_784, 75, _INCEPTION_V3),
    inception("InceptionResNetV2", "inception_resnet_v2", 54_336_736, 75, _INCEPTION_RESNET),
    inception("Xception", "xception", 20_861_480, 71, _XCEPTION),
    mobilenet(3_228_864),
    mobilenet_v2(2_257_984),
    mobilenet_v3("MobileNetV3Small", 939_120, _V3_SMALL, 17, 22),
    mobilenet_v3("MobileNetV3Large", 2_996_352, _V3_LARGE, 19, 30),
    nasnet("NASNetMobile", 224, 4_269_716, 4, "activation_187"),
    nasnet("NASNetLarge", 331, 84_916_818, 6, "activation_259"),
    efficientnet("EfficientNetB0", 224, 4_049_571, "abbccda"),
    efficientnet("EfficientNetB1", 240, 6_575_239, "bccddeb"),
    efficientnet("EfficientNetB2", 260, 7_768_569, "bccddeb"),
    efficientnet("EfficientNetB3", 300, 10_783_535, "bcceefb"),
    efficientnet("EfficientNetB4", 380, 17_673_823, "bddffhb"),
    efficientnet("EfficientNetB5", 456, 28_513_527, "ceeggic"),
    efficientnet("EfficientNetB6", 528, 40_960_143, "cffhhkc"),
    efficientnet("EfficientNetB7", 600, 64_097_687, "dggjjmd"),
    efficientnet("EfficientNetV2B0", 224, 5_919_312, "abbceh"),
    efficientnet("EfficientNetV2B1", 240, 6_931_124, "bccdfi"),
    efficientnet("EfficientNetV2B2", 260, 8_769_374, "bccdfj"),
    efficientnet("EfficientNetV2B3", 300, 12_930_622, "bccegl"),
    efficientnet("EfficientNetV2S", 384, 20_331_360, "bddfio"),
    efficientnet("EfficientNetV2M", 480, 53_150_388, "ceegnre"),
    efficientnet("EfficientNetV2L", 480, 117_746_848, "dggjsyg"),
    efficientnet("EfficientNetLite0", 224, 3_413_024, "abbccda"),
    efficientnet("EfficientNetLite1", 240, 4_189_344, "accddea"),
    efficientnet("EfficientNetLite2", 260, 4_869_168, "accddea"),
    convnext("ConvNeXtTiny", 27_820_128),
    convnext("ConvNeXtSmall", 49_454_688),
    convnext("ConvNeXtBase", 87_566_464),
    convnext("ConvNeXtLarge", 196_230_336),
    convnext("ConvNeXtXLarge", 348_147_968),
)

BACKBONES = MappingProxyType({row.name: row for row in ROWS})


def parse_backbone(text: str) -> BackboneSpec:
    """Read a backbone with its architecture arguments.

    Args:
        text: A name of the catalog, with arguments in brackets where it takes any; or what runs
            call a base that a user brought, of which nothing is known then.

    Returns:
        The spec; arguments that equal their defaults are dropped, so that two texts for the same
        architecture give equal specs.

    Raises:
        UnknownNameError: If the catalog has no such backbone, or the backbone no such argument.
        InputError: If the text or the value of an argument cannot be used.

    >>> str(parse_backbone("MobileNet(depth_multiplier=1, alpha=0.250)"))
    'MobileNet(alpha=0.25)'
    """
    name, given = parse_call(text)
    if NAME.fullmatch(name) and not given:
        return BackboneSpec(given_backbone(name))
    if name not in BACKBONES:
        hint = "'pipeline backbones' lists all of them; a network of your own is named by its file"
        raise UnknownNameError("backbone", name, BACKBONES, hint)
    backbone = BACKBONES[name]
    checked = {key: _check_argument(backbone, key, value) for key, value in given.items()}
    defaults = {argument.name: argument.default for argument in backbone.arguments}
    kept = {key: value for key, value in checked.items() if value != defaults[key]}
    return BackboneSpec(backbone, dict(sorted(kept.items())))


def _check_argument(backbone: Backbone, name: str, value: Any) -> Any:
    known = {argument.name: argument for argument in backbone.arguments}
    if name not in known:
        accepted = f"takes {', '.join(known)}" if known else "takes no arguments"
        raise UnknownNameError("argument", name, known, f"{backbone.name} {accepted}")
    expected = type(known[name].default)
    if expected is float and type(value) is int:
        value = float(value)
    # bool is an int to Python; alpha=True is a mistake all the same.
    if type(value) is not expected or (expected is not bool and not 0 < value < 100):
        wanted = {bool: "True or False", int: "a whole number from 1 to 99"}
        raise InputError(
            f"expected {wanted.get(expected, 'a number above 0 and below 100')} for "
            f"{name} of {backbone.name}, received {name}={value!r}"
        )
    return value
