"""The exception tree: what is what, and that errors survive the way between processes."""

import doctest
import pickle

import pytest

from pipeline import errors
from pipeline.errors import InputError, PipelineError, UnknownNameError

TREE = {
    "PipelineError": Exception,
    "InputError": PipelineError,
    "UnknownNameError": InputError,
    "DataError": PipelineError,
    "UnclearError": errors.DataError,
    "DecodeError": PipelineError,
    "WeightsError": PipelineError,
    "StoreError": PipelineError,
    "DamagedShardError": errors.StoreError,
    "NewerFormatError": errors.StoreError,
    "ClusterError": PipelineError,
    "RunError": PipelineError,
}


def test_the_tree_is_the_one_that_is_drawn():
    classes = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    ours = {name: one for name, one in classes.items() if one.__module__ == errors.__name__}
    assert {name: one.__base__ for name, one in ours.items()} == TREE
    assert all(name in errors.__doc__ for name in TREE)


def test_an_input_that_cannot_be_used_is_a_value_error():
    are = {name for name in TREE if issubclass(getattr(errors, name), ValueError)}
    assert are == {"InputError", "UnknownNameError"}
    with pytest.raises(ValueError, match="unknown backbone 'VGG17'; nearest: VGG16; look"):
        raise UnknownNameError("backbone", "VGG17", ["VGG16", "ResNet50"], "look")


@pytest.mark.parametrize("name", TREE)
def test_errors_come_back_from_other_processes(name):
    kind = getattr(errors, name)
    error = kind("layer", "topp", ["top"]) if kind is UnknownNameError else kind("a sentence")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


def test_examples_run():
    assert doctest.testmod(errors).failed == 0
