"""What a program gave where another thing was expected: few words for it, and what to call instead.

Tables, tensors and pictures of other libraries are known by what they have; none is imported.
"""

import os
from typing import Any

from pipeline.errors import InputError

LONGEST = 60
"""Characters of a value that is shown as it is."""
TABLE, PATHS, PIXELS, PILLOW, FEATURES = "table", "paths", "pixels", "Pillow", "features"

FEATURES_OF = "pipeline.FrozenFeatures().fit_transform(X)"
CLASSIFIER_OF = (
    "make_pipeline(pipeline.FrozenFeatures(), LogisticRegression(max_iter=1000)).fit(X, y)"
)
HEAD_OF = "LogisticRegression(max_iter=1000).fit(X, y)"
AS_ARRAYS = "X = [np.asarray(picture.convert('RGB')) for picture in pictures]"
AS_FILES = "save the pictures as FOLDER/CLASS/NAME.png, and give FOLDER"


def described(value: Any) -> str:
    """Return a value as it is where that is short, else its type and size.

    >>> described("7"), described(["a.png"] * 30)
    ("'7'", 'list of 30 str')
    """
    text = "\n" if hasattr(value, "shape") else repr(value)
    return text if len(text) <= LONGEST and "\n" not in text else type_of(value)


def type_of(value: Any) -> str:
    """Return the type of a value, with the shape of an array and what a list holds."""
    if isinstance(value, list | tuple):
        names = sorted({type(one).__name__ for one in value})
        return f"{type(value).__name__} of {len(value)} {', '.join(names[:3])}".rstrip()
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    dtype = f" and dtype {value.dtype}" if hasattr(value, "dtype") else ""
    return f"{type(value).__name__}{shape}{dtype}"


def kind_of(value: Any) -> str | None:
    """Return what several pictures in memory are; None where that is not known."""
    if _is_table(value):
        numbers = hasattr(value, "to_numpy") and value.to_numpy().dtype.kind in "iuf"
        return FEATURES if numbers else TABLE
    if hasattr(value, "to_list") and not hasattr(value, "ndim"):
        return kind_of(value.to_list())
    if isinstance(value, list | tuple):
        one = value[0] if value else None
        if isinstance(one, str | os.PathLike):
            return PATHS
        known = {1: FEATURES, 2: PIXELS, 3: PIXELS}
        return PILLOW if hasattr(one, "convert") else known.get(getattr(one, "ndim", 0))
    texts = getattr(getattr(value, "dtype", None), "kind", "f") in "OUTS"
    known = {1: PATHS} if texts else {2: FEATURES, 3: PIXELS, 4: PIXELS}
    return known.get(getattr(value, "ndim", 0))


def _is_table(value: Any) -> bool:
    return hasattr(type(value), "columns")  # of the type: to ask a value may compute it


def place(data: Any, then: str | None) -> str:
    """Return the text of where pictures are.

    ``then`` does with pictures in memory what the caller does; None where nothing does. Raises
    InputError if the place is no text or path; the sentence says what to call instead.
    """
    if isinstance(data, str | os.PathLike) and os.fspath(data):
        return os.fspath(data)
    raise InputError(
        f"expected data as a text or a path, received data={described(data)}; "
        f"{_instead(data, then)}"
    )


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and kind_of(value[0]) is not None


def _instead(data: Any, then: str | None) -> str:
    kind = kind_of(data[0] if _is_pair(data) else data)
    if kind == TABLE:
        return f"write it with {_writing(data)}, in columns path and label, and give 'pictures.csv'"
    if kind == FEATURES:
        return f"features in memory are for scikit-learn: {HEAD_OF}"
    if kind == PATHS:
        table = "write a table of them with the columns path and label, and give its name"
        return table if then is None else f"{table}, or call {then}"
    if kind == PIXELS and then is not None:
        return f"call {then}"
    if kind == PILLOW and then is not None:
        return f"call {then} with {AS_ARRAYS}"
    if hasattr(data, "location"):
        return "give its location"
    several = hasattr(data, "__getitem__") or hasattr(data, "__iter__")
    if kind is not None or (several and not isinstance(data, str | bytes)):
        return AS_FILES
    return "say where the pictures are: a folder, a table, an archive or a URL"


def _writing(table: Any) -> str:
    """Return what writes a table: of pandas, of polars, or of Arrow."""
    for method, more in (("to_csv", ", index=False"), ("write_csv", ""), ("sink_csv", "")):
        if hasattr(table, method):
            return f"data.{method}('pictures.csv'{more})"
    return "data.to_pandas().to_csv('pictures.csv', index=False)"


def no_pictures(given: Any, expected: str) -> InputError:
    """Return the error that says that something is no pictures, and how to give them."""
    way_out = "make these of it"
    if isinstance(given, str | bytes | os.PathLike):
        way_out = "give a list of paths, as glob('FOLDER/*/*.png') makes it"
    elif _is_table(given):
        way_out = "give its column of paths"
    elif _is_pair(given):
        way_out = "give the pictures alone, without their labels"
    elif kind_of(given) == PILLOW or hasattr(given, "convert"):
        way_out = f"make arrays of them: {AS_ARRAYS}"
    elif hasattr(given, "__next__") or isinstance(given, set | frozenset):
        way_out = "make a list of it with list(…)"
    return InputError(f"expected {expected}, received {type_of(given)}; {way_out}")
