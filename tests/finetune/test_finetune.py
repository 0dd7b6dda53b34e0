"""Stage 3 as a user runs it: three modes, interruptions, and what it refuses."""

import csv
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import FinetuneConfig
from pipeline.errors import DataError, InputError, StoreError
from pipeline.finetune.checkpoint import Checkpoint
from pipeline.finetune.outcome import selection, sure_gain
from pipeline.finetune.settings import changes, class_weight, depth
from pipeline.finetune.training.plan import Epoch, State
from pipeline.finetune.training.randomness import epoch_order
from pipeline.heads import parse_head
from pipeline.runs import SelectionFigures, load_run
from pipeline.system.progress import Reporter
from tests.conftest import write_picture
from tests.runs.test_folder import HITS, make_run

BASE = ["--image-size", "32", "--layers", "block2+block4", "--heads", "logistic", "--folds", "2"]
SMALL = ["--batch-size", "8", "--unfreeze", "block4"]
SHORT = ["--epochs", "2", *SMALL]


def command(root, name, *more):
    folders = ["--cache", str(root / "features"), "--runs", str(root / "runs")]
    anyway = ["--anyway"] if name == "finetune" else []  # colours leave nothing to gain
    return [name, str(root / "data"), *more, *anyway, *folders]


def answer(capsys, arguments):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three classes, and a logistic head that has learnt from two views of each picture."""
    root = tmp_path_factory.mktemp("finetuning")
    for split, count in (("train", 12), ("test", 4)):
        for hue, name in enumerate(("blue", "green", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=2 - hue)
    views = ["--views", "2", "--view-policy", "shift,brightness"]
    assert run(command(root, "classify", *BASE, *views)) == 0
    return root


def weights_of(root, value):
    import keras

    path = root / "runs" / value["run"] / "bundle" / "model.keras"
    model = keras.saving.load_model(path, compile=False)
    return {weight.path: weight.numpy() for weight in model.weights}


def history(value):
    """Return what must not depend on an interruption: all but the seconds."""
    return [
        [epoch[name] or 0.0 for name in epoch if name != "seconds"] for epoch in value["epochs"]
    ]


def pristine(root):
    """Return the weights of the base as nobody has trained it."""
    from pipeline.features.saved import frozen_from_dict

    (path,) = root.glob("runs/*logistic-views2*/run.json")
    base = frozen_from_dict(json.loads(path.read_text())["base"])
    return {weight.path: weight.numpy() for weight in base.build().weights}


def test_tail_and_full_give_the_same_weights(project, capsys):
    more = ["--learning-rate", "1e-3", "--epochs", "3"]
    tail = answer(capsys, command(project, "finetune", *SMALL, *more, "--mode", "tail"))
    full = answer(capsys, command(project, "finetune", *SMALL, *more, "--views", "2"))
    assert (tail["mode"], full["mode"]) == ("tail", "full")
    assert (tail["boundary"], full["boundary"]) == ("block3b_add", None)
    assert tail["learned_layers"] == full["learned_layers"]
    for ours, theirs in zip(history(tail), history(full), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)
    before = pristine(project)
    ours, theirs = weights_of(project, tail), weights_of(project, full)
    assert ours.keys() == theirs.keys()
    for path, start in before.items():
        if not path.startswith("block4") or "_bn" in path:
            np.testing.assert_array_equal(ours[path], start)
            np.testing.assert_array_equal(theirs[path], start)
            continue
        step = np.linalg.norm(theirs[path] - start)
        assert step > 0
        assert np.linalg.norm(ours[path] - theirs[path]) < 0.01 * step, path


def test_tail_decodes_no_picture_that_was_seen(project, capsys, monkeypatch):
    arguments = command(project, "finetune", *SHORT, "--mode", "tail", "--seed", "3")
    answer(capsys, arguments)  # caches what it needs

    def refuse(*arguments, **more):
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr("pipeline.images.loader.decode_remarked", refuse)
    value = answer(capsys, [*arguments, "--learning-rate", "2e-4"])
    assert not value["reused"]


def test_frozen_changes_the_head_alone(project, capsys):
    value = answer(capsys, command(project, "finetune", *SHORT, "--mode", "frozen"))
    assert value["learned_layers"] == []
    after = weights_of(project, value)
    for path, start in pristine(project).items():
        np.testing.assert_array_equal(after[path], start)
    trained = [epoch["train_loss"] for epoch in value["epochs"][1:]]
    assert all(loss is not None for loss in trained)


@pytest.mark.parametrize("mode", ["full", "tail", "frozen"])
def test_training_starts_where_the_head_ended(project, capsys, mode):
    value = answer(capsys, command(project, "finetune", *SHORT, "--mode", mode, "--seed", "3"))
    initial = value["initial"]
    assert initial["validation_accuracy"] == initial["head_accuracy"]
    assert initial["max_probability_difference"] < 1e-4
    assert value["epochs"][0]["validation_accuracy"] == initial["validation_accuracy"]


def opened(root):
    """Return what a call of stage 3 is given: pictures with their features, and the run."""
    from pipeline.features.extract import extract
    from pipeline.features.saved import frozen_from_dict
    from pipeline.finetune.settings import stage1_config
    from pipeline.images import index
    from pipeline.runs import find_run

    source = find_run(root / "runs", "data-EfficientNetLite0-block2+block4-logistic")
    base = frozen_from_dict(source.base)
    config = stage1_config(FinetuneConfig(cache=root / "features"), source, base)
    return extract(config, base, index(str(root / "data"))), source


def test_the_head_learns_from_the_runs_views(project, monkeypatch):
    from pipeline.finetune import start as module
    from pipeline.finetune.task import make_task

    seen = []
    real = module.fit_head
    monkeypatch.setattr(module, "fit_head", lambda *given: seen.append(given) or real(*given))
    config = FinetuneConfig(cache=project / "features", runs=project / "runs")
    task = make_task(config, *opened(project))
    module.fit_starting_head(task)
    ((_, sample),) = seen
    assert sample.n_views == 2
    assert len(sample.features) == 3 * len(task.fit)
    np.testing.assert_array_equal(sample.labels, task.dataset.labels[task.fit])


def test_what_is_left_behind(project, capsys, tmp_path):
    arguments = command(project, "finetune", *SHORT, "--mode", "tail", "--seed", "4")
    value = answer(capsys, [*arguments, "--tensorboard", str(tmp_path / "board")])
    folder = project / "runs" / value["run"]
    assert (folder / "plots" / "history.svg").read_text().lstrip().startswith("<?xml")
    with open(folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    assert not (project / "runs" / ".checkpoints").exists()
    (events,) = (tmp_path / "board" / value["run"]).glob("events.*")
    assert b"validation_loss" in events.read_bytes()
    picture = str(project / "data/test/red/0.png")
    folders = ["--cache", str(project / "features"), "--runs", str(project / "runs")]
    labelled = answer(capsys, ["predict", value["run"], picture, *folders])
    assert labelled["predictions"][0]["label"] == "red"


@pytest.mark.parametrize(
    ("flags", "views", "expected"),
    [
        ({}, 2, ("shift,rotate,zoom", 0, None)),
        ({"mode": "tail"}, 2, ("none", 2, "crop,flip")),
        ({"mode": "tail"}, 0, ("none", 0, None)),
        ({"mode": "tail", "views": 1, "view_policy": "zoom"}, 0, ("none", 1, "zoom")),
        ({"views": 3}, 0, ("none", 3, "crop,flip")),
        ({"views": 3, "augment": "flip"}, 0, ("flip", 3, "crop,flip")),
    ],
)
def test_what_is_left_to_the_run(tmp_path, flags, views, expected):
    make_run(tmp_path, "source", 0.9, HITS)
    config = {"views": views, "view_policy": "flip,crop"}
    source = replace(load_run(tmp_path / "source"), seed=7, config=config)
    changed = changes(FinetuneConfig(**flags), source)
    policy = None if changed.view is None else changed.view.policy
    assert (changed.names, changed.n_views, policy) == expected
    assert changed.view is None or changed.view.seed == 7


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, "all"),
        ({"unfreeze": "block6"}, "block6"),
        ({"mode": "tail"}, "auto"),
        ({"mode": "tail", "unfreeze": "block7"}, "block7"),
    ],
)
def test_everything_learns_unless_that_is_said_or_cached(flags, expected):
    assert depth(FinetuneConfig(**flags)) == expected


def test_steps_that_do_not_fit_in_memory_are_refused_before_training():
    import keras

    from pipeline.finetune.network import check_memory

    inputs = keras.Input((8, 8, 3))
    frozen = keras.layers.Conv2D(100, 1, name="frozen")(inputs)
    learns = keras.layers.Conv2D(5, 1, name="learns")(frozen)
    model = keras.Model(inputs, keras.layers.Flatten()(learns))
    network = SimpleNamespace(logits=model, learning=["learns"])
    needed = int(0.5 * 4 * 32 * 2 * 8 * 8 * 5)
    check_memory(network, 32, needed)
    check_memory(network, 32, None)
    with pytest.raises(InputError, match=r"of 32 pictures, received .* that are free; choose a sm"):
        check_memory(network, 32, needed - 1)


@pytest.mark.parametrize(
    ("head", "asked", "expected"),
    [
        ("logistic", "auto", None),
        ("logistic", "balanced", "balanced"),
        ("logistic(class_weight='balanced')", "auto", "balanced"),
        ("logistic(class_weight='balanced')", "none", None),
    ],
)
def test_classes_are_weighed_as_the_head_weighs_them(head, asked, expected):
    assert class_weight(FinetuneConfig(class_weight=asked), parse_head(head)) == expected


def test_every_picture_comes_once_an_epoch_and_every_view_in_turn():
    rows = np.array([5, 7, 11, 13])
    shown = {row: [] for row in rows.tolist()}
    for epoch in (1, 2, 3):
        ordered, views = epoch_order(rows, 2, 0, epoch)
        assert sorted(ordered) == rows.tolist()
        for row, view in zip(ordered.tolist(), views.tolist(), strict=True):
            shown[row].append(view)
    assert all(sorted(views) == [0, 1, 2] for views in shown.values())
    assert not np.array_equal(epoch_order(rows, 2, 0, 1)[0], epoch_order(rows, 2, 0, 2)[0])
    assert not epoch_order(rows, 0, 0, 1)[1].any()


LONG = ["--epochs", "25", "--patience", "25", *SMALL]


@pytest.mark.parametrize("mode", ["tail", "full"])
def test_killed_training_goes_on_and_ends_the_same(project, tmp_path, capsys, mode):
    root = shutil.copytree(project, tmp_path / "copy")
    arguments = command(root, "finetune", *LONG, "--mode", mode)
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", *arguments], stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if line.startswith("epoch  3"):
            process.send_signal(signal.SIGKILL)
            break
    process.stderr.close()
    assert process.wait() == -signal.SIGKILL
    (checkpoint,) = (root / "runs" / ".checkpoints").iterdir()
    assert len((checkpoint / "history.csv").read_text().splitlines()) >= 4
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    output = capsys.readouterr()
    assert "going on after epoch" in output.err
    resumed = json.loads(output.out)
    undisturbed = answer(capsys, command(project, "finetune", *LONG, "--mode", mode))
    assert not undisturbed["reused"]
    for ours, theirs in zip(history(resumed), history(undisturbed), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    ours, theirs = weights_of(root, resumed), weights_of(project, undisturbed)
    for path in ours:
        np.testing.assert_allclose(ours[path], theirs[path], rtol=1e-3, atol=1e-5)
    assert not (root / "runs" / ".checkpoints").exists()


def state(n=1000):
    epoch = Epoch(0, None, None, 1.0, 0.5, 0.0, 0.1)
    return State((epoch,), {"weight/0": np.arange(n, dtype="f4")})


@contextmanager
def full_disk(n_bytes):
    """Let no file grow beyond a size, as the kernel does where there is no room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_leaves_the_last_checkpoint(tmp_path):
    checkpoint = Checkpoint(tmp_path, "d")
    checkpoint.save(state())
    before = checkpoint.path.read_bytes()
    with full_disk(1 << 14), pytest.raises(StoreError, match=r"cannot write .*free some space"):
        checkpoint.save(state(1_000_000))
    assert checkpoint.path.read_bytes() == before
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == [
        "checkpoint.npz",
        "history.csv",
    ]
    np.testing.assert_array_equal(checkpoint.load().arrays["weight/0"], np.arange(1000))


def test_a_gain_counts_as_far_as_it_exceeds_its_error():
    """One picture of ninety is luck; five of ninety, and none lost, are more than that."""
    one, five = np.eye(90)[0], np.repeat([1.0, 0.0], [5, 85])
    assert sure_gain(one) == pytest.approx(0, abs=1e-12)
    assert 0.02 < sure_gain(five) < 5 / 90
    assert sure_gain(-five) == pytest.approx(-5 / 90)
    assert sure_gain(np.zeros(90)) == 0


@pytest.mark.parametrize(("repaired", "n", "gains"), [(2, 5, False), (3, 5, True), (2, 90, False)])
def test_a_picture_or_two_are_no_gain(repaired, n, gains):
    head = SelectionFigures(by="5-fold cross-validation", n=40, accuracy=0.6, log_loss=1.0)
    task = SimpleNamespace(
        source=SimpleNamespace(selection=head),
        judged_labels=np.zeros(n, int),
        validation=np.arange(n),
        validated_on="slice of train",
        weighs=None,
        n_classes=2,
    )
    before = np.where(np.arange(n)[:, None] < repaired, [[0.1, 0.9]], [[0.9, 0.1]])
    chosen = selection(task, SimpleNamespace(epoch=1), before, np.full((n, 2), [0.99, 0.01]))
    assert (chosen.accuracy > 0.6, chosen.gain > 0) == (gains, gains)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def foreign(path):
    other = Checkpoint(path.parents[2], "other")
    other.save(state())
    shutil.copy(other.path, path)


def saved_with(**changes):
    def spoil(path):
        one = state()
        changed = replace(one, **{k: v for k, v in changes.items() if k == "history"})
        arrays = changes.get("arrays", one.arrays)
        Checkpoint(path.parents[2], path.parent.name).save(replace(changed, arrays=arrays))

    return spoil


LATER = Epoch(3, 0.9, 0.6, 0.8, 0.7, 1e-4, 0.1)
NAN, INFINITY = (np.array([1, value], "f4") for value in (np.nan, np.inf))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut_off, "is not used: it cannot be read"),
        (lambda path: path.write_bytes(b""), "is not used: it cannot be read"),
        (saved_with(history=()), "is not used: it cannot be read (no history); training begins an"),
        (saved_with(history=(LATER,)), "(a history of 1 epochs with gaps); training begins anew"),
        (saved_with(arrays={"mean/0": NAN}), "(NaN or infinity in mean/0); training begins anew"),
        (saved_with(arrays={"best/7": INFINITY}), "(NaN or infinity in best/7); training begins"),
        (foreign, "is not used: it is of another configuration; training begins anew"),
    ],
)
def test_checkpoints_that_are_of_no_use(tmp_path, caplog, spoil, words):
    checkpoint = Checkpoint(tmp_path, "d")
    checkpoint.save(state())
    spoil(checkpoint.path)
    spoilt = checkpoint.path.read_bytes()
    with caplog.at_level("WARNING", logger="pipeline"):
        assert checkpoint.load() is None
    assert words in caplog.text
    checkpoint.save(state())
    checkpoint.remove()
    (kept,) = checkpoint.folder.iterdir()
    assert kept.name in caplog.text
    assert kept.read_bytes() == spoilt


def test_what_no_epoch_was_learnt_in_is_not_left_behind(tmp_path):
    """A loss that is no number in epoch 1 asks for other settings: nothing would find it again."""
    checkpoint = Checkpoint(tmp_path, "d")
    checkpoint.save(state())
    checkpoint.remove_untrained()
    assert not checkpoint.path.exists()
    one = Epoch(1, 0.9, 0.6, 0.8, 0.7, 1e-4, 0.1)
    checkpoint.save(State((*state().history, one), state().arrays))
    checkpoint.remove_untrained()
    assert checkpoint.load() is not None


def snapshot(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--mode", "half"], ["mode full, tail or frozen", "mode=half"]),
        (["--mode", "tail", "--augment", "flip"], ["no --augment beside --mode tail", "'flip'"]),
        (["--mode", "tail", "--unfreeze", "all"], ["unfreeze='all'", "--mode full"]),
        (
            ["--mode", "tail", "--unfreeze", "block6"],
            ["the head sits on a cut", "lower --unfreeze"],
        ),
        (["--views", "1", "--view-policy", "bend"], ["unknown change of a view 'bend'"]),
        (["--head-epochs", "12"], ["head_epochs from 0 to below epochs", "head_epochs=12"]),
        (["--budget", "soon"], ["budget as 90s, 10m or 2h", "budget=soon"]),
        (["--block-decay", "0"], ["block_decay above 0, at most 1"]),
        (["--batch-norm", "train"], ["batch_norm frozen or update"]),
        (["--class-weight", "rare"], ["class_weight auto, none or balanced"]),
        (["--precision", "float16"], ["mixed_float16", "precision=float16"]),
    ],
)
def test_what_cannot_be_trained_changes_nothing(project, capsys, flags, words):
    before = snapshot(project)
    capsys.readouterr()
    assert run(command(project, "finetune", *flags)) == 2
    (sentence,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("pipeline: ")
    ]
    assert all(word in sentence for word in words), sentence
    assert snapshot(project) == before


def test_a_seconds_old_checkpoint_of_other_settings_is_left_alone(project, tmp_path, capsys):
    root = shutil.copytree(project, tmp_path / "copy")
    other = Checkpoint(root / "runs", "0" * 64)
    other.save(state())
    began = time.time()
    answer(capsys, command(root, "finetune", *SHORT, "--mode", "tail"))
    assert other.path.stat().st_mtime <= began
    np.testing.assert_array_equal(other.load().arrays["weight/0"], np.arange(1000))


def test_a_class_with_one_training_picture(project, tmp_path, capsys):
    """Nothing judged the head: the run compares with none, and says so."""
    root = shutil.copytree(project / "data", tmp_path / "data").parent
    for i in range(1, 12):
        (root / "data/train/red" / f"{i}.png").unlink()
    answer(capsys, command(root, "classify", *BASE))
    value = answer(capsys, command(root, "finetune", *SHORT, "--mode", "tail"))
    metrics = json.loads((root / "runs" / value["run"] / "metrics.json").read_text())
    selection = metrics["selection"]
    assert (selection["accuracy"], selection["log_loss"]) == (None, None)
    assert -1 <= selection["gain"] <= 1
    assert selection["by"].startswith("nothing: some class has one training picture; the gain")
    rows = answer(capsys, ["compare", "--runs", str(root / "runs")])["runs"]
    assert [row["kind"] for row in rows] == ["classify", "finetune"]
    assert [row["selection_accuracy"] for row in rows] == [None, None]
    again = answer(capsys, command(root, "finetune", *SHORT, "--mode", "tail"))
    assert again == value | {"reused": True}


def test_nothing_to_hold_out(project, tmp_path, capsys):
    root = shutil.copytree(project / "data", tmp_path / "data").parent
    for path in (root / "data" / "train").rglob("*.png"):
        if path.stem != "0":
            path.unlink()
    answer(capsys, command(root, "classify", *BASE))
    before = snapshot(root / "runs")
    assert run(command(root, "finetune", *SHORT)) == 2
    words = "expected a class with two different training pictures or more"
    assert words in capsys.readouterr().err
    assert snapshot(root / "runs") == before


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("full", "as it was when its features were computed: changed since it was indexed"),
        (
            "tail",
            "expected activations of every picture to train on or to judge, received none of 1, "
            "first test/red/0.png: changed since it was indexed; mend or remove it and run",
        ),
    ],
)
def test_a_test_picture_that_goes_bad_is_told_of_before_training(
    project, tmp_path, monkeypatch, mode, words
):
    from pipeline.finetune.finetune import finetune
    from pipeline.finetune.training.trainer import Trainer

    root = shutil.copytree(project, tmp_path / "copy")
    given = opened(root)
    write_picture(root / "data/test/red/0.png", 4711)
    monkeypatch.setattr(Trainer, "fit", lambda *given, **more: pytest.fail("it trains"))
    config = FinetuneConfig(
        cache=root / "features",
        runs=root / "runs",
        mode=mode,
        unfreeze="block3",
        views=0,
        anyway=True,
    )
    with pytest.raises(DataError, match=re.escape(words)):
        finetune(config, *given)


class Recorded(Reporter):
    """Keeps what it is told."""

    def __init__(self):
        self.told, self.epochs = [], []

    def advance(self, part, done, total, unit="pictures", where=""):
        self.told.append((part, done, total, unit))

    def epoch(self, epoch):
        self.epochs.append(epoch.epoch)


def test_who_is_told_and_what_stays_as_it_was(project, tmp_path):
    """Every part begins at 0; a fine-tuning leaves NumPy's own random numbers alone."""
    from pipeline.finetune.finetune import finetune

    root = shutil.copytree(project, tmp_path / "copy")
    settings = {"mode": "tail", "unfreeze": "block4", "views": 1, "view_policy": "flip"}
    folders = {"cache": root / "features", "runs": root / "runs", "anyway": True}
    config = FinetuneConfig(epochs=2, batch_size=10, **folders, **settings)
    reporter = Recorded()
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    assert not finetune(config, *opened(root), reporter).reused
    assert np.random.random() == expected
    assert reporter.epochs == [0, 1, 2]
    n_steps = reporter.told[-1][2]
    for number in (1, 2):
        steps = [(f"epoch {number}", step, n_steps, "steps") for step in range(n_steps + 1)]
        assert [told for told in reporter.told if told[0] == f"epoch {number}"] == steps
    maps = [told for told in reporter.told if told[0] == "maps"]
    assert maps[0][1] == 0
    assert maps[-1][1] == maps[-1][2] > 0


def test_what_a_reporter_raises_comes_out_as_it_is(project, tmp_path):
    from pipeline.finetune.finetune import finetune

    class Full(Reporter):
        def epoch(self, epoch):
            raise OSError(28, "its own disk is full")

    root = shutil.copytree(project, tmp_path / "copy")
    config = FinetuneConfig(
        cache=root / "features", runs=root / "runs", mode="frozen", epochs=2, anyway=True
    )
    with pytest.raises(OSError, match="its own disk is full"):
        finetune(config, *opened(root), Full())


def test_where_nothing_can_be_shown_the_head_stays(project, tmp_path, capsys):
    """Colours tell the classes apart: no mistake is there to be repaired."""
    root = shutil.copytree(project, tmp_path / "copy")
    before = snapshot(root / "runs")
    asked = [part for part in command(root, "finetune", *SHORT) if part != "--anyway"]
    value = answer(capsys, asked)
    assert (value["trained"], value["epochs"], value["kept_epoch"]) == (False, [], None)
    assert value["outlook"]["wrong"] == 0
    assert value["run"] == value["from"]
    assert value["test"] == load_run(root / "runs" / value["run"]).test.summary()
    after = snapshot(root / "runs")
    assert {path for path in after if ".asked" not in path.parts} == set(before)
    assert after | before == after
    assert run(asked) == 0
    told = capsys.readouterr().out
    assert (
        "nothing was trained: the head calls 0.0% of 36 pictures wrongly, about 0 of the 4" in told
    )
    assert "--anyway trains all the same" in told
    assert "kept epoch" not in told


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--unfreeze", "blok4"], "unknown layer 'blok4'; nearest: block"),
        (["--augment", "flipp"], "unknown augmentation 'flipp'; nearest: flip"),
    ],
)
def test_wrong_names_show_although_nothing_would_be_trained(project, capsys, flags, sentence):
    asked = [part for part in command(project, "finetune", *flags) if part != "--anyway"]
    assert run(asked) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("chosen_by", "share", "judged", "visible"),
    [
        ({"accuracy": 0.9, "n": 600}, 0.1, 600, True),
        ({"accuracy": 0.98, "n": 600}, 0.02, 600, False),
        ({"accuracy": 1.0, "n": 600}, 0.0, 600, False),
        ({"accuracy": 0.97, "n": 600}, 0.03, 600, True),
        ({"accuracy": None, "n": 0}, 2 / 90, 90, False),
        ({"accuracy": 0.9, "n": 600, "digest": "other"}, 2 / 90, 90, False),
        ({"accuracy": 0.9, "n": 600, "kind": "finetune"}, 2 / 90, 90, False),
    ],
)
def test_what_there_is_to_gain_is_said_by_all_pictures(chosen_by, share, judged, visible):
    """Of the pictures that decide three are to be expected wrong; two of them are too few."""
    from types import SimpleNamespace as Some

    from pipeline.finetune.start import StartingHead, look_ahead

    source = Some(
        selection=Some(accuracy=chosen_by["accuracy"], n=chosen_by["n"]),
        dataset=Some(digest=chosen_by.get("digest", "same")),
        kind=chosen_by.get("kind", "classify"),
    )
    task = Some(source=source, dataset=Some(digest="same"), validation=np.arange(90))
    outlook = look_ahead(task, StartingHead(None, None, 88 / 90))
    assert (outlook.share, outlook.judged) == (pytest.approx(share), judged)
    assert (outlook.n, outlook.wrong) == (90, round(90 * share))
    assert outlook.visible is visible
    assert f"calls {share:.1%} of {judged} pictures wrongly" in outlook.sentence
