"""Reasons why pictures are left out, grouped by their kind, and too little that is left."""

import pytest

from pipeline.errors import DataError
from pipeline.images.leftout import causes, check_some, check_strictly, why


def failed(*reasons):
    return [{"path": f"a/{i}.jpg", "reason": reason} for i, reason in enumerate(reasons)]


AT = "cannot identify <BytesIO at N>"


@pytest.mark.parametrize(
    ("reasons", "kind"),
    [
        (
            ("truncated (6 bytes not processed)", "truncated (17 bytes not processed)"),
            "truncated (N bytes not processed)",
        ),
        (
            ("120 × 3,000, more than 100,000 pixels", "90 × 1, more than 100,000 pixels"),
            "N × N, more than 100,000 pixels",
        ),
        (("cannot identify <BytesIO at 0x7f3a>", "cannot identify <BytesIO at 0x1b>"), AT),
        (("Bad CRC-32 for 'a/0.jpg'", "Bad CRC-32 for 'a/1.jpg'"), "Bad CRC-32 for '…'"),
        (("0.jpg is cut short", "1.jpg is cut short"), "… is cut short"),
        (("No such file (row 4)", "No such file (row 9)"), "No such file (row N)"),
    ],
)
def test_what_is_of_one_file_makes_no_kind(reasons, kind):
    (cause,) = causes(failed(*reasons))
    assert (cause.reason, cause.pictures) == (kind, 2)


def test_a_reason_that_is_the_same_for_all_is_told_as_it_is():
    (cause,) = causes(failed(*["too large: more than the 100,000,000 pixels"] * 4))
    assert cause.reason == "too large: more than the 100,000,000 pixels"
    assert cause.examples == ("a/0.jpg", "a/1.jpg", "a/2.jpg")
    assert cause.to_dict()["examples"] == ["a/0.jpg", "a/1.jpg", "a/2.jpg"]


def test_the_commonest_comes_first_and_a_sentence_names_three():
    told = why(failed("one", "two", "two", "three", "four", "five"))
    assert told == (
        '2 × "two" (e.g. a/1.jpg), 1 × "one" (a/0.jpg), 1 × "three" (a/3.jpg), 2 for other reasons'
    )


def test_long_reasons_are_cut():
    assert why(failed("x" * 500)) == f'1 × "{"x" * 120}…" (a/0.jpg)'


def test_none_that_can_be_used_is_an_error_with_reasons():
    few = failed("damaged file: 3 bytes", "damaged file: 4 bytes", "no picture")
    with pytest.raises(
        DataError,
        match=r'in there, received 3 of which none can: 2 × "damaged file: N bytes" '
        r'\(e.g. a/0.jpg\), 1 × "no picture" \(a/2.jpg\); mend',
    ):
        check_some("there", 3, few)
    check_some("there", 4, few)
    check_some("there", 0, [])


def test_strict_means_none():
    with pytest.raises(DataError, match=r"2 of 9 are not, first a/0.jpg: no picture"):
        check_strictly(True, failed("no picture", "none"), 9)
    check_strictly(True, [], 9)
    check_strictly(False, failed("no picture"), 9)
