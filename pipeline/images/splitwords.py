"""Which names of folders, or values of a column, are those of splits."""

import re
from collections.abc import Collection

_WORDS = {
    "train": "train training trn trainings trainval",
    "validation": "validation validate validating valid val dev development eval evaluation",
    "test": "test testing tests tst holdout heldout",
}
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words.split()}
_SPLIT_WORDS = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
# Words that a split's name may have beside the one that says which.
_BESIDE = {
    *("set", "sets", "data", "dataset", "datasets", "daten", "split", "splits", "subset", "part"),
    *("images", "image", "img", "imgs", "pictures", "picture", "pics", "photos", "photo"),
    *("samples", "sample", "folder", "dir", "files", "final", "fold"),
}
_BESIDE_WORDS = "|".join(sorted(_BESIDE, key=len, reverse=True))
_GLUED = re.compile(rf"({_BESIDE_WORDS})?({_SPLIT_WORDS})({_BESIDE_WORDS})?")
# Words of letters, also where a capital begins one: trainingSet, TrainImages, seg_train2.
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")


def split_named(name: str) -> str | None:
    """Return the split that a name alone says, in any case, with numbers and words around it.

    >>> split_named("Training_Set"), split_named("val2017"), split_named("01-testImages")
    ('train', 'validation', 'test')
    >>> split_named("test tube"), split_named("trained"), split_named("cats")
    (None, None, None)
    """
    split, rest = _taken_apart(name)
    return None if rest else split


def splits_named(names: Collection[str]) -> dict[str, str]:
    """Return which of some names beside each other are splits, and of which.

    A word that all of them share, and that is no split's, may stand beside the split.

    >>> splits_named(["seg_train", "seg_test", "seg_pred"])
    {'seg_train': 'train', 'seg_test': 'test'}
    """
    apart = {name: _taken_apart(name) for name in names}
    candidates = {name: (split, rest) for name, (split, rest) in apart.items() if split}
    shared = {rest for _, rest in candidates.values()}
    several = len({split for split, _ in candidates.values()}) > 1 and len(shared) == 1
    return {name: split for name, (split, rest) in candidates.items() if several or not rest}


def splits_within(names: Collection[str]) -> dict[str, str]:
    """Return the splits of names in which a word says one, whatever else they say."""
    return {name: split for name in names if (split := _taken_apart(name)[0])}


def _taken_apart(name: str) -> tuple[str | None, frozenset[str]]:
    """Return the one split in a name, if there is one, and the words that say something else."""
    tokens = [token.lower() for token in _TOKEN.findall(name)]
    whole = _GLUED.fullmatch("".join(tokens))
    if whole is not None:  # hold-out, train_set
        return _SPLIT_OF[whole[2]], frozenset()
    found = [match for token in tokens if (match := _GLUED.fullmatch(token))]
    splits = {_SPLIT_OF[match[2]] for match in found}
    if splits == {"train", "validation"}:  # train_val: both together, beside a test
        splits = {"train"}
    if len(splits) != 1:
        return None, frozenset()
    glued = {match[0] for match in found}
    return splits.pop(), frozenset(token for token in tokens if token not in glued | _BESIDE)
