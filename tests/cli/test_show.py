from functools import partial

import numpy as np

from pipeline.classify.learning_curve import learning_curve
from pipeline.cli.show import error
from pipeline.cli.show.check import learned, mistaken
from pipeline.evaluate import confident_mistakes, confused_pairs
from pipeline.heads import parse_head
from pipeline.heads.fit import out_of_fold_scores
from pipeline.heads.sample import Sample


def test_the_ends_of_a_long_sentence_are_shown(capsys):
    error("expected " + "layer, " * 9000 + "; save it again")
    said = capsys.readouterr().err
    assert len(said) < 1100
    assert said.startswith("pipeline: expected layer, layer")
    assert said.endswith("layer, ; save it again\n")
    error("short")
    assert capsys.readouterr().err == "pipeline: short\n"


def test_learning_curve_ends_with_its_sentence(capsys):
    labels = np.arange(80) % 2
    features = (labels[:, None] + np.random.default_rng(0).normal(size=(80, 5))).astype(np.float32)
    sample, ridge = Sample(features, labels, 2), parse_head("ridge")
    score = partial(out_of_fold_scores, ridge, sample)
    value = learning_curve(score, labels).to_dict()
    learned(value)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(value["points"]) + 1
    assert lines[0].startswith(f"{value['points'][0]['n']:>8} pictures  0.")
    assert lines[-1] == value["sentence"]


def test_mistakes_with_their_pictures(capsys):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    given = probabilities, np.array([1, 1]), ["a.jpg", "b.jpg"], ("cat", "dog")
    pairs, mistakes = confused_pairs(*given), confident_mistakes(*given)
    mistaken([one.to_dict() for one in pairs], [one.to_dict() for one in mistakes])
    assert capsys.readouterr().out == (
        "most often confused:\n"
        "  dog called cat: 1 (50.0%), e.g. a.jpg\n"
        "surest mistakes:\n"
        "  a.jpg: dog (0.100), called cat (0.900)\n"
    )
    mistaken([], [])
    assert capsys.readouterr().out == ""
