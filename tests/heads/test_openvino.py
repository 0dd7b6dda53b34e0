"""A head set on a graph of OpenVINO says what the head itself says."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.backbones import Cut
from pipeline.backbones.given_openvino import graph_model
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.openvino import graph_with_head
from pipeline.system.startup import compile_openvino
from tests.backbones.networks import SIDE, convolutional

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def computed(model, pixels):
    compiled = compile_openvino(model, EXACT)
    found = compiled([pixels])
    return [np.array(found[output]) for output in compiled.outputs]


@pytest.mark.parametrize(("rowwise", "blocks"), [("none", False), ("l2", False), ("sqrt-l2", True)])
@pytest.mark.parametrize("hidden", [(), (6,)])
def test_probabilities_are_the_heads(tmp_path, rowwise, blocks, hidden):
    path = convolutional(tmp_path / "network.onnx")
    cuts, names = [Cut("stage1_Add"), Cut("stage2_Add", "none")], ["a", "b"]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)

    def base():
        return graph_model("onnx", path, SIDE, cuts, names, "unit")

    flat = [one.reshape(3, -1) for one in computed(base(), pixels)]
    width = sum(one.shape[1] for one in flat)
    sizes = [width, *hidden, 4]
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in pairwise(sizes)]
    biases = [rng.normal(size=size).astype(np.float32) for size in sizes[1:]]
    parts = (8, width - 8) if blocks else ()
    head = NetworkHead(kernels, biases, rowwise, parts)
    wanted = softmax(head.scores(np.concatenate(flat, 1)))
    (received,) = computed(graph_with_head(base(), head, "probabilities"), pixels)
    np.testing.assert_allclose(received, wanted, rtol=1e-3, atol=1e-5)
