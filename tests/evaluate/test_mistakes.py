import numpy as np
import pytest

from pipeline.evaluate import confident_mistakes, confused_pairs

CLASSES = ("cat", "dog", "fox")
LABELS = np.array([0, 0, 0, 1, 1, 2])
CALLED = [1, 1, 0, 0, 1, 0]
SURE = np.array([0.6, 0.9, 0.8, 0.7, 0.5, 0.95])
PATHS = [f"{i}.jpg" for i in range(6)]


def probabilities():
    made = np.tile(((1 - SURE) / 2)[:, None], 3)
    made[np.arange(6), CALLED] = SURE
    return made


def test_pairs_come_most_frequent_first_with_the_surest_pictures():
    cat_dog, fox_cat, dog_cat = confused_pairs(probabilities(), LABELS, PATHS, CLASSES)
    assert cat_dog.to_dict() == {
        "class": "cat",
        "called": "dog",
        "count": 2,
        "share": 2 / 3,
        "paths": ["1.jpg", "0.jpg"],
    }
    assert (fox_cat.given, fox_cat.share) == ("fox", 1.0)
    assert (dog_cat.given, dog_cat.share) == ("dog", 0.5)


def test_surest_mistakes_come_first():
    mistakes = confident_mistakes(probabilities(), LABELS, PATHS, CLASSES, top=2)
    assert [mistake.path for mistake in mistakes] == ["5.jpg", "1.jpg"]
    assert mistakes[0].to_dict() == {
        "path": "5.jpg",
        "label": "fox",
        "prediction": "cat",
        "probability": 0.95,
        "given_probability": pytest.approx(0.025),
    }


def test_lists_are_cut():
    assert len(confused_pairs(probabilities(), LABELS, PATHS, CLASSES, top=1)) == 1
    (first, *_) = confused_pairs(probabilities(), LABELS, PATHS, CLASSES, examples=1)
    assert first.paths == ("1.jpg",)


def test_no_mistake_is_an_empty_list():
    right = np.eye(3)[LABELS]
    assert confused_pairs(right, LABELS, PATHS, CLASSES) == []
    assert confident_mistakes(right, LABELS, PATHS, CLASSES) == []
