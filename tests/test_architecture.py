"""The rules of the house: who may import whom, what is imported late, who may print."""

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
    {"pool"},
    {"report", "cluster"},
    {"check", "classify", "finetune", "predict"},
    {"runs"},
    {"features"},
    {"heads", "evaluate"},
    {"backbones"},
    {"images"},
    {"config"},
    {"calls", "system"},
    {"errors"},
]
RANK = {room: rank for rank, rooms in enumerate(LEVELS) for room in rooms}
MODULES = sorted(PACKAGE.rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in MODULES}


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


NAMES = {name_of(path): path for path in MODULES}


def room_of(name):
    return name.split(".")[0]


def imported(path, everywhere=True):
    """Names of modules imported at the top of a module, or everywhere in it."""
    tree = TREES[path]
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inside if name.removeprefix("pipeline.") in NAMES]
            yield from modules if len(modules) == len(inside) else (node.module, *modules)


def ours(path, everywhere=True):
    """The package's own modules among them, as `NAMES` knows them."""
    names = {name.removeprefix("pipeline.") for name in imported(path, everywhere)}
    return {name for name in names if name in NAMES} - {name_of(path), ""}


def packages(path, everywhere=True):
    return {name.split(".")[0] for name in imported(path, everywhere)}


def test_every_room_has_its_place():
    assert {room_of(name) for name in NAMES} - {""} == set(RANK)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path):
    here = room_of(name_of(path))
    if not here:
        return
    for name in ours(path):
        there = room_of(name)
        assert there == here or RANK[there] > RANK[here], f"{here} imports {name}"


def test_no_modules_import_each_other_in_a_circle():
    uses = {name: ours(path) for name, path in NAMES.items()}
    finished, open_ = set(), []

    def walk(name):
        if name in finished:
            return
        assert name not in open_, f"a circle: {' → '.join([*open_[open_.index(name) :], name])}"
        open_.append(name)
        for other in sorted(uses[name]):
            walk(other)
        finished.add(open_.pop())

    for name in uses:
        walk(name)


# Modules of these rooms may import TensorFlow at their top; who needs them imports them late.
OF_KERAS = ("finetune", "backbones", "heads", "predict.export")


def test_rooms_can_be_imported_without_tensorflow():
    early = {name: ours(path, everywhere=False) for name, path in NAMES.items()}
    reached = {
        name
        for name, path in NAMES.items()
        if packages(path, everywhere=False) & {"tensorflow", "keras"}
    }
    while more := {name for name, uses in early.items() if uses & reached} - reached:
        reached |= more
    for name in reached:
        assert name.startswith(OF_KERAS), name
        assert NAMES[name].name != "__init__.py", name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_features_are_read_and_written_in_one_room(path):
    # Weights are HDF5 files too, and are Keras' own: one module looks into those.
    if "h5py" in packages(path):
        assert name_of(path).startswith("features.store") or name_of(path) == (
            "backbones.weight_files"
        )


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_dask_is_imported_in_one_room_and_late(path):
    assert not packages(path, everywhere=False) & {"dask", "distributed"}
    if packages(path) & {"dask", "distributed"}:
        assert room_of(name_of(path)) == "cluster"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_what_talks_to_people_prints(path):
    calls = (
        node
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    if any(call.func.id == "print" for call in calls):
        assert name_of(path).startswith("cli.show") or name_of(path) == "api.progress"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_pickles(path):
    # One module reads PyTorch's old weight files, with an unpickler that admits five names.
    assert "pickle" not in packages(path) or name_of(path) == "backbones.torch_pickle"
    assert not packages(path) & {"dill", "cloudpickle", "shelve", "marshal"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_stay_readable(path):
    assert len(path.read_text("utf-8").splitlines()) <= 420
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} is long"


MOST_PARAMETERS = 7
# scikit-learn asks its estimators to take every setting by name.
ESTIMATORS = {"api.transformer"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_function_takes_more_than_can_be_remembered(path):
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            own = [name for name in names if name not in ("self", "cls")]
            few = len(own) <= MOST_PARAMETERS
            assert few or name_of(path) in ESTIMATORS, f"{node.name}({', '.join(own)})"


def test_one_name_is_one_thing():
    homes = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes.setdefault(node.name, set()).add(name_of(path))
        for node in tree.body:  # an alias of a type is a name of a thing as well
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name[0].isupper() and not name.isupper():
                    homes.setdefault(name, set()).add(name_of(path))
    assert not {name: sorted(where) for name, where in homes.items() if len(where) > 1}


def test_commands_that_need_no_tensorflow_do_not_pay_for_it(pictures, tmp_path):
    script = f"""
import sys
from pipeline.cli import run
assert run(["digits", {str(tmp_path / "digits")!r}]) == 0
assert run(["backbones"]) == 0
assert run(["compare", "--runs", {str(tmp_path)!r}]) == 2
assert run(["features", {str(tmp_path / "nowhere")!r}]) == 2
print("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "False", process.stderr
