"""The public names: pinned, imported when they are asked for, with examples that run."""

import doctest
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pipeline
from pipeline import errors
from pipeline.config import ClassifyConfig, FeaturesConfig, FinetuneConfig, PredictConfig

ROOT = Path(pipeline.__file__).parents[1]
# In the order in which each finds what the one before it left.
FUNCTIONS = ["extract_features", "open_features", "train_classifier", "load_run", "fine_tune"]
RESULTS = ["Extraction", "FineTuned", "OpenedFeatures", "Run", "Trained", "TrainedHead"]
ERRORS = [
    *("ClusterError", "DamagedShardError", "DataError", "DecodeError", "InputError"),
    *("NewerFormatError", "PipelineError", "RunError", "StoreError", "UnclearError"),
    "UnknownNameError",
    "WeightsError",
]


def test_these_are_the_names():
    names = [*FUNCTIONS, *RESULTS, *ERRORS, "FrozenFeatures", "__version__"]
    assert pipeline.__all__ == sorted(names)
    assert dir(pipeline) == sorted(names)
    for name in set(names) - {"__version__"}:
        assert getattr(pipeline, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'classify_all'"):
        _ = pipeline.classify_all


def test_every_error_is_public():
    kinds = [one for one in vars(errors).values() if inspect.isclass(one)]
    ours = {one.__name__ for one in kinds if issubclass(one, errors.PipelineError)}
    assert ours == set(ERRORS)


def test_the_version_is_declared_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "pipeline.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", pipeline.__version__)


def fields(kind, *left_out):
    return [name for name in inspect.signature(kind).parameters if name not in left_out]


@pytest.mark.parametrize(
    ("name", "positional", "keywords"),
    [
        ("extract_features", ["data"], ["progress", *fields(FeaturesConfig)]),
        ("open_features", ["data"], fields(FeaturesConfig)),
        ("train_classifier", ["data"], ["progress", *fields(ClassifyConfig)]),
        ("fine_tune", ["data"], ["from_run", "progress", *fields(FinetuneConfig, "source")]),
        ("load_run", ["run"], ["runs", "cache", "batch_size", "trust", "weights"]),
        (
            "FrozenFeatures",
            ["backbone"],
            [
                *("preprocessing", "layer", "pooling", "weights", "image_size", "resize"),
                *("interpolation", "jpeg"),
                *("precision", "engine", "dtype", "batch_size", "random_state", "cache", "seed"),
            ],
        ),
    ],
)
def test_signatures(name, positional, keywords):
    parameters = inspect.signature(getattr(pipeline, name)).parameters
    assert list(parameters) == [*positional, *keywords]
    assert all(parameters[key].kind is inspect.Parameter.KEYWORD_ONLY for key in keywords)


def test_defaults_are_those_of_the_configs():
    parameters = inspect.signature(pipeline.train_classifier).parameters
    config = ClassifyConfig()
    for name in fields(ClassifyConfig):
        assert parameters[name].default == getattr(config, name)
    for name, parameter in inspect.signature(pipeline.load_run).parameters.items():
        if name != "run":
            assert parameter.default == getattr(PredictConfig(), name)
    fields_of = {"layer": "layers", "random_state": "seed"}
    for name, value in pipeline.FrozenFeatures().get_params().items():
        left_out = name in ("cache", "seed")
        assert value == (None if left_out else getattr(config, fields_of.get(name, name)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_say_what_they_take_give_and_raise(name):
    function = getattr(pipeline, name)
    text = inspect.getdoc(function)
    explained = re.findall(r"^    (?:\*\*)?(\w+): ", section(text, "Args"), re.MULTILINE)
    assert explained == [taken for taken in function.__annotations__ if taken != "return"]
    assert section(text, "Returns")
    raised = re.findall(r"^    (\w+): ", section(text, "Raises"), re.MULTILINE)
    assert raised
    assert set(raised) <= set(ERRORS)
    assert ">>> " in section(text, "Example")


def section(text, name):
    return re.search(rf"^{name}:\n(.*?)(?=^\w|\Z)", text, re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import pipeline; dir(pipeline)", {"numpy", "sklearn", "tensorflow", "cyclopts", "PIL"}),
        ("import pipeline; pipeline.DataError", {"numpy", "sklearn", "tensorflow", "cyclopts"}),
        ("import pipeline; pipeline.load_run", {"tensorflow", "keras", "sklearn", "pandas"}),
        ("from pipeline import train_classifier, open_features", {"tensorflow", "keras", "pandas"}),
        ("from pipeline import FrozenFeatures as F; F()", {"tensorflow", "keras"}),
    ],
)
def test_importing_is_cheap(statement, heavy):
    script = f"{statement}\nimport sys; print({heavy!r} & set(sys.modules))"
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "set()", process.stderr


@pytest.mark.parametrize("name", [*FUNCTIONS, "FrozenFeatures"])
def test_examples_run(folder, name):
    function = getattr(pipeline, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert test.examples
    output = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert result.failed == 0, "".join(output)
