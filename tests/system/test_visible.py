"""Signs that do or hide something are written out; all others stay."""

import json

import pytest

from pipeline.system.visible import escaped_json, is_odd, told, visible

SHOWN = {
    "\x1b]0;title\x07": r"\x1b]0;title\x07",
    "\x9b2J": r"\x9b2J",
    "two\nlines\r\t": r"two\nlines\r\t",
    "\x00\x7f\x85": r"\x00\x7f\x85",
    "cat\u202egpj.exe\u2066\u200f\u061c": r"cat\u202egpj.exe\u2066\u200f\u061c",
    "a\u200bb\ufeffc\u00add\u2060\u3164": r"a\u200bb\ufeffc\xadd\u2060\u3164",
    "a\u200db\u200c": r"a\u200db\u200c",
    "\u2028\u2029": r"\u2028\u2029",
    "caf\udce9 \ud800": r"caf\xe9 \ud800",
    "\U000e0041": r"\U000e0041",
}
STAYS = (
    "plain ~",
    "é ü ß",
    "猫 犬",
    "قطة",
    "क्\u200dष",
    "می\u200cخواهم",
    "😀👍🏽",
    "👩\u200d👩\u200d👧\u200d👦",
    "❤️",
    "葛\U000e0100",
    "C:\\x1b",
)


@pytest.mark.parametrize(("text", "shown"), SHOWN.items())
def test_what_cannot_be_seen_is_written_out(text, shown):
    assert visible(text) == shown
    assert is_odd(text)
    assert visible(shown) == shown
    assert json.loads(escaped_json(json.dumps(text, ensure_ascii=False))) == text
    assert not is_odd(escaped_json(json.dumps(text, ensure_ascii=False)))


@pytest.mark.parametrize("text", STAYS)
def test_what_can_be_seen_stays(text):
    assert visible(text) == text
    assert escaped_json(json.dumps(text, ensure_ascii=False)) == json.dumps(
        text, ensure_ascii=False
    )


def test_every_sign_can_be_written():
    visible("".join(map(chr, range(0x110000)))).encode("utf-8")


def test_passwords_are_not_told():
    assert told("at https://me:pw@host/\x1b") == r"at https://me@host/\x1b"
