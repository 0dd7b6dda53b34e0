"""Large steps first, smaller ones where these get no further than the head."""

import json
import shutil
from dataclasses import replace

import pytest

from pipeline.cli import run
from pipeline.config import FinetuneConfig
from pipeline.finetune import attempts
from pipeline.finetune.attempts import rates
from pipeline.finetune.finetune import finetune
from pipeline.finetune.training.plan import Epoch, Plan, is_over
from pipeline.system.progress import Reporter
from tests.finetune.test_finetune import command, opened, project

__all__ = ["project"]  # a fixture
WILD = 1e4
LOOKED = ({"learning_rate": 2e-5}, (2e-5,)), ({}, (1e-3, 3e-4, 1e-4)), ({"epochs": 3}, (3e-4,))


@pytest.mark.parametrize(("flags", "expected"), LOOKED)
def test_what_is_said_is_taken_and_few_epochs_are_no_time_to_look(flags, expected):
    assert rates(FinetuneConfig(**flags)) == expected


def test_the_first_epoch_is_taken_and_no_other_that_would_not_end_in_time():
    """Times are those of the epochs: an interruption takes none."""
    history = [Epoch(n, None, None, 1.0, 0.5, 0.0, seconds) for n, seconds in enumerate((1, 4, 3))]
    plan = Plan(12, 6, 4, 1e-3, 0.0, 0.0, seconds=0.5)
    assert not is_over(history[:1], plan)
    assert is_over(history[:2], plan)
    assert not is_over(history, replace(plan, seconds=11))
    assert is_over(history, replace(plan, seconds=10.9))


class Interrupting(Reporter):
    """Is interrupted as soon as an epoch has been told of so many times."""

    def __init__(self, left=99):
        self.told, self._left = [], left

    def epoch(self, epoch):
        self.told.append(epoch.epoch)
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt


def test_no_attempt_is_made_twice(project, tmp_path, monkeypatch, capsys):
    """Interrupted in the second attempt it goes on there, and ends as if undisturbed."""
    monkeypatch.setattr(attempts, "RATES", (WILD, 1e-3))
    settings = {"mode": "tail", "unfreeze": "block4", "epochs": 4, "batch_size": 8}
    ended = []
    for stops in ((), (5,)):
        root = shutil.copytree(project, tmp_path / f"copy{len(stops)}")
        folders = {"cache": root / "features", "runs": root / "runs", "anyway": True}
        config = FinetuneConfig(**settings, **folders)
        for stop in stops:
            with pytest.raises(KeyboardInterrupt):
                finetune(config, *opened(root), Interrupting(stop))
        reporter = Interrupting()
        ended.append((finetune(config, *opened(root), reporter), reporter.told))
        assert not (root / "runs" / ".checkpoints").exists()
    (whole, told), (resumed, told_after) = ended
    n_first = told.index(0, 1)
    assert told[n_first:] == list(range(len(told) - n_first))
    assert told_after == told[5:]
    info = json.loads((resumed.run.path / "run.json").read_text())
    assert (info["learning_rate"], info["given_up"]) == (1e-3, [WILD])
    losses = [[epoch["validation_loss"] for epoch in one.to_dict()["epochs"]] for one, _ in ended]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert resumed.to_dict()["given_up"] == whole.to_dict()["given_up"] == [WILD]
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    assert run(command(root, "finetune", *flags)) == 0
    assert (
        "layers learned, in steps of 0.001, after 10000 got no further" in capsys.readouterr().out
    )


def test_a_budget_ends_it_after_what_has_been_learnt(project, tmp_path):
    """Without gain by then, no smaller steps are tried; interrupted, it ends with the same."""
    root = shutil.copytree(project, tmp_path / "copy")
    config = FinetuneConfig(
        cache=root / "features",
        runs=root / "runs",
        mode="tail",
        unfreeze="block4",
        batch_size=8,
        budget="0.01s",
        anyway=True,
    )
    with pytest.raises(KeyboardInterrupt):
        finetune(config, *opened(root), Interrupting(2))
    done = finetune(config, *opened(root)).to_dict()
    assert ([epoch["epoch"] for epoch in done["epochs"]], done["given_up"]) == ([0, 1], [])
    assert not finetune(replace(config, budget="2h", epochs=2), *opened(root)).reused
    assert finetune(config, *opened(root)).reused
