"""The grammar of names with arguments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calls import format_call, parse_call, split_calls
from pipeline.errors import InputError

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,9}", fullmatch=True)
argument_names = st.from_regex(r"x[a-z_]{0,5}", fullmatch=True)
literals = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner),
    max_leaves=4,
)
calls = st.tuples(names, st.dictionaries(argument_names, literals, max_size=3))


@settings(max_examples=60, deadline=None)
@given(calls)
def test_a_written_call_reads_as_itself(call):
    assert parse_call(format_call(*call)) == call


@settings(max_examples=60, deadline=None)
@given(st.lists(calls, min_size=1, max_size=4))
def test_a_list_splits_into_what_was_joined(many):
    assert [parse_call(part) for part in split_calls(",".join(format_call(*c) for c in many))] == (
        many
    )


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_as_input_error(text):
    for read in (parse_call, split_calls):
        try:
            read(text)
        except InputError as error:
            assert repr(text) in str(error)  # noqa: PT017 - success is as good as this error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("VGG16", ("VGG16", {})),
        (" VGG16 ( ) ", ("VGG16", {})),
        ("knn(weights='distance', n=5)", ("knn", {"weights": "distance", "n": 5})),
        ("mlp(sizes=(64, 32), bias=True)", ("mlp", {"sizes": (64, 32), "bias": True})),
        ("shift(by=-1.5e-3)", ("shift", {"by": -0.0015})),
    ],
)
def test_parse_call(text, expected):
    assert parse_call(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not start with a name"),
        ("(alpha=1)", "does not start with a name"),
        ("a(1)", "every argument needs a name"),
        ("a(**b)", "every argument needs a name"),
        ("a(*b)", "every argument needs a name"),
        ("a(x=y)", "must be literals"),
        ("a(x=__import__('os'))", "must be literals"),
        ("a(x=1", "does not start with a name"),
        ("a(x=1))", "cannot be read"),
        ("a(x=1)(y=2)", "plain list of arguments"),
        ("a(x=1)+b(y=2)", "plain list of arguments"),
        ("a(x=1, x=2)", "'x' is given twice"),
        ("a(x==1)", "every argument needs a name"),
        ("a(x=" + "[" * 5000 + ")", "cannot be read"),
    ],
)
def test_bad_calls_say_what_is_wrong(text, reason):
    with pytest.raises(InputError, match=reason):
        parse_call(text)


@pytest.mark.parametrize("text", ["a,,b", "a,", ",a", " "])
def test_empty_names_are_refused(text):
    with pytest.raises(InputError, match="names separated by single commas"):
        split_calls(text)


@pytest.mark.parametrize("text", ["a(x=1", "a)", "a(x=[1)]", "a(x='b)"])
def test_unbalanced_lists_are_refused(text):
    with pytest.raises(InputError, match="balanced brackets"):
        split_calls(text)


def test_commas_in_quotes_do_not_split():
    assert split_calls(r"a(x='1,\'2'), b") == [r"a(x='1,\'2')", "b"]
