"""What fine-tuning refuses to begin with."""

import json

import pytest

from pipeline.api.stages import finetuned
from pipeline.config import FinetuneConfig
from pipeline.config.finetune import AUGMENTS
from pipeline.errors import InputError, RunError
from pipeline.finetune.task import check_classes
from pipeline.images import index
from pipeline.runs import find_run
from pipeline.system.progress import SILENT
from tests.conftest import write_picture
from tests.runs.test_folder import CLASSES, HITS, make_run
from tests.stored import reseal


def test_classes_that_differ_are_named_by_three(tmp_path):
    make_run(tmp_path / "runs", "one", 0.9, HITS)
    source = find_run(tmp_path / "runs", "one")
    for number, label in enumerate((CLASSES[0], *(f"new {i}" for i in range(6)))):
        for i in range(2):
            write_picture(tmp_path / "pets" / label / f"{i}.png", number * 2 + i, size=4)
    told = (
        r"^expected the 3 classes of one in .*pets, received 7, without 'NA', 'quo\"ted' and "
        r"with 'new 0', 'new 1', 'new 2' and 3 more; run `pipeline classify` on these pictures"
    )
    with pytest.raises(RunError, match=told):
        check_classes(index(tmp_path / "pets"), source)


@pytest.mark.parametrize("root", ["dask://h/x", "http://127.0.0.1:1/x", "/usr"])
def test_a_run_alone_does_not_say_where_the_pictures_of_a_table_are(tmp_path, root):
    make_run(tmp_path / "runs", "one", 0.9, HITS)
    path = tmp_path / "runs" / "one" / "run.json"
    info = json.loads(path.read_text())
    info["dataset"]["indexing"] = {"root": root}
    path.write_text(json.dumps(info))
    reseal(path.parent)
    config = FinetuneConfig(runs=tmp_path / "runs", cache=tmp_path / "cache", source="one")
    with pytest.raises(InputError, match=f"read here, received root={root} from one: run `pipelin"):
        finetuned(str(tmp_path / "t.csv"), config, SILENT)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"view_policy": "nonsense"}, "unknown change of a view 'nonsense'"),
        ({"remote_cache": "nonsense"}, "expected remote_cache as a URL with one of s3"),
        (
            {"tensorboard": "log"},
            "a folder for the log, received tensorboard=.*log, which is a file",
        ),
    ],
)
def test_what_settings_say_is_refused_before_a_picture_is_read(tmp_path, asked, sentence):
    (tmp_path / "log").write_text("")
    if "tensorboard" in asked:
        asked = {"tensorboard": tmp_path / "log"}
    config = FinetuneConfig(runs=tmp_path / "runs", **asked)
    with pytest.raises(InputError, match=sentence):
        finetuned(str(tmp_path / "no pictures"), config, SILENT)


@pytest.mark.parametrize("names", ["nonsense", "flip,nonsense", "flip, nonsense"])
def test_changes_that_do_not_exist_are_refused_as_they_are_said(names):
    with pytest.raises(InputError, match="unknown augmentation 'nonsense'; known: shift, rotate"):
        FinetuneConfig(augment=names)
    assert FinetuneConfig(augment="flip, mixup").augment == "flip, mixup"


def test_the_changes_that_can_be_said_are_those_that_there_are():
    from pipeline.finetune.augment import AUGMENTATIONS, MIXINGS

    assert (*AUGMENTATIONS, *MIXINGS) == AUGMENTS
