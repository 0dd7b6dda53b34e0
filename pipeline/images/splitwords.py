"""Which names of folders, or values of a column, are those of splits."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

_WORDS = {
    "train": "train training trn trainings trainval",
    "validation": "validation validate validating valid val dev development eval evaluation",
    "test": "test testing tests tst holdout heldout",
}
# Words of other languages, without accents. They may mean something else (prova, essai), so they
# count only where names beside each other are two splits or more.
_FOREIGN = {
    "train": "entrainement apprentissage entrenamiento treino treinamento addestramento allenamento"
    " обучение обучающая тренировка 训练 訓練 学習 학습 훈련",
    "validation": "validierung validierungs validacion validacao validazione validatie walidacja"
    " валидация валидационная проверка 验证 驗證 検証 검증",
    "test": "essai prueba pruebas teste testes prova prove collaudo тест тестовая тестирование"
    " 测试 測試 テスト 테스트",
}
# Words that a split's name may have beside the one that says which.
_BESIDE = {
    *("set", "sets", "data", "dataset", "datasets", "split", "splits", "subset", "part"),
    *("images", "image", "img", "imgs", "pictures", "picture", "pics", "photos", "photo"),
    *("samples", "sample", "folder", "dir", "files", "final", "fold"),
    *("daten", "datensatz", "bilder", "donnees", "datos", "dados", "dati", "conjunto"),
    *("de", "di", "выборка", "данные", "集", "数据", "数据集", "數據", "資料", "資料集", "データ"),
}


def _by_word(words: dict[str, str]) -> dict[str, str]:
    return {_plain(word): split for split, those in words.items() for word in those.split()}


def _plain(text: str) -> str:
    """Take accents off; each letter stays where it is."""
    apart = [unicodedata.normalize("NFD", letter) for letter in text]
    pairs = zip(text, apart, strict=True)
    return "".join(new[0] if unicodedata.combining(new[-1]) else old for old, new in pairs)


_KNOWN = _by_word(_WORDS)
_SPLIT_OF = {**_by_word(_FOREIGN), **_KNOWN}
_SPLIT_WORDS = "|".join(sorted(_SPLIT_OF, key=len, reverse=True))
_BESIDE_WORDS = "|".join(sorted(map(_plain, _BESIDE), key=len, reverse=True))
_GLUED = re.compile(rf"({_BESIDE_WORDS})?({_SPLIT_WORDS})({_BESIDE_WORDS})?")
# Words of letters, also where a capital begins one: trainingSet, TrainImages, seg_train2.
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_]+")

_AROUND = " _-.+()[]"


class _Apart(NamedTuple):
    """A name taken apart.

    The split in it, if it is one; whether its word is one of English; the words that say something
    else, in small letters; and all that is left without split, as it is written.
    """

    split: str | None
    known: bool
    words: tuple[str, ...]
    rest: str


def split_named(name: str) -> str | None:
    """Return the split that a name alone says, in any case, with numbers and words around it.

    >>> split_named("Training_Set"), split_named("val2017"), split_named("01-testImages")
    ('train', 'validation', 'test')
    >>> split_named("test tube"), split_named("trained"), split_named("cats")
    (None, None, None)
    """
    apart = _taken_apart(name)
    return apart.split if apart.known and not apart.words else None


def splits_named(names: Collection[str]) -> dict[str, str]:
    """Return which of some names beside each other are splits, and of which.

    A word that all of them share, and that is no split's, may stand beside the split. Words of
    other languages count where they, or they and others, are two splits or more.

    >>> splits_named(["seg_train", "seg_test", "seg_pred"])
    {'seg_train': 'train', 'seg_test': 'test'}
    >>> splits_named(["Entraînement", "Essai"]), splits_named(["Essai", "Brouillon"])
    ({'Entraînement': 'train', 'Essai': 'test'}, {})
    """
    apart = {name: each for name in names if (each := _taken_apart(name)).split}
    alike = len({each.words for each in apart.values()}) == 1
    candidates = {name: each for name, each in apart.items() if alike or not each.words}
    several = len({each.split for each in candidates.values()}) > 1
    return {
        name: each.split
        for name, each in candidates.items()
        if each.split and (several or (each.known and not each.words))
    }


def splits_within(names: Collection[str]) -> dict[str, str]:
    """Return the splits of names in which a word says one, whatever else they say."""
    return {name: split for name in names if (split := _taken_apart(name).split)}


def classes_within(names: Collection[str]) -> dict[str, str]:
    """Return the class in each name that says a split and a class, where splits share classes.

    >>> classes_within(["trainA", "trainB", "testA"])
    {'trainA': 'A', 'trainB': 'B', 'testA': 'A'}
    >>> classes_within(["train_station", "test_tube"]), classes_within(["train", "test"])
    ({}, {})
    """
    apart = {name: each for name in names if (each := _taken_apart(name)).split and each.rest}
    pairs = {(each.split, each.rest.casefold()) for each in apart.values()}
    n_splits = Counter(rest for _, rest in pairs)
    return {name: each.rest for name, each in apart.items()} if len(pairs) > len(n_splits) else {}


def _taken_apart(name: str) -> _Apart:
    text = unicodedata.normalize("NFC", name)
    found = [(match.span(), match[0].lower()) for match in _TOKEN.finditer(_plain(text))]
    whole = _GLUED.fullmatch("".join(token for _, token in found))
    glued = [match for _, token in found if (match := _GLUED.fullmatch(token))]
    splits = {_SPLIT_OF[match[2]] for match in glued}
    if whole is not None:  # hold-out, train_set
        splits, glued = {_SPLIT_OF[whole[2]]}, [whole]
    elif splits == {"train", "validation"}:  # train_val: both together, beside a test
        splits = {"train"}
    if len(splits) != 1:
        return _Apart(None, False, (), "")
    words = {match[0] for match in glued} | _BESIDE
    others = () if whole else tuple(token for _, token in found if token not in words)
    spans = [(0, 0), *(span for span, token in found if whole or token in words)]
    starts = [end for _, end in spans]
    ends = [*(begin for begin, _ in spans[1:]), len(text)]
    pieces = (text[start:end].strip(_AROUND) for start, end in zip(starts, ends, strict=True))
    known = all(match[2] in _KNOWN for match in glued)
    return _Apart(splits.pop(), known, others, "_".join(filter(None, pieces)))
