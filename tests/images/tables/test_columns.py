"""Which column says what: what is taken, and where the user is asked."""

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.images import scan
from tests.images.tables.written import LABELS, NAMES, SPLITS, put, text_of

STEMS = tuple(name.removesuffix(".jpg") for name in NAMES)
OTHER = tuple("ababab")


def read(root, header, *columns, files=NAMES, **settings):
    return scan(put(root, text_of(header, *columns), *files), DataConfig(**settings))


@pytest.mark.parametrize(
    "header",
    [
        ("path", "label"),
        ("Filename", "ClassId"),
        ("file_name", "class"),
        ("Image Index", "Finding Labels"),
        ("image_id", "dx"),
        ("id_code", "diagnosis"),
        ("img-path", "dog_breed"),
        ("picture", "variety"),
        ("image", "level"),
        ("x", "species"),  # found by what is in it
        ("photo", "flower"),  # the only column that is left
    ],
)
def test_columns_that_are_found(tmp_path, header):
    source = read(tmp_path, header, NAMES, LABELS)
    assert (source.paths, source.labels) == (NAMES, LABELS)
    assert source.reading.columns == {"path": header[0], "label": header[1]}
    said = f"path from column {header[0]!r}; label from column {header[1]!r}"
    assert source.reading.sentence == said


def test_a_column_of_row_numbers_is_none_of_these(tmp_path):
    header = ("", "file", "flower")
    assert read(tmp_path, header, STEMS, NAMES, LABELS).reading.columns["path"] == "file"


@pytest.mark.parametrize(
    ("header", "columns", "chosen"),
    [
        (("path", "file", "label"), (NAMES, OTHER, LABELS), ("path", "label")),
        (("file", "category", "label"), (NAMES, OTHER, LABELS), ("file", "label")),
        (("file", "class_id", "class_name"), (NAMES, "000111", LABELS), ("file", "class_name")),
        (("file", "breed", "target"), (NAMES, LABELS, "111111"), ("file", "breed")),
        (("id", "filename", "breed"), (STEMS, NAMES, LABELS), ("id", "breed")),  # the same files
        (("id", "filename", "breed"), ("abcdef", NAMES, LABELS), ("filename", "breed")),
        (("name", "uuid", "breed"), (LABELS, STEMS, OTHER), ("uuid", "breed")),
    ],
)
def test_columns_among_others(tmp_path, header, columns, chosen):
    reading = read(tmp_path, header, *columns).reading
    assert (reading.columns["path"], reading.columns["label"]) == chosen


@pytest.mark.parametrize(
    ("header", "columns", "message"),
    [
        (
            ("file", "breed", "species"),
            (NAMES, LABELS, OTHER),
            "one column of labels in .*, received 'breed', 'species': say which with --label-column"
            " breed or --label-column species",
        ),
        (
            ("file", "category", "Class Name"),
            (NAMES, LABELS, [f"a {label}" for label in LABELS]),
            "--label-column category or --label-column 'Class Name'",
        ),
        (
            ("id", "filename", "label"),
            (STEMS, NAMES[::-1], LABELS),
            "one column of paths in .*: say which with --path-column id or --path-column filename",
        ),
        (
            ("file", "width"),
            (NAMES, "112212"),
            "received 'file', 'width': name the column of labels 'label', or .*-column width",
        ),
        (("a", "b", "c"), (LABELS, OTHER, OTHER), "name the column of paths 'path', or say which"),
        (("path", "label", "Label"), (NAMES, LABELS, LABELS), "one column label in .* several"),
        (
            ("file", "label", "Patient ID"),
            (NAMES, LABELS, "112334"),
            "told whether pictures of one 'Patient ID' in .* stay together, .*: say --group-column "
            "'Patient ID', or --group-column none",
        ),
        (
            ("image_id", "dx", "lesion_id", "patient"),
            (NAMES, LABELS, "112334", "112333"),
            "--group-column lesion_id or --group-column patient, or --group-column none",
        ),
    ],
)
def test_questions(tmp_path, header, columns, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, header, *columns)


def test_columns_that_are_typed(tmp_path):
    header = ("file", "Class Name", "species", "patient_id", "set")
    columns = (NAMES, LABELS, OTHER, "112233", SPLITS)
    settings = {"group_column": "Patient-ID", "split_column": "none", "path_column": "file"}
    source = read(tmp_path, header, *columns, label_column="class_name", **settings)
    assert source.labels == LABELS
    assert source.groups == tuple("112233")
    assert source.splits == (None,) * 6
    without = read(tmp_path, header, *columns, label_column="species", group_column="none")
    assert (without.labels, without.groups) == (OTHER, None)
    assert without.splits == ("train", "train", "test") * 2


def test_names_that_are_typed_wrongly(tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"unknown column 'bred'; nearest: breed; .*t.csv ha"
    ):
        read(tmp_path, ("file", "breed"), NAMES, LABELS, label_column="bred")


@pytest.mark.parametrize(
    ("header", "settings", "message"),
    [
        (("file", "breed"), {"path_column": "file", "label_column": "File"}, "path and as label"),
        (("path", "label"), {"label_column": "path"}, "'path' as path and as label: name another"),
        (("file", "label"), {"label_column": "file"}, "'file' as label and as path: name another"),
        (("path", "label"), {"group_column": "label"}, "with --label-column or --group-column"),
        (("file", "split"), {"label_column": "split"}, r"-split-column \(none where there is none"),
    ],
)
def test_a_column_has_one_role(tmp_path, header, settings, message):
    with pytest.raises(InputError, match=f"one role, received .*{message}"):
        read(tmp_path, header, NAMES, LABELS, **settings)


def test_columns_of_one_name(tmp_path):
    header, columns = ("file", "breed", "Breed"), (NAMES, LABELS, OTHER)
    assert read(tmp_path, header, *columns, label_column="breed").labels == LABELS
    with pytest.raises(InputError, match=r"one column breed in .* received several: keep one"):
        read(tmp_path, ("file", "breed", "breed"), *columns, label_column="breed")


@pytest.mark.parametrize("name", ["tag", "Type", "kind", "grade", "level", "family", "tag_name"])
def test_doubtful_names_of_labels(tmp_path, name):
    words = ("rose", "tulip", "daisy") * 2
    with pytest.raises(InputError, match=f"--label-column {name} or --label-column flower"):
        read(tmp_path, ("file", name, "flower"), NAMES, OTHER, words)
    header = ("file", name, "size", "patient_id", "flower")  # numbers, groups, the same again
    columns = (NAMES, OTHER, "112233", "pqrstu", ("x", "y") * 3)
    assert read(tmp_path, header, *columns).reading.columns["label"] == name
    with pytest.raises(InputError, match=f"{name} or --label-column class"):
        read(tmp_path, ("file", name, "class"), NAMES, OTHER, words)


@pytest.mark.parametrize("values", ["172394", ["", "", "", "", "", "7"], "111111"])
def test_groups_that_keep_nothing_together_are_not_asked_about(tmp_path, values):
    header = ("file", "label", "patient_id")
    assert read(tmp_path, header, NAMES, LABELS, values).groups is None


NAMED_GROUPS = (
    "subj MRN subject_id pid anon_patient_id PatientID plate_no plate well Batch batches patients "
    "Patientennummer Versuchsperson Probanden-Nr Tier Tiernummer Fallnummer Patienten_ID Maus "
    "mouse numéro_du_patient código_paciente id_paziente sujeto номер_пациента 患者番号 환자번호 "
    "患者编号"
)


@pytest.mark.parametrize("name", NAMED_GROUPS.split())
def test_names_of_groups(tmp_path, name):
    with pytest.raises(InputError, match=f"--group-column '?{name}'?, or --group-column none"):
        read(tmp_path, ("file", "label", name), NAMES, LABELS, "112233")


@pytest.mark.parametrize(
    "name", ["cat_id", "n_patients", "kind_id", "plaque", "tree", "Tier", "well_lit"]
)
def test_names_of_kinds_and_counts_are_no_groups(tmp_path, name):
    words = ["oak", "oak", "fir", "fir", "elm", "elm"]
    assert read(tmp_path, ("file", "label", name), NAMES, LABELS, words).groups is None


@pytest.mark.parametrize(
    ("name", "values"), [("person", ("yes", "no") * 3), ("video", "010101"), ("Patient", "TFTFTF")]
)
def test_what_is_on_a_picture_is_no_group(tmp_path, name, values):
    assert read(tmp_path, ("file", "label", name), NAMES, LABELS, values).groups is None
    with pytest.raises(InputError, match="told whether pictures of one"):
        read(tmp_path, ("file", "label", f"{name}_id"), NAMES, LABELS, values)


@pytest.mark.parametrize("missing", ["nan", "None", "<NA>", ""])
def test_pictures_of_no_group(tmp_path, missing):
    source = read(tmp_path, ("file", "label", "group"), NAMES, LABELS, [missing, *"11223"])
    assert source.groups == (None, *"11223")


def test_groups_in_two_spellings(tmp_path):
    with pytest.raises(DataError, match="groups that differ clearly, but 'P1' and 'p1' in"):
        read(tmp_path, ("file", "label", "group"), NAMES, LABELS, ["P1", "p1", *"2233"])


def test_a_column_called_group_is_taken(tmp_path):
    source = read(tmp_path, ("file", "label", "Group"), NAMES, LABELS, "112233")
    assert source.groups == tuple("112233")
    assert source.reading.columns["group"] == "Group"
