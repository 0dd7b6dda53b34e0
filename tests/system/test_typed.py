"""JSON that anybody may have written: bounded, and read as the types that it should have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

import pytest

from pipeline.system.typed import MisreadError, parse_json, read_json, typed


class Row(TypedDict):
    name: str
    n: NotRequired[int]


@dataclass(frozen=True)
class Thing:
    kind: Literal["a", "b"]
    share: float
    pair: tuple[float, float] | None = None
    names: tuple[str, ...] = ()
    table: Sequence[Row] = ()
    counts: Mapping[str, int] | None = None
    on: bool = False
    rest: Any = None


GOOD = {
    "kind": "a",
    "share": 1,
    "pair": [0, 1.5],
    "names": ["x"],
    "table": [{"name": "y", "n": 3, "more": 1}],
    "counts": {"z": 2},
    "on": True,
    "rest": [None],
    "unknown": 1,
}


def test_what_is_right_comes_back_as_its_type():
    read = typed(Thing, GOOD)
    assert read == Thing(
        "a", 1.0, (0.0, 1.5), ("x",), [{"name": "y", "n": 3}], {"z": 2}, True, [None]
    )
    assert type(read.share) is float
    assert typed(Thing, {"kind": "b", "share": 0.5}) == Thing("b", 0.5)
    assert typed(list[Row], [{"name": ""}]) == [{"name": ""}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "c"}, r"expected one of \('a', 'b'\) as 'kind', received 'c'"),
        ({"kind": []}, "as 'kind', received"),
        ({"share": "1"}, "expected a number as 'share', received '1'"),
        ({"share": True}, "expected a number as 'share', received True"),
        ({"share": 10**400}, "expected a number as 'share', received more"),
        ({"share": 1e300}, r"as 'share', received 1e\+300"),
        ({"share": None}, "expected a number as 'share', received None"),
        ({"pair": [1]}, r"expected 2 values as 'pair', received \[1\]"),
        ({"pair": "ab"}, "expected a list as 'pair', received 'ab'"),
        ({"pair": [1, None]}, "expected a number as 'pair.1', received None"),
        ({"names": "x"}, "expected a list as 'names', received 'x'"),
        ({"names": ["x", 2]}, "expected a text as 'names.1', received 2"),
        ({"names": ["a\0b"]}, "expected a text as 'names.0'"),
        ({"table": {"name": "y"}}, "expected a list as 'table'"),
        ({"table": [{"n": 1}]}, "'table.0.name' is missing"),
        ({"table": [{"name": "y", "n": 1.0}]}, "whole number as 'table.0.n', received 1.0"),
        ({"counts": [1]}, "expected an object as 'counts', received"),
        ({"counts": {"z": None}}, "expected a whole number as 'counts.z', received None"),
        ({"on": 1}, "expected true or false as 'on', received 1"),
    ],
)
def test_another_type_is_told_with_its_key(change, words):
    with pytest.raises(MisreadError, match=words):
        typed(Thing, GOOD | change)


def test_what_is_missing_is_told():
    with pytest.raises(MisreadError, match="'share' is missing"):
        typed(Thing, {"kind": "a"})
    with pytest.raises(MisreadError, match="expected an object as the whole, received 3"):
        typed(Thing, 3)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Expecting value"),
        (b"\xff", "can't decode byte"),
        (b'{"a": 1, "a": 2}', "'a' twice"),
        (b"[NaN]", "NaN, which is no finite number"),
        (b"[1e999]", "1e999, which is no finite number"),
        (b"[" * 100_000, "lists in lists, more than 64 deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "more than 64 deep"),
        (b'"' + b'\\"' * 1_000_000, "Unterminated string"),
        (b"[" + b"9" * 5000 + b"]", "integer string"),
        (b'["\\ud800"]', "surrogates not allowed"),
    ],
)
def test_json_that_nobody_would_write_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        parse_json(data)


def test_json_that_somebody_writes_is_read():
    deep = b"[" * 64 + b"]" * 64
    assert parse_json(b'["[[[[", "\\"[", ' + deep[1:-1] + b"]")[0] == "[[[["
    assert parse_json(b'["\\ud83d\\ude00", "\\udc80", -1.5e3]') == ["😀", "\udc80", -1500.0]
    assert parse_json(b"[NaN, -Infinity]", constants=True) == [None, None]


def test_only_files_of_a_size_are_read(tmp_path):
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    assert read_json(tmp_path / "a.json") == [1, 2, 3]
    with pytest.raises(ValueError, match="9 bytes"):
        read_json(tmp_path / "a.json", most=8)
    with pytest.raises(ValueError, match="no file"):
        read_json(tmp_path)
