"""The rooms: who may import whom, who may use h5py and TensorFlow, who may print."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "pipeline"

# From top to bottom; a room imports rooms below it only, and rooms of one line not each other.
LEVELS = [
    {"__main__"},
    {"cli"},
    {"api"},
    {"show"},
    {"report"},
    {
        *("extract", "classify", "finetune", "predict", "export"),
        *("verify", "explain", "export_features", "audit"),
    },
    {"cluster"},
    {"experiments", "finetuning"},
    {"table", "compute", "labelling", "exporting"},
    {"runs"},
    {"bundle"},
    {"plots"},
    {"training", "learning_curve", "inspection", "search"},
    {"heads"},
    {"evaluate", "averaging"},
    {"augment"},
    {"engines"},
    {"backbones"},
    {"store"},
    {"images"},
    {"config"},
    {"calls", "startup", "files", "filesystems", "machine", "units"},
    {"errors"},
]
RANK = {room: rank for rank, rooms in enumerate(LEVELS) for room in rooms}

KERAS_MODULES = {
    "augment",
    "finetune",
    "finetuning.maps",
    "finetuning.network",
    "finetuning.pictures",
    "training.average",
    "training.loss",
    "training.optimizer",
    "training.spread",
    "training.trainer",
    "engines.conversion",
    "engines.tensorflow",
    "exporting.keras_file",
    "exporting.model",
    "exporting.onnx_file",
    "exporting.openvino_folder",
    "exporting.tflite_file",
    "heads.dense",
    "heads.dense_grid",
    "heads.streamed.network",
    "heads.transplant",
    "heads.wide",
    "backbones.boundary",
    "backbones.build",
    "backbones.download",
    "backbones.efficientnet_lite",
    "backbones.loading",
    "backbones.pooling",
    "backbones.unfreeze",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(name):
    return name.split(".")[0]


def imports(path, everywhere):
    """Names imported at the top of a module, or everywhere in it."""
    tree = ast.parse(path.read_text("utf-8"))
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "pipeline":
                yield from (f"pipeline.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    ours = room_of(name_of(path))
    if not ours:
        return
    for module in imports(path, everywhere=True):
        if module.startswith("pipeline."):
            theirs = room_of(module.removeprefix("pipeline."))
            assert theirs == ours or RANK[theirs] > RANK[ours], f"{ours} imports {theirs}"


def test_every_room_has_its_place():
    assert {room_of(name_of(path)) for path in MODULES} - {""} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_tensorflow_is_imported_late(path):
    heavy = {module.split(".")[0] for module in imports(path, everywhere=False)}
    if heavy & {"tensorflow", "keras"}:
        assert name_of(path) in KERAS_MODULES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_features_are_read_and_written_in_one_room(path):
    # Weights are HDF5 files too, and are Keras' own: one module looks into those.
    if "h5py" in set(imports(path, everywhere=True)):
        assert room_of(name_of(path)) == "store" or name_of(path) == "backbones.weight_files"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_dask_is_imported_in_one_room_and_late(path):
    def uses(everywhere):
        return {module.split(".")[0] for module in imports(path, everywhere)}

    assert not uses(False) & {"dask", "distributed"}
    if uses(True) & {"dask", "distributed"}:
        assert room_of(name_of(path)) == "cluster"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_one_room_prints(path):
    calls = (
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    if any(call.func.id == "print" for call in calls):
        assert room_of(name_of(path)) == "show"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_pickles(path):
    used = {module.split(".")[0] for module in imports(path, everywhere=True)}
    # One module reads PyTorch's old weight files, with an unpickler that admits five names.
    assert "pickle" not in used or name_of(path) == "backbones.torch_pickle"
    assert not used & {"dill", "cloudpickle", "shelve", "marshal"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_readable(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 420
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is long"


def test_commands_that_need_no_tensorflow_do_not_pay_for_it(pictures, tmp_path):
    script = f"""
import sys
from pipeline.cli import run
assert run(["digits", {str(tmp_path / "digits")!r}]) == 0
assert run(["backbones"]) == 0
assert run(["compare", "--runs", {str(tmp_path / "runs")!r}]) == 0
assert run(["features", {str(tmp_path / "nowhere")!r}]) == 2
print("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "False", process.stderr
