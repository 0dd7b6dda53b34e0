"""What fine-tuning refuses to begin with."""

import pytest

from pipeline.errors import RunError
from pipeline.finetune.task import check_classes
from pipeline.images import index
from pipeline.runs import find_run
from tests.conftest import write_picture
from tests.runs.test_folder import CLASSES, HITS, make_run


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
