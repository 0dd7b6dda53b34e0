"""Several bases in one command: from screening to the run that knows of all of them."""

import json

import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import pipeline
from pipeline.cli import run
from pipeline.errors import DataError, InputError
from pipeline.runs import bases_of, load_run
from tests.api.conftest import answer

TWO = "MobileNet(alpha=0.25),EfficientNetLite0"
SMALL = ["--image-size", "32", "--layers", "block3", "--cache", "cache", "--runs", "bases"]
FLAGS = ["--weights", "none,default", "--heads", "centroid,ridge", "--folds", "3", *SMALL]


@pytest.fixture(scope="module")
def compared(root):
    """Random weights against trained ones: the answer is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        value = ["classify", "digits", "--backbone", TWO, "--sample", "12", *FLAGS, "--json"]
        with open("out.json", "w") as out:
            patch.setattr("sys.stdout", out)
            assert run(value) == 0
        return json.loads((root / "out.json").read_text())


def test_the_base_that_sees_more_is_chosen(compared, folder):
    random, trained = compared["bases"]
    assert trained["chosen"]
    assert random["dropped"].startswith("after 12 pictures a class, ")
    assert random["accuracy"] is None
    assert trained["sample_accuracy"] > random["sample_accuracy"]
    assert {result["backbone"] for result in compared["results"]} == {"EfficientNetLite0"}
    assert random["n_parameters"] is None
    assert trained["bytes_per_image"] == 4 * 40


def test_the_figure_is_corrected_for_having_chosen(compared, folder):
    best = load_run(folder / "bases" / compared["best"])
    assert best.selection.by.endswith("corrected for choosing among 2 bases")
    assert best.selection.candidates == 2
    assert best.selection.uncorrected >= best.selection.accuracy
    told = [row["sample_accuracy"] for row in compared["bases"]]
    assert [row["sample_accuracy"] for row in bases_of(best)] == told
    assert (best.path / "plots" / "bases.svg").is_file()
    assert best.config["backbone"] == "EfficientNetLite0"


def test_the_same_question_is_answered_from_disk(compared, folder, capsys):
    value = answer(capsys, "classify", "digits", "--backbone", TWO, "--sample", "12", *FLAGS)
    assert all(result["reused"] for result in value["results"])
    assert value["bases"] == compared["bases"]
    assert value["data"]["computed"] == 0


def test_with_time_for_all_both_see_all_pictures(compared, folder, capsys):
    backbones = "MobileNet(alpha=0.25),MobileNet(alpha=0.5)"
    asked = ("classify", "digits", "--backbone", backbones, "--weights", "none", "--heads", "lda")
    value = answer(capsys, *asked, "--folds", "3", "--budget", "1h", *SMALL)
    kept = [row["backbone"] for row in value["bases"] if not row["dropped"]]
    assert kept == [result["backbone"] for result in value["results"]]
    assert sum(row["chosen"] for row in value["bases"]) == 1


def test_what_cannot_be_compared_is_refused(folder):
    with pytest.raises(InputError, match="several bases for --sample, received backbone=VGG16"):
        pipeline.train_classifier("digits", backbone="VGG16", weights="none", sample=5)
    with pytest.raises(InputError, match="expected bases that differ, received VGG16 twice"):
        pipeline.train_classifier("digits", backbone="VGG16,VGG16()", weights="none")
    with pytest.raises(InputError, match=r"unknown backbone 'VGG17'"):
        pipeline.train_classifier("digits", backbone="VGG16,VGG17", weights="none")


def test_bases_are_searched_like_layers(folder):
    paths = sorted((folder / "digits" / "train").rglob("*.png"))
    labels = [path.parent.name for path in paths]
    base = pipeline.FrozenFeatures(image_size=32, cache="cache", weights="none")
    search = GridSearchCV(
        make_pipeline(base, KNeighborsClassifier()),
        {
            "frozenfeatures": [
                base,
                pipeline.FrozenFeatures(
                    "MobileNet(alpha=0.25)",
                    layer="block3",
                    image_size=32,
                    cache="cache",
                    weights="none",
                ),
            ]
        },
        cv=3,
    ).fit(paths, labels)
    assert len(search.cv_results_["mean_test_score"]) == 2
    assert search.best_score_ > 0.5


def test_a_class_of_one_cannot_judge(folder, tmp_path):
    (tmp_path / "few").mkdir()
    for split in ("train", "test"):
        for name in "01":
            source = next((folder / "digits" / split / name).iterdir())
            place = tmp_path / "few" / split / name
            place.mkdir(parents=True)
            (place / "a.png").write_bytes(source.read_bytes())
    with pytest.raises(DataError, match="at least 2 training pictures of every class to compare"):
        pipeline.train_classifier(
            tmp_path / "few", backbone=TWO, weights="none,default", image_size=32, layers="block3",
            cache="cache", runs=tmp_path / "runs",
        )  # fmt: skip
