"""A run's files as damage or malice leaves them: one sentence with a file's name, or they work."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.mutations import json_mutations, mutations, npz_mutations
from pipeline.config import ReportConfig
from pipeline.errors import PipelineError, RunError
from pipeline.heads.catalog import parse_head
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.report.write import write_report
from pipeline.runs import (
    is_transplantable,
    keep_learning_curve,
    leaderboard,
    learning_curve_of,
    list_runs,
    load_run,
    save_head,
    search_of,
)
from pipeline.runs.seal import FileDigest
from tests.runs.test_folder import CLASSES, HITS, make_run
from tests.runs.test_record import GOLDEN
from tests.stored import BASE, change_json, reseal, unseal

FEATURES = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
CURVE = {
    "points": [{"n": n, "accuracy": 0.5, "ci95": [0.4, 0.6], "accuracies": [0.5]} for n in (8, 16)],
    "gain": 0.0,
    "gain_ci95": [-0.1, 0.1],
    "answer": "unknown",
    "sentence": "it cannot be said",
}
TRIED = {"layers": ["top"], "preparation": "l2", "head": "ridge", "accuracy": 0.5, "log_loss": 1.0}
JSON = ("run.json", "metrics.json", "learning_curve.json", "search.json", "bundle/bundle.json")
FILES = (*JSON, "predictions.csv", "bundle/network.npz", "bundle/head.skops")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two whole runs: one with a linear head, and one of neighbours."""
    runs = tmp_path_factory.mktemp("made")
    for name, head in (("linear", "ridge"), ("near", "knn(metric='euclidean')")):
        make_run(runs, name, 0.8, HITS, head=head)
        folder = runs / name
        shutil.rmtree(folder / "bundle")
        sample = Sample(FEATURES, np.arange(60) % 3, 3, seed=0)
        save_head(folder / "bundle", fit_head(parse_head(head), sample), CLASSES, BASE)
        (folder / "search.json").write_text(json.dumps([TRIED]))
        change_json(folder / "run.json", lambda said: said.update(base=BASE))
        reseal(folder)
        keep_learning_curve(load_run(folder), CURVE)
    return runs


def use(folder):
    """Do with a run what commands do that compare, label, report and go on from it."""
    leaderboard(list_runs(folder.parent))
    run = load_run(folder)
    said = (run.indexing, run.weights, run.weights_seed, run.n_views, run.view_policy, run.mode)
    said += (run.decoding, run.frozen(look=True), is_transplantable(run), search_of(run))
    said += (learning_curve_of(run), run.tested(), run.correct(), run.recipe.id)
    bundle = run.bundle()
    said += (bundle.frozen(look=True), bundle.decoding)
    assert bundle.head.scores(FEATURES).shape == (60, 3)
    return said


def told(call, *arguments):
    """Return the sentence in which a call is refused; None where it works."""
    try:
        call(*arguments)
    except PipelineError as error:
        return str(error)
    return None


def mutated(folder, name, n):
    """Yield what was done to a file, after it was done."""
    path = folder / name
    data = path.read_bytes()
    kinds = [mutations(data, 1, n)]
    if name in JSON:
        kinds.append(json_mutations(data, 2, n))
    elif name.endswith("npz"):
        kinds.append(npz_mutations(data, 2, n))
    for kind in kinds:
        for what, new in kind:
            path.write_bytes(new)
            yield what
    path.write_bytes(data)


def pairs(made, tmp_path):
    for name in ("linear", "near"):
        folder = shutil.copytree(made / name, tmp_path / name / "run")
        for file in FILES:
            if (folder / file).is_file():
                yield folder, file


def test_what_is_whole_is_used(made):
    for name in ("linear", "near"):
        assert use(made / name)


def test_whatever_changes_a_sealed_run_is_told_with_the_name_of_the_file(made, tmp_path):
    for folder, file in pairs(made, tmp_path):
        before = (folder / file).read_bytes()
        for what in mutated(folder, file, 8):
            sentence, after = told(use, folder), (folder / file).read_bytes()
            if sentence is None:
                assert after == before or json.loads(after) == json.loads(before), (file, what)
            else:
                assert file.rpartition("/")[2] in sentence, (file, what, sentence)


def test_files_without_a_seal_are_refused_in_one_sentence_or_used(made, tmp_path):
    for folder, file in pairs(made, tmp_path):
        unseal(folder)
        sentences = list[str | None]()
        for what in mutated(folder, file, 60):
            if "." in file and file.startswith("bundle/") and file not in JSON:
                payload = FileDigest.of(folder / file).sha256
                change_json(folder / "bundle/bundle.json", lambda v, d=payload: v.update(sha256=d))
            sentences.append(told(use, folder))
            assert sentences[-1] is None or str(folder) in sentences[-1], (
                file,
                what,
                sentences[-1],
            )
        assert any(sentences), file


@pytest.mark.parametrize("file", ["run.json", "metrics.json", "learning_curve.json", "search.json"])
def test_reports_of_such_runs_are_written_or_refused(made, tmp_path, file):
    folder = shutil.copytree(made / "linear", tmp_path / "runs" / "run")
    unseal(folder)
    out = tmp_path / "r.html"
    config = ReportConfig(runs=tmp_path / "runs", cache=tmp_path / "none", overwrite=True)
    sentences = list[str | None]()
    for what in mutated(folder, file, 12):
        sentences.append(sentence := told(write_report, config, (), out))
        assert sentence is None or str(folder) in sentence, (file, what, sentence)
    assert any(sentences)


def look(folder):
    run = load_run(folder)
    return run.indexing, run.weights, run.mode, run.decoding


def test_a_fine_tuned_run_of_before_is_read_or_refused(tmp_path):
    folder = shutil.copytree(GOLDEN / "finetuned", tmp_path / "finetuned")
    for file in ("run.json", "metrics.json"):
        for what in mutated(folder, file, 80):
            sentence = told(look, folder)
            assert sentence is None or str(folder) in sentence, (file, what, sentence)


def swapped(said):
    said["classes"][:2] = said["classes"][1::-1]


@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda said: said["classes"].append("one more"),
        lambda said: said["base"].update(interpolation="bicubic"),
        lambda said: said["base"].update(image_size=64),
        lambda said: said.update(threshold=0.5),
        lambda said: said.update(test_views={"n": 2, "view": {"policy": "flip", "seed": 0}}),
        lambda said: said.update(rowwise="l2"),
        lambda said: said.pop("seal") and None,
    ],
)
def test_the_seal_of_a_bundle_covers_all_of_it(made, tmp_path, change):
    folder = shutil.copytree(made / "linear", tmp_path / "run")
    change_json(folder / "bundle" / "bundle.json", change)
    with pytest.raises(RunError, match=r"bundle\.json, received: it was altered since it was writ"):
        load_run(folder).bundle()


def test_classes_of_a_bundle_are_those_of_its_run_whatever_is_sealed(made, tmp_path):
    folder = shutil.copytree(made / "linear", tmp_path / "run")
    change_json(folder / "bundle" / "bundle.json", swapped)
    unseal(folder)
    with pytest.raises(RunError, match=r"expected the classes and the base of .*run\.json in"):
        load_run(folder).bundle()


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("metrics.json", lambda data: data.replace(b"0.8", b"0.9"), "its SHA-256 is another one"),
        ("predictions.csv", lambda data: data[: len(data) // 2], "bytes instead of"),
        ("learning_curve.json", lambda data: b"", "0 bytes instead of"),
        ("search.json", lambda data: b"[]", "2 bytes instead of"),
        ("search.json", None, "No such file"),
        ("run.json", lambda data: data.replace(b"ridge", b"lda"), "its seal is broken"),
    ],
)
def test_altered_halved_and_emptied_files_are_told(made, tmp_path, file, damage, words):
    folder = shutil.copytree(made / "linear", tmp_path / "runs" / "run")
    if damage is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(damage((folder / file).read_bytes()))
    with pytest.raises(RunError, match=rf"received {file} damaged: .*{words}"):
        list_runs(tmp_path / "runs")


def test_what_a_sealed_run_does_not_list_is_no_part_of_it(made, tmp_path):
    make_run(tmp_path, "one", 0.8, HITS)
    for file in ("learning_curve.json", "search.json"):
        shutil.copy(made / "linear" / file, tmp_path / "one" / file)
    run = load_run(tmp_path / "one")
    assert (learning_curve_of(run), search_of(run)) == (None, [])
    unseal(run.path)
    run = load_run(run.path)
    assert (learning_curve_of(run)["answer"], len(search_of(run))) == ("unknown", 1)
