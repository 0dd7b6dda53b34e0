"""From a fine-tuned run fine-tuning goes on where that ended."""

import json

import pytest

from pipeline.cli import run
from tests.finetune.test_finetune import SHORT, answer, command, project

__all__ = ["project"]  # a fixture
QUICK = [*SHORT, "--learning-rate", "3e-3"]


@pytest.fixture(scope="module")
def tuned(project):
    """A run whose base has learnt; what it says of itself, and how it judged its kept weights."""
    assert run(command(project, "finetune", *QUICK, "--seed", "5")) == 0
    (path,) = (project / "runs").glob("*finetune-block4*/metrics.json")
    return path.parent.name, json.loads(path.read_text())


def test_it_begins_where_the_run_ended(project, tuned, capsys):
    """The same pictures decide, whatever the seed: it has learnt from all others."""
    name, metrics = tuned
    deeper = ["--from", name, "--unfreeze", "block3", "--epochs", "1", "--batch-size", "8"]
    value = answer(capsys, command(project, "finetune", *deeper, "--seed", "6"))
    assert (value["from"], value["trained"]) == (name, True)
    before, ended = value["epochs"][0], metrics["selection"]
    assert metrics["epochs"][0]["validation_loss"] > 1.1 * ended["validation_log_loss"]
    assert before["validation_loss"] == pytest.approx(ended["validation_log_loss"], rel=1e-3)
    assert value["initial"]["max_probability_difference"] < 1e-4
    path = project / "runs" / value["run"] / "metrics.json"
    by = json.loads(path.read_text())["selection"]["by"]
    assert by.count("the gain") == 1
    assert answer(capsys, command(project, "finetune", *deeper, "--seed", "6"))["reused"]


def test_activations_below_are_those_of_the_base_or_none(project, tuned, capsys):
    tail = ["finetune", "--from", tuned[0], "--mode", "tail", "--epochs", "1", "--unfreeze"]
    value = answer(capsys, command(project, *tail, "block4"))
    ended = tuned[1]["selection"]["validation_log_loss"]
    assert value["epochs"][0]["validation_loss"] == pytest.approx(ended, rel=1e-3)
    assert run(command(project, *tail, "block4b_add")) == 2
    assert "which have been fine-tuned; choose a lower --unfreeze" in capsys.readouterr().err


def test_other_pictures_may_have_been_learnt_from(project, tuned, capsys):
    """A picture more: which of them decide is drawn anew, and some have been learnt from."""
    source = project / "data" / "train" / "red"
    more = source / "more.png"
    more.write_bytes((source / "0.png").read_bytes() + b"\0")
    try:
        flags = ["--from", tuned[0], "--mode", "frozen", "--epochs", "1"]
        assert run(command(project, "finetune", *flags)) == 0
        assert "it may have learnt from some of those that decide here" in capsys.readouterr().err
    finally:
        more.unlink()
