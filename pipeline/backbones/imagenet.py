"""Names of the 1,000 ImageNet classes, in the order of a classifier's outputs."""

import functools
from importlib import resources


@functools.cache
def class_names() -> tuple[str, ...]:
    """Return the 1,000 distinct class names; the position is the index of the output.

    Source: WordNet 3.0 lemmas of the ILSVRC2012 synsets, packaged with this program.

    >>> class_names()[985]
    'daisy'
    """
    text = (resources.files(__package__) / "imagenet_classes.tsv").read_text(encoding="utf-8")
    rows = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(row.split("\t")[1] for row in rows)
