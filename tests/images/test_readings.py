"""What folders are taken for: one reading is taken and said, of several none is."""

import re
import shlex
import zipfile
from collections import Counter

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import index, scan
from pipeline.images.splitwords import classes_within, split_named, splits_named
from tests.images.test_sources import make

N = "{1,2,3}.png"


def tree(root, *patterns):
    return make(root, *(path for pattern in patterns for path in expanded(pattern)))


def expanded(pattern):
    """Write out what a shell makes of braces."""
    if (found := re.search(r"\{([^{}]*)\}", pattern)) is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [path for name in found[1].split(",") for path in expanded(before + name + after)]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("TRAIN", "train"),
        ("Training", "train"),
        ("training_set", "train"),
        ("TrainImages", "train"),
        ("trainset", "train"),
        ("train2017", "train"),
        ("01-train", "train"),
        ("imgs_train", "train"),
        ("Final_Training", "train"),
        ("VAL", "validation"),
        ("valid_set", "validation"),
        ("dev", "validation"),
        ("Validation Set", "validation"),
        ("Testing", "test"),
        ("test_set", "test"),
        ("hold-out", "test"),
        ("test1", "test"),
        ("cats", None),
        ("trained", None),
        ("test tube", None),
        ("dev board", None),
        ("valley", None),
        ("train_val", "train"),
        ("trainval", "train"),
        ("", None),
    ],
)
def test_names_of_splits(name, split):
    assert split_named(name) == split


def test_a_word_that_all_splits_share():
    assert splits_named(["seg_train", "seg_test", "x"]) == {
        "seg_train": "train",
        "seg_test": "test",
    }
    assert splits_named(["seg_train", "train_station"]) == {}


@pytest.mark.parametrize(
    "names",
    [
        "Trainingsdaten Validierung Testdaten",
        "Trainingsbilder Validierungsbilder Testbilder",
        "entraînement validation essai",
        "Entrainement Validation Test",
        "entrenamiento validación prueba",
        "conjunto_de_entrenamiento val conjunto_de_prueba",
        "treino validação teste",
        "addestramento validazione prova",
        "训练集 验证集 测试集",
        "訓練數據 dev 測試",
        "обучение валидация тест",
        "Обучающая_выборка Проверка Тестовая_выборка",
        "学習 検証 テスト",
        "학습 검증 테스트",
    ],
)
def test_splits_in_other_languages(names):
    splits = splits_named(names.split())
    assert list(splits.values()) == ["train", "validation", "test"]
    assert set(splits_named([*splits][:2])) == {*[*splits][:2]}


@pytest.mark.parametrize("names", ["prova casa", "essai brouillon", "teste nariz", "essai train_a"])
def test_one_word_of_another_language_is_no_split(names):
    assert splits_named(names.split()) == {}


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        ("trainA trainB testA testB", "A B A B"),
        ("train_cats test_cats cats-val Test_Big.Dogs", "cats cats cats Big.Dogs"),
        ("TrainCats ValCats", "Cats Cats"),
        ("train_0 train_1 test_0", "0 1 0"),
        ("train_set_café café_test", "café café"),
        ("train_station test_tube", ""),
        ("trainA trainB", ""),
        ("train test", ""),
    ],
)
def test_classes_in_names_of_splits(names, classes):
    assert " ".join(classes_within(names.split()).values()) == classes


ONE = [
    (("{entrenamiento,prueba}/{a,b}/" + N,), ("split", "class")),
    (("{a,b}/{训练集,测试集}/" + N,), ("class", "split")),
    (("{prova,casa}/" + N,), ("class",)),
    (("trainval/{a,b}/" + N, "test/{a,b}/" + N), ("split", "class")),
    (("train/{p,q}/" + N, "test/p/" + N, "test/q/" + N), ("split", "class")),
    (("training_set/{a,b}/" + N, "test_set/{a,b}/" + N), ("split", "class")),
    (("Training/{a,b}/" + N, "Testing/{a,b}/" + N), ("split", "class")),
    (("TRAIN/{a,b}/" + N, "TEST/{a,b}/" + N), ("split", "class")),
    (("seg_train/{a,b}/" + N, "seg_test/{a,b}/" + N), ("split", "class")),
    (("train/train/{a,b}/" + N, "test/test/{a,b}/" + N), ("split", "all", "class")),
    (
        ("Final_Training/Images/{a,b}/" + N, "Final_Test/Images/{a,b}/" + N),
        ("split", "all", "class"),
    ),
    (("x/Training/{a,b}/" + N, "x/Testing/{a,b}/" + N), ("all", "split", "class")),
    (("train/images/{a,b}/" + N, "test/{a,b}/" + N), ("split", "class")),
    (("{train,test}/{a,b}/images/" + N,), ("split", "class")),
    (("{train,val}/a/{x,y}/" + N, "{train,val}/b/" + N), ("split", "class")),
    (("{train,test}/{train,b}/" + N,), ("split", "class")),
    (("{a,b}/{train,test}/" + N,), ("class", "split")),
    (("{a,b}/{Training,Testing}/" + N,), ("class", "split")),
    (("pets/{a,b}/{train,test}/" + N,), ("all", "class", "split")),
    (("dataset/{a,b}/" + N,), ("all", "class")),
    (("x/y/z/{a,b}/" + N, "readme.txt"), ("all", "all", "all", "class")),
    (("dataset/{a,b}/" + N, "loose.png"), ("all", "class")),
    (("a/{k,l}/" + N, "b/{m,n}/" + N), ("class",)),
    (("{a,b}/" + N, "{a,b}/more/1.png"), ("class",)),
    (("{mask,no_mask}/" + N,), ("class",)),
    (("{n01443537,n01629819}/" + N,), ("class",)),
    (("{0,1}/" + N,), ("class",)),
    (("{c0,c1}/" + N,), ("class",)),
]


@pytest.mark.parametrize(("paths", "levels"), ONE)
def test_one_reading_is_taken_and_said(tmp_path, paths, levels):
    source = scan(tree(tmp_path, *paths))
    assert source.reading.levels == levels
    assert f"classes at level {levels.index('class') + 1}" in source.reading.sentence
    assert len(set(source.labels)) == 2
    by_split = Counter(source.splits)
    assert set(by_split) == ({None} if "split" not in levels else by_split.keys() - {None})
    for path, label, split in zip(source.paths, source.labels, source.splits, strict=True):
        assert label in path.split("/")
        assert split is None or source.reading.splits[path.split("/")[levels.index("split")]]


SEVERAL = [
    (("{a,b}/{patient_001,patient_002}/" + N,), "--group-at 2 to keep each|come again"),
    (("a/{video1,video2}/" + N, "b/{video3,video4}/" + N), "say --group-at 2 to keep each in one"),
    (
        ("train/{p1,p2}/{0,1}/" + N, "test/p3/{0,1}/" + N),
        "--classes-at 3 if .* --classes-at 3 --group-at 2 if",
    ),
    (("{JPEGImages,SegmentationClass,SegmentationObject}/" + N,), "kinds of pictures of the same"),
    (("{training,test}/{images,1st_manual,mask}/" + N,), "kinds of pictures of the same things"),
    (
        ("w/{x,y}/" + N, "w/w/{x,y}/" + N),
        "say --only w/w to take it alone, or --only x,y to take the others",
    ),
    (("train/{a,b}/" + N, "test/test/{1,2}.png"), "test, received pictures without any"),
    (("{2020,2021}/{jan,feb}/{cat,dog}/" + N,), "--classes-at 3 if the classes are 'cat', 'dog'"),
    (("{Real World,Art}/{a,b}/" + N,), "--only 'Real World'|--only Art"),
    (("{patient12,patient13}/{0,1}/" + N,), "--classes-at 1 .*--classes-at 2 .*--group-at 1"),
    (("p1/{0,1}/" + N, "p2/0/" + N, "p3/1/" + N), "'0', '1' come again below 'p1', 'p2', 'p3'"),
    (("p1/good/" + N, "p2/bad/" + N, "p3/bad/" + N, "p4/good/" + N), "--classes-at 2"),
    (("{fold1,fold2}/{a,b}/" + N,), "--only fold1 to take one of several like trees"),
    (("{color,grey,cut}/{a,b}/" + N,), "--only color"),
    (("{2019,2020}/{a,b}/" + N,), "--classes-at 1 .*--classes-at 2"),
    (("{x,y}/images/{a,b}/" + N,), "--classes-at 1 .*--classes-at 3"),
    (
        ("{train,test}/{p1,p2}/{a,b}/" + N,),
        "--classes-at 2 .*--classes-at 3 .*--group-at 2 --split-at 0 if",
    ),
    (
        ("{s1,s2}/{train,test}/{a,b}/" + N,),
        "--classes-at 3 .*--classes-at 3 --group-at 1 --split-at 0 if each",
    ),
    (("{a,b}/{images,masks}/" + N,), "say --only images to take one kind of pictures"),
    (("{images,segmentations}/{a,b}/" + N,), "--only images"),
    (("{a,b}/" + N, "{a,b}/masks/" + N), "hold pictures and also a folder 'masks'; say --only"),
    (("{a,b,c}/" + N, "all/{a,b,c}/" + N), "'all' holds 'a', 'b', 'c' once more"),
    (
        ("data/x/{a,b,c}/" + N, "x/{a,b,c}/" + N),
        "the same folders, such as 'a', come again at different depths",
    ),
    (("{train,test}/{a,b}/" + N, "x/{train,test}/{a,b}/" + N), "--only x to take what lies there"),
    (
        ("{train,test}/{train,test}/" + N,),
        "--classes-at 2 --split-at 1 if .* --classes-at 1 --split-at 2 if",
    ),
    (
        ("{a,b}/{train,test,more}/" + N,),
        "'test', 'train' are splits .* 'more' is not; say --only test,train to",
    ),
    (
        ("{train,a,b}/" + N,),
        "'train' is a split .* 'a', 'b' are not; say --classes-at 1 --split-at 0 if",
    ),
    (("{seg_train,seg_test}/{a,b}/" + N, "seg_pred/" + N), "--only seg_test,seg_train to leave"),
    (("{fold1,fold2,fold3}/" + N,), "parts of one collection; say --classes-at 1"),
    (("{images_001,images_002}/" + N,), "parts of one collection; say --classes-at 1"),
    (("{patient1,patient2}/" + N,), "parts of one collection; say --classes-at 1"),
    (("{images,masks}/" + N,), "kinds of pictures of the same things; say --classes-at 1"),
    (("images/" + N, "annotations/trimaps/" + N), "kinds of pictures of the same things"),
    (
        ("{a,b}/{train,test}/" + N, "a/9.png"),
        "1 picture above, e.g. a/9.png: move it into one, or say --classes-at 1 --split-at 2 to",
    ),
    (("train/{a,b}/" + N, "val/images/" + N), "val/images, received pictures without any"),
    (("{train,val}/images/" + N,), "train/images, received pictures without any"),
    (("images/" + N,), "expected class folders in .*, received 3 pictures without any"),
    (("train/train/{a,b}.{1,2}.png", "test1/test1/1.png"), "without any, e.g. test1/test1/1.png"),
]


@pytest.mark.parametrize(("paths", "message"), SEVERAL)
def test_of_several_readings_none_is_taken(tmp_path, paths, message):
    with pytest.raises(DataError, match=message) as raised:
        scan(tree(tmp_path, *paths))
    assert len(str(raised.value).replace(str(tmp_path), "")) < 600


# Layouts as public data sets have them.
SEVERAL += [
    (("h2z/{trainA,trainB,testA,testB}/" + N,), "--split-at 2 --classes-at 2 if .* 'A', 'B', or"),
    (("{train,test}_{cats,dogs}/" + N,), "say a split, and .*say --split-at 1 --classes-at 1 if"),
    (("{cats,dogs}_train/" + N, "cats-val/" + N), "--classes-at 1 --split-at 0 if the classes are"),
    (("{Train,Test}{Cats,Dogs}/" + N, "birds/" + N), "to leave 'birds' out, if .* 'Cats', 'Dogs'"),
    (("{train,test}_{0,1}/" + N,), "--split-at 1 --classes-at 1 if the classes are '0', '1'"),
    (("{train1,train2,test}/{a,b}/" + N,), "--only train1,test to .* --split-at 1 to take all as"),
    (("{train,test}{A,B}/{x,y}/" + N,), "--classes-at 2 --split-at 1 if the classes are 'x', 'y'"),
    (("{h2z,a2o}/{train,test}{A,B}/" + N,), "--split-at 2 --classes-at 2 if"),
    (("train/{train,test}/{a,b}/" + N, "test/{a,b}/" + N), "--only train/test,train/train to"),
    (("site1/{deer,fox,boar}/" + N, "site2/{deer,elk}/" + N), "'deer' comes again below 'site1'"),
    (("n/{deer,fox}/" + N, "s/cam1/{deer,elk,hare}/" + N), "such as 'deer', come again at diff"),
    (
        ("{bottle,cable}/{train,test}/good/" + N, "bottle/test/{big,small}/" + N),
        "'good' comes again .* --classes-at 1 if .* --classes-at 3 --split-at 0 if",
    ),
    (
        ("{bottle,cable}/{train,test}/good/" + N, "bottle/{test,ground_truth}/{big,small}/" + N),
        "--only test,train --classes-at 1 to leave 'ground_truth' out, if the classes are 'bottle'",
    ),
    (("{cat,dog}/{train,test,misc}/" + N,), "--classes-at 1 --split-at 0 if .* 'cat', 'dog'"),
    (("vehicles/{train,car,bus}/" + N,), "'train' is a .*--classes-at 2 --split-at 0 if"),
    (("{train,more}/{a,b}/" + N,), "--only train to .* --only more to|--classes-at 2 --split-at 0"),
    (("x/{cat,dog}_{1,2}.png",), "only 'x': add .* say --label-pattern '{label}_{number:d}' if"),
    (("x/y/" + N,), "received only 'y': add pictures .* where labels stand .* or give a table"),
    (
        ("{cat,dog} ({1,2}).png",),
        r"--label-pattern '{label} \({number:d}\)' if the labels in file names are",
    ),
    (("images/{cat,dog}-{1,2}.png", "masks/{cat,dog}-{1,2}.png"), "--only images --label-pattern"),
    (("train/{a,b}/" + N, "{val,test}/images/" + N), "--only train if those in test, val have no"),
    (("{train,test,val,valid}/{a,b}/" + N,), "'val', 'valid' are all .* --only valid,test,train"),
    (("train/{cat,dog}.{1,2}.png", "test1/{1,2}.png"), "--only train if those in test1 have no"),
    (("{train,test}/s{1,2}/{a,b}/" + N,), "--classes-at 3 --group-at 2 --split-at 0 if each of"),
]
UNSAID = {
    "images/{1,2,3}.png", "{train,val}/images/{1,2,3}.png", "x/y/{1,2,3}.png",
}  # fmt: skip
"""Ends of layouts in which nothing that is typed helps."""

TYPED = re.compile(r"(?:--[a-z]+-?[a-z]+ (?:'[^']*'|[^ ']+) )+")


def ways_out(message):
    """Return the settings of each way that a sentence offers, with what it says of it."""
    asked = re.sub(r"\(such as .*?\)", "", message)
    found = list(TYPED.finditer(asked))
    for number, match in enumerate(found):
        words = shlex.split(match[0])
        names = [word[2:].replace("-", "_") for word in words[::2]]
        values = [
            int(word) if word.isdecimal() and len(word) == 1 else word for word in words[1::2]
        ]
        end = found[number + 1].start() if number + 1 < len(found) else len(asked)
        yield dict(zip(names, values, strict=True)), asked[match.end() : end].split(", or ")[0]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("paths", [paths for paths, _ in SEVERAL])
def test_every_way_out_leads_to_what_it_says(tmp_path, paths, packed):
    place = tree(tmp_path / "data", *paths)
    if packed:
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for path in sorted(file for file in place.rglob("*") if file.is_file()):
                archive.write(path, path.relative_to(place))
        place = tmp_path / "data.zip"
    with pytest.raises(DataError) as raised:
        scan(place)
    ways = list(ways_out(str(raised.value)))
    assert bool(ways) != (paths[-1] in UNSAID)
    readings = []
    for said, meaning in ways:
        source = scan(place, DataConfig(**said))
        index(place, DataConfig(**said))
        readings.append((source.paths, source.labels, source.splits, source.groups))
        classes = sorted(set(source.labels))
        if told := re.search(r"if the (?:classes|labels in file names) are (.*)", meaning):
            quoted = re.findall(r"'([^']*)'", told[1])
            more = re.search(r"and (\d+) more", told[1])
            assert quoted == classes[:2]
            assert len(classes) == 2 + (int(more[1]) if more else 0)
        at = said.get("classes_at", 0)
        if at and at != said.get("split_at"):
            assert all(path.split("/")[at - 1] == label for path, label in rows_of(source))
        if said.get("split_at") == 0:
            assert set(source.splits) == {None}
        elif "split_at" in said:
            assert set(source.splits) >= {"train"}
        if "group_at" in said:
            parts = {path.split("/")[said["group_at"] - 1] for path in source.paths}
            assert set(source.groups) == parts
        for name in said.get("only", "").split(",") if "only" in said else ():
            assert any(f"/{name}/" in f"/{path}" for path in source.paths)
    assert len(set(readings)) == len(readings)


def rows_of(source):
    return zip(source.paths, source.labels, strict=True)


@pytest.mark.parametrize(
    ("paths", "splits"),
    [
        (("train/{train,val}/{a,b}/" + N, "test/{a,b}/" + N), "test train/train train/val"),
        (("train/{train,val}/{a,b}/" + N, "test/test/{a,b}/" + N), "test train/train train/val"),
        (("x/dev/{train,val}/{a,b}/" + N, "x/test/{a,b}/" + N), "dev/train dev/val test"),
        (("trainval/{train,val}/{a,b}.{1,2}.png", "test/{a,b}.{1,2}.png"), "test trainval/train"),
    ],
)
def test_splits_inside_a_split(tmp_path, paths, splits):
    dataset = index(tree(tmp_path, *paths))
    assert " ".join(dataset.reading.splits).startswith(splits)
    assert set(dataset.reading.splits.values()) == {"train", "validation", "test"}
    for path, split in zip(dataset.paths, dataset.splits.tolist(), strict=True):
        inner = {"train": "train", "val": "validation"}.get(path.removeprefix("x/").split("/")[1])
        assert split == (inner or "test")
    roles = {path: dataset.reading.levels_of(path)[path.count("/") - 1] for path in dataset.paths}
    assert set(roles.values()) <= {"class", "split"}


PATIENTS = ("{p1,p2}/{0,1}/" + N,)


@pytest.mark.parametrize(
    ("paths", "said", "labels", "splits", "groups"),
    [
        (PATIENTS, {"classes_at": 1}, "p1 p2", {None}, None),
        (PATIENTS, {"classes_at": 2}, "0 1", {None}, None),
        (PATIENTS, {"classes_at": 2, "group_at": 1}, "0 1", {None}, "p1 p2"),
        (PATIENTS, {"group_at": 1}, "0 1", {None}, "p1 p2"),
        (PATIENTS, {"only": "p1"}, "0 1", {None}, None),
        (("x/p1/{0,1}/" + N, "x/p2/{0,1}/" + N), {"only": "x/p2"}, "0 1", {None}, None),
        (
            ("{train,test}{A,B}/" + N,),
            {"split_at": 1, "classes_at": 1},
            "A B",
            {"train", "test"},
            None,
        ),
        (("{train,test}{A,B}/{x,y}/" + N,), {"split_at": 1}, "x y", {"train", "test"}, None),
        (("{a,b}/{images,masks}/" + N,), {"only": "images"}, "a b", {None}, None),
        (("{a,b}/" + N, "{a,b}/masks/" + N), {"only": "masks"}, "a b", {None}, None),
        (("{a,b}/" + N, "{a,b}/masks/" + N), {"classes_at": 1}, "a b", {None}, None),
        (
            ("{fold1,fold2,fold3}/{a,b}/" + N,),
            {"only": "fold1,fold2", "classes_at": 2},
            "a b",
            {None},
            None,
        ),
        (("{train,a,b}/" + N,), {"classes_at": 1, "split_at": 0}, "a b train", {None}, None),
        (("{train,a,b}/" + N,), {"split_at": 0}, "a b train", {None}, None),
        (("{train,test}/{a,b}/" + N,), {"split_at": 0, "classes_at": 2}, "a b", {None}, None),
        (("{train,test}/{a,b}/" + N,), {"classes_at": 2}, "a b", {"train", "test"}, None),
        (
            ("{train,test}/{train,test}/" + N,),
            {"split_at": 2, "classes_at": 1},
            "test train",
            {"train", "test"},
            None,
        ),
        (
            ("{x_train,x_test,x_pred}/{a,b}/" + N,),
            {"only": "x_train,x_test"},
            "a b",
            {"train", "test"},
            None,
        ),
        (("{train,test}/{p1,p2}/{a,b}/" + N,), {"classes_at": 3}, "a b", {"train", "test"}, None),
        (
            ("{s1,s2}/{train,test}/{a,b}/" + N,),
            {"group_at": 1, "split_at": 2},
            "a b",
            {"train", "test"},
            "s1 s2",
        ),
        (
            ("{a,b}/{m1,m2}/" + N, "a/9.png"),
            {"classes_at": 1, "group_at": 2},
            "a b",
            {None},
            "m1 m2",
        ),
        (("{real world,art}/{a,b}/" + N,), {"only": " real world/ "}, "a b", {None}, None),
        (("{benign,malign}/{p1,p2}/" + N,), {"group_at": 2}, "benign malign", {None}, "p1 p2"),
        (
            ("{c1,c2}/{train,test}/{a,b}_" + N,),
            {"label_pattern": "{label}_{}"},
            "a b",
            {"train", "test"},
            None,
        ),
        (("{part1,part2}/" + N,), {"classes_at": 1}, "part1 part2", {None}, None),
        (
            ("{s1,s2}/{a,b}_" + N,),
            {"label_pattern": "{label}_{}", "group_at": 1},
            "a b",
            {None},
            "s1 s2",
        ),
        (
            ("{s1,s2}/{train,test}/{a,b}_" + N,),
            {"label_pattern": "{label}_{}", "split_at": 2},
            "a b",
            {"train", "test"},
            None,
        ),
    ],
)
def test_what_is_said_is_taken(tmp_path, paths, said, labels, splits, groups):
    source = scan(tree(tmp_path, *paths), DataConfig(**said))
    assert " ".join(sorted(set(source.labels))) == labels
    assert set(source.splits) == splits
    found = None if source.groups is None else " ".join(sorted(set(filter(None, source.groups))))
    assert found == groups
    everything = {path for pattern in paths for path in expanded(pattern)}
    dropped = tuple(name for name in source.ignored if name.endswith("/"))
    assert set(source.paths) == {
        path for path in everything if not path.startswith(dropped) and path not in source.ignored
    }


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"classes_at": 3}, r"folders 3 levels deep in .* \(--classes-at 3\), received at most 2"),
        ({"classes_at": 1, "group_at": 1}, "a level of its own for each of --classes-at, --group"),
        ({"split_at": 1}, r"names of splits at level 1 .* received 'p1', 'p2'"),
        ({"only": "p3"}, "unknown folder 'p3'; nearest: p"),
        ({"only": "p1/3"}, "unknown folder 'p1/3'; .*their paths below DATA"),
        (
            {"split_at": 1, "classes_at": 1},
            "names of splits and classes at level 1 .* train_<class>",
        ),
        ({"label_pattern": "{label}", "split_at": 3}, "folders 3 levels deep"),
        ({"label_pattern": "{label}", "classes_at": 1}, "either label_pattern or classes_at"),
    ],
)
def test_what_is_said_and_does_not_fit(tmp_path, said, message):
    with pytest.raises(InputError, match=message):
        scan(tree(tmp_path, *PATIENTS), DataConfig(**said))


@pytest.mark.parametrize("said", [{"classes_at": 0}, {"split_at": -1}, {"group_at": 100}])
def test_levels_that_no_folder_has(said):
    with pytest.raises(InputError, match=rf"expected {next(iter(said))} from"):
        DataConfig(**said)


def test_a_group_is_in_one_split_and_the_settings_are_kept(tmp_path):
    names = ("{p1,p2,p3,p4,p5,p6,p7,p8}/{0,1}/" + N,)
    dataset = index(tree(tmp_path, *names), DataConfig(classes_at=2, group_at=1))
    for group in range(8):
        assert len(set(dataset.splits[dataset.groups == group])) == 1
    assert dataset.indexing["group_at"] == 1
    assert dataset.reading.sentence == "classes at level 2; groups at level 1"


def test_the_reading_as_a_tree(tmp_path):
    names = ("x/Training/{a,b}/" + N, "x/Testing/a/1.png", "x/Testing/b/1.png")
    (wrapping,) = index(tree(tmp_path, *names)).tree()["folders"]
    assert (wrapping["name"], wrapping["is"], wrapping["pictures"]) == ("x", "all", 8)
    testing, training = wrapping["folders"]
    assert (testing["name"], testing["is"], testing["pictures"]) == ("Testing", "split", 2)
    assert [(one["name"], one["is"], one["pictures"]) for one in training["folders"]] == [
        ("a", "class", 3),
        ("b", "class", 3),
    ]


def test_links_in_a_web_end(tmp_path):
    tree(tmp_path, "{a,b}/" + N)
    hub = tmp_path / "a" / "hub"
    hub.mkdir()
    for number in range(12):
        (hub / f"{number}").mkdir()
        for other in range(12):
            (hub / f"{number}" / f"to{other}").symlink_to(hub / f"{other}")
    assert len(scan(tmp_path).paths) == 6


@pytest.mark.parametrize(
    ("paths", "listed", "message"),
    [
        (
            ("train/{a,b}/images/{1,2}.jpg", "val/images/{val_0,val_1}.jpg"),
            ("val/val_annotations.txt", "val_0.jpg\ta\t0\t32\nval_1.jpg\tb\t1\t2\n"),
            "val/val_annotations.txt seems to say .* path,label and images/val_0.jpg,a, or say -",
        ),
        (
            ("{1,2}.jpg",),
            ("labels.txt", "1.jpg a\n2.jpg b\n"),
            "labels.txt seems to say the labels; make a .csv table .* path,label and 1.jpg,a",
        ),
        (("pics/{1,2}.jpg",), ("t.csv", "file,x\n"), "if t.csv says the labels, give that table"),
        (("{1,2}.jpg",), ("readme.txt", "thanks\n"), "lay them out as ROOT/<class>/<picture>"),
    ],
)
def test_a_text_that_lists_labels_is_shown_as_a_table(tmp_path, paths, listed, message):
    tree(tmp_path, *paths)
    (tmp_path / listed[0]).write_text(listed[1])
    with pytest.raises(DataError, match=message):
        scan(tmp_path)
