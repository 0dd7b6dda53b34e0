"""Which class an answer is held against, and maps of runs that cannot be taken apart."""

from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import RunError, UnknownNameError
from pipeline.evidence.explain import class_number, known_labels, label_of, opponent
from pipeline.evidence.occlusion import Occlusion
from pipeline.heads import softmax
from pipeline.predict.labelling import Predictor
from pipeline.predict.origins import Origin


def corner_reader():
    """Return a predictor that looks at the upper left eighth only; white there is class 1."""

    def outputs(batches):
        for images in batches:
            bright = images[:, :4, :4].mean((1, 2, 3)) / 255
            yield np.stack([1 - bright, bright], 1) * 4

    return Predictor(("dark", "bright"), None, outputs, lambda views: softmax(views[0]))


def test_occlusion_finds_what_the_answer_needs():
    image = np.zeros((32, 32, 3), np.uint8)
    image[:4, :4] = 255
    method = Occlusion(corner_reader(), 8, 2)
    assert method.passes == 65
    assert "8 × 8 squares, 65 passes" in method.about
    ((origin,),) = method.run(iter([image[None]]))
    cells = origin.of([1])[..., 0]
    assert cells.argmax() == 0
    assert cells[0, 0] > 1
    assert np.abs(cells.ravel()[1:]).max() < 1e-9
    assert origin.scores.argmax() == 1
    assert origin.bias is None


def test_batches_stay_apart():
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    batches = [images[:3], images[3:], images[:0]]
    found = list(Occlusion(corner_reader(), 4, 3).run(iter(batches)))
    assert list(map(len, found)) == [3, 2, 0]
    assert [len(one) for one in Occlusion(corner_reader(), 4, 3).run(iter([images[:0]]))] == [0]
    (alone,) = Occlusion(corner_reader(), 4, 3).run(iter([images[4:]]))
    np.testing.assert_array_equal(alone[0].of([0, 1]), found[1][1].of([0, 1]))


@pytest.mark.parametrize(
    ("against", "label", "expected"),
    [(None, None, 2), (None, 0, 0), (None, 1, 2), (0, None, 0), (0, 2, 0), (1, None, 2)],
)
def test_what_an_answer_is_held_against(against, label, expected):
    assert opponent(np.array([1.0, 3.0, 2.0]), against, label) == expected


def test_a_class_that_is_not_there_is_named():
    with pytest.raises(
        UnknownNameError, match="unknown class 'dog'; nearest: dogs; the classes are"
    ):
        class_number(("cats", "dogs"), "dog")


def test_labels_are_known_by_content():
    digests = ["aa", "bb", "bb", "cc", "cc"]
    labels = ["x", "x", "y", "y", "y"]
    rows = [{"digest": d, "label": n} for d, n in zip(digests, labels, strict=True)]
    run = SimpleNamespace(predictions=lambda: iter(rows))
    assert known_labels(run, ("x", "y")) == {"aa": 0, "cc": 1}  # bb has two

    def gone(row):
        raise FileNotFoundError

    assert label_of(SimpleNamespace(read=gone), 0, {}) is None


def test_cells_that_are_no_sum_are_refused():
    cells = np.ones((2, 2, 1))
    right = Origin(np.array([4.5]), lambda classes: cells, np.array([0.5]))
    assert right.checked([0]) is cells
    wrong = Origin(np.array([4.6]), lambda classes: cells, np.array([0.5]))
    with pytest.raises(RunError, match=r"whose sum is the score \[4.6\], received \[4.5\]"):
        wrong.checked([0])
