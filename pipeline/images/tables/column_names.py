"""What the name of a column says: paths, labels, splits, groups."""

import re

from pipeline.images.splitwords import split_named

PATH, LABEL, SPLIT, GROUP = "path", "label", "split", "group"
ROLES = (PATH, LABEL, SPLIT, GROUP)
ATTRIBUTE, PROPERTY, BEING, AMOUNT = "attribute", "property", "being", "amount"
"""A label that in other tables is none (type, level); a group that a picture may show (person); a
group if it is numbered, and a kind if it is not (animal); a split in words, or how much (Menge)."""
NONE = "none"
"""What is typed where no column has a role."""
ONE_HOT = "one-hot"
"""What is typed as the label column where a 1 in one of several columns says the label."""
MOST_NAMED = 10
"""Columns that a sentence names: who chooses among them has to see them."""

_PICTURES = "images?|imgs?|pictures?|pics?|photos?|photographs?"
_PATHS = re.compile(
    rf"(?!(new|original|local|abs|rel)$)(full|rel|relative|abs|absolute|local|original|new)?"
    rf"({_PICTURES}|files?)?"
    r"(paths?|files?|filenames?|filepaths?|fnames?|names?|ids?|idcode|code|index|location|uri|url)?"
)
_LABELS = (
    "label|class|classes|category|categories|target|breed|species|finding|diagnosis|diagnoses|"
    "variety|varieties|disease|cultivar|pathology|emotion|groundtruth"
)
_WHOLE_LABELS = "y|gt|dx|truth"
# Labels of some tables, and in others only something that is known about a picture.
_ATTRIBUTES = "tag|type|kind|grade|level|family|genus|expression|outcome|.*condition|.*severity"
_LABEL_NUMBER = "(names?|ids?|idx|index|codes?|num|number|no|text|str)?s?"
_LABEL_NAMES = re.compile(rf"(.*({_LABELS})|{_WHOLE_LABELS}|{_ATTRIBUTES})s?{_LABEL_NUMBER}")
_ATTRIBUTE_NAMES = re.compile(rf"({_ATTRIBUTES})s?{_LABEL_NUMBER}")
_SPLITS = re.compile(
    r"(data|image|train(ing)?(val(idation)?)?(test)?)?"
    r"(sets?|subsets?|splits?|partitions?|phases?|usages?|datasets?|foldtype)(names?|types?|ids?)?"
    r"|(k|cv)?folds?\d*(ids?|nos?|nrs?|numbers?|idx|index)?|cv\d*"
)
_AMOUNTS = re.compile(
    "(teil|daten|unter|bild)?mengen?|datens[aä]tz(e|en)?|aufteilung|einteilung|(sous)?ensembles?|jeux?|"
    "r[eé]partition|(sub)?conjuntos?|partici[oó]n|divisi[oó]n|parti[cç][aã]o|divis[aã]o|"
    "(sotto)?insiem[ei]|partizione|suddivisione|(deel)?verzameling|(pod)?zbi[oó]r|(под)?выборка|"
    "разбиение|子集|数据集|數據集|划分|分割|データセット|데이터셋|분할"
)
_WHO = (
    "patient|subject|subj|participant|individual|person|people|donor|proband|volunteer|identity|"
    "case|lesion|slide|specimen|video|clip|patientin|versuchs(person|tier)|teilnehmer(in)?|paciente|"
    "paziente|sujet|suje?ito|sujeto|soggetto|participante|partecipante|"
    "пациент[а-я]*|испытуем[а-я]*|участник[а-я]*|患者|病人|受试者|受試者|被験者|환자|피험자"
)
_WHO_BY_NUMBER = (
    "session|sequence|seq|series|study|encounter|visit|exam|accession|admission|burst|track|scene|"
    "child|owner|user|author|writer|photographer|observer|speaker|actor|camera|kamera|fall|cas|caso|"
    "charge|plaque|location|site|hospital|klinik|farm|plot|object|instance|product|item|group|pat|pt|"
    "p|sub"
)
_BEINGS = (
    "animal|animale|mouse|rat|plant|tree|tier|maus|ratte|pflanze|baum|souris|plante|rat[oó]n|planta|"
    "topo|pianta|животное|мышь|растение|动物|動物|동물"
)
_TRAYS = "plate|well|platte|placa|piastra"
_NUMBER = (
    "ids?|nos?|nrs?|nums?|numbers?|names?|uids?|uuids?|instanceuids?|keys?|codes?|index|idx|nummern?|"
    "kennung|k[uü]rzel|num[eé]ros?|identifiant|identificador|c[oó]digos?|codice|номер|код|"
    "编号|編號|番号|번호"
)
_GROUPS = re.compile(
    r"(anon(ymi[sz]ed)?|dicom|original|orig|unique|hashed"
    r"|(id|num[eé]ro|c[oó]digo|codice|code|номер)(de|du|del|do|di)?)?"
    rf"(groups?|mrn|medicalrecordnumber|({_WHO}|{_TRAYS}|batch)(e?[ns])?({_NUMBER})?"
    rf"|({_WHO_BY_NUMBER}|{_BEINGS})(e?[ns])?({_NUMBER}))"
)
_WHOS = re.compile(rf"({_WHO}|{_TRAYS})(e?[ns])?")
_BEING_NAMES = re.compile(rf"({_BEINGS})s?")
_NAMES = {
    **{PATH: _PATHS, LABEL: _LABEL_NAMES, SPLIT: _SPLITS, GROUP: _GROUPS},
    **{ATTRIBUTE: _ATTRIBUTE_NAMES, PROPERTY: _WHOS, BEING: _BEING_NAMES, AMOUNT: _AMOUNTS},
}
_UNNAMED = re.compile(r"(unnamed\d*|index|(index)?level\d)?")
_BEFORE_SPLIT = re.compile(r"(?i)^(is|in|for|used?)[\W_]*((in|for|as)[\W_]*)?")


def plain_name(name: str) -> str:
    """Return a column's name without case, spaces, and marks.

    >>> plain_name(" Image_Index"), plain_name("file-name")
    ('imageindex', 'filename')
    """
    return re.sub(r"[\W_]+", "", name.casefold())


def says(role: str, name: str) -> bool:
    """Say whether a column of this name may have this role.

    >>> says("path", "Image ID"), says("label", "dog_breed"), says("group", "Patient ID")
    (True, True, True)
    >>> says("path", "breed"), says("label", "width"), says("group", "animal")
    (False, False, False)
    >>> says("group", "Patientennummer"), says("group", "numéro du patient"), says("group", "plate")
    (True, True, True)
    """
    plain = plain_name(name)
    return plain != "" and _NAMES[role].fullmatch(plain) is not None


def is_unnamed(name: str) -> bool:
    """Say whether a column only numbers the rows, as spreadsheets and data frames write it."""
    return _UNNAMED.fullmatch(plain_name(name)) is not None


def split_of_yes(name: str) -> str | None:
    """Return the split that a column of yes and no says is meant.

    >>> split_of_yes("is_training_image"), split_of_yes("is_valid"), split_of_yes("training_hours")
    ('train', 'validation', None)
    """
    return split_named(re.sub(_BEFORE_SPLIT, "", name.strip()))
