"""Where a network of nodes is cut: no framework, no file."""

import pytest

from pipeline.backbones.cuts import n_prefix
from pipeline.backbones.graph import Graph, Node, names
from pipeline.errors import InputError, UnknownNameError


def graph(*nodes, output=None):
    return Graph((Node("images", "InputLayer", (8, 8, 3)), *nodes), output or nodes[-1].name, 8)


def residual(at, name, shape):
    return [
        Node(f"{name}_conv", "Conv2D", shape, (at,), 9),
        Node(f"{name}_out", "Add", shape, (f"{name}_conv", at)),
    ]


def test_stages_end_at_their_last_sum_and_the_last_is_the_top():
    found = graph(
        Node("scale", "Rescaling", (8, 8, 3), ("images",)),
        Node("stem", "Conv2D", (4, 4, 8), ("scale",), 9),
        *residual("stem", "a", (4, 4, 8)),
        *residual("a_out", "b", (4, 4, 8)),
        Node("expand", "Conv2D", (4, 4, 16), ("b_out",), 9),
        Node("down", "Conv2D", (2, 2, 8), ("expand",), 9),
        *residual("down", "c", (2, 2, 8)),
        Node("last", "Activation", (2, 2, 8), ("c_out",)),
        Node("pool", "GlobalAveragePooling2D", (8,), ("last",)),
        Node("classes", "Dense", (5,), ("pool",), 9),
    )
    assert found.cut_points() == (("b_out", "last"), "last")
    assert found.n_parameters == 9 * 7


def test_blocks_of_tokens_end_at_every_second_sum():
    nodes, at = [Node("embed", "MatMul", (5, 8), ("images",), 9)], "embed"
    for name in ("attention1", "mlp1", "attention2", "mlp2"):
        nodes += residual(at, name, (5, 8))
        at = f"{name}_out"
    nodes += [Node("norm", "Add", (5, 8), (at,)), Node("one", "Gather", (1, 8), ("norm",))]
    assert graph(*nodes).cut_points() == (("mlp1_out", "mlp2_out"), "norm")


def test_a_layer_that_is_a_block_ends_one():
    nodes = [Node("embed", "Embed", (5, 8), ("images",), 9)]
    nodes += [Node("one", "Block", (5, 8), ("embed",), 9, block=True)]
    nodes += [Node("two", "Block", (5, 8), ("one",), 9, block=True)]
    assert graph(*nodes).cut_points() == (("one", "two"), "two")


def test_a_map_of_one_place_is_a_top_and_its_pooling_is_not():
    nodes = [Node("conv", "Conv2D", (1, 1, 8), ("images",), 9)]
    nodes += [Node("pool", "ReduceMean", (1, 1, 8), ("conv",))]
    assert graph(*nodes).cut_points() == (("conv",), "conv")


def test_a_network_of_vectors_is_cut_at_its_output():
    assert graph(Node("dense", "Dense", (5,), ("images",), 9)).cut_points() == ((), "dense")


def test_names_are_safe_and_differ():
    found = list(names(["/layer1/relu_1/Relu", "layer1.relu_1,Relu", "é+ü", "a b"]))
    assert found == ["layer1_relu_1_Relu", "layer1_relu_1_Relu_2", "node", "a_b"]


@pytest.mark.parametrize(("n", "before"), [(197, 1), (50, 1), (261, 5), (201, 5), (196, 0)])
def test_class_and_registers_come_before_a_square_of_patches(n, before):
    assert n_prefix(n) == before


def test_cuts_are_checked_before_anything_is_built():
    found = graph(
        Node("map", "Conv2D", (4, 4, 8), ("images",)), Node("tokens", "Reshape", (16, 8), ("map",))
    )
    found.check_cut("map", "gem")
    found.check_cut("tokens", "avg")
    with pytest.raises(UnknownNameError, match=r"unknown layer 'maps'; nearest: map"):
        found.check_cut("maps", "avg")
    with pytest.raises(InputError, match=r"tokens .* at layer map for pooling cls, .* 4×4×8"):
        found.check_cut("map", "cls")
    with pytest.raises(InputError, match=r"pooling patch, received an output of 16×8"):
        found.check_cut("tokens", "patch")
