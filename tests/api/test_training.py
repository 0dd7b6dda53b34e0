"""Stages 2 and 3 as functions do what the commands do."""

import shutil

import pipeline
from tests.api.conftest import BASE, FLAGS, answer


def test_results_are_those_of_the_command(trained, capsys):
    value = answer(capsys, "classify", "digits", "--heads", "logistic,knn", "--folds", "3", *FLAGS)
    assert trained.best.run.name == value["best"]
    for result, told in zip(trained.results, value["results"], strict=True):
        assert told["reused"]
        assert not result.reused
        assert (result.run.name, result.head) == (told["run"], told["head"])
        assert result.cv_accuracy == result.selection_accuracy == told["cv_accuracy"]
        assert result.test_accuracy == told["test"]["accuracy"]
        assert list(result.test_interval) == told["test"]["ci95"]
    assert trained.features.images == 96
    assert repr(trained) == f"Trained(2 results, best={trained.best!r})"
    assert pipeline.load_run(trained.best).name == trained.best.run.name


def test_fine_tuning_goes_on_from_a_run(trained, capsys):
    told = []
    settings = {"mode": "frozen", "epochs": 1, "cache": "cache", "anyway": True}
    source = trained.results[0].run
    tuned = pipeline.fine_tune(
        "digits", from_run=trained.results[0], progress=lambda *step: told.append(step), **settings
    )
    assert tuned.from_run == source.name
    assert [epoch["epoch"] for epoch in tuned.epochs] == [0, 1]
    assert tuned.initial["head_accuracy"] == tuned.initial["validation_accuracy"]
    assert {what for _, _, what in told} == {"index", "epoch 1"}
    assert (told[-1][0], told[-1][2]) == (told[-1][1], "epoch 1")
    assert not tuned.reused
    assert pipeline.fine_tune("digits", from_run=source.name, **settings).reused
    flags = ["--mode", "frozen", "--epochs", "1", "--cache", "cache", "--anyway"]
    assert answer(capsys, "finetune", "digits", "--from", source.name, *flags)["run"] == (
        tuned.run.name
    )
    assert set(tuned.run.predict("digits/test")) <= set("012")
    longer = pipeline.fine_tune("digits", from_run=tuned.run, **settings)
    assert (longer.from_run, longer.reused) == (tuned.run.name, False)


def test_best_is_of_the_pictures_that_were_asked_about_last(trained, folder):
    """Also where that answer came from disk, by any of the functions that learn."""
    shutil.copytree("digits", "two", dirs_exist_ok=True)
    for split in ("train", "test"):
        shutil.rmtree(f"two/{split}/2")

    def best():
        return pipeline.load_run("best").classes

    two = {"heads": "logistic", "folds": 3, "repeats": 1, **BASE}
    pipeline.train_classifier("two", **two)
    assert best() == ("0", "1")
    assert pipeline.train_classifier("digits", heads="knn", folds=3, **BASE).best.reused
    assert best() == ("0", "1", "2")
    assert pipeline.train_classifier("two", **two).best.reused
    assert best() == ("0", "1")
    source = trained.results[0]
    pipeline.fine_tune(
        "digits", from_run=source, mode="frozen", epochs=1, cache="cache", anyway=True
    )
    assert best() == ("0", "1", "2")
    assert pipeline.load_run("best:two").classes == ("0", "1")
    assert pipeline.load_run("best:./digits").classes == ("0", "1", "2")
