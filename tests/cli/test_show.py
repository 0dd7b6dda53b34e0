import json
import logging
from functools import partial

import numpy as np
import pytest

from pipeline.classify.learning_curve import learning_curve
from pipeline.cli.show import LogHandler, crashed, error, result
from pipeline.cli.show.check import learned, mistaken
from pipeline.cli.show.results import data, left_out, lines, print_table, say, starved, table
from pipeline.evaluate import confident_mistakes, confused_pairs
from pipeline.heads import parse_head
from pipeline.heads.fit import out_of_fold_scores
from pipeline.heads.sample import Sample


def test_the_ends_of_a_long_sentence_are_shown(capsys):
    error("expected " + "layer, " * 9000 + "; save it again")
    said = capsys.readouterr().err
    assert len(said) < 1100
    assert said.startswith("pipeline: expected layer, layer")
    assert said.endswith("layer, ; save it again\n")
    error("short")
    assert capsys.readouterr().err == "pipeline: short\n"


@pytest.mark.parametrize(
    ("pictures", "rate", "expected"),
    [
        (71.0, 31_000.0, "waited for pictures 71% of the time: 9,100 of 31,000 pictures/s; more"),
        (71.0, None, "waited for pictures 71% of the time; more cores, or --jpeg scaled for large"),
        (71.0, 9_000.0, "waited for pictures 71% of the time; more cores"),  # a trial that lay off
        (9.0, 31_000.0, None),
        (0.5, 31_000.0, None),
    ],
)
def test_engine_that_waits_for_pictures_is_told(capsys, pictures, rate, expected):
    where = {"reading": 0.0, "decoding": 99.0, "waited_for_pictures": pictures}
    where |= {"waited_for_engine": 0.1 if pictures < 1 else 28.0, "waited_for_disk": 1.0}
    starved({"where": where, "images_per_second": 9100.4, "forecast": {"engine_rate": rate}})
    told = capsys.readouterr().out
    assert told.startswith(expected) if expected else not told


def test_learning_curve_ends_with_its_sentence(capsys):
    labels = np.arange(80) % 2
    features = (labels[:, None] + np.random.default_rng(0).normal(size=(80, 5))).astype(np.float32)
    sample, ridge = Sample(features, labels, 2), parse_head("ridge")
    score = partial(out_of_fold_scores, ridge, sample)
    value = learning_curve(score, labels).to_dict()
    learned(value)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(value["points"]) + 1
    assert lines[0].startswith(f"{value['points'][0]['n']:>8} pictures  0.")
    assert lines[-1] == value["sentence"]


def test_mistakes_with_their_pictures(capsys):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    given = probabilities, np.array([1, 1]), ["a.jpg", "b.jpg"], ("cat", "dog")
    pairs, mistakes = confused_pairs(*given), confident_mistakes(*given)
    mistaken([one.to_dict() for one in pairs], [one.to_dict() for one in mistakes])
    assert capsys.readouterr().out == (
        "most often confused:\n"
        "  dog called cat: 1 (50.0%), e.g. a.jpg\n"
        "surest mistakes:\n"
        "  a.jpg: dog (0.100), called cat (0.900)\n"
    )
    mistaken([], [])
    assert capsys.readouterr().out == ""


def failed(*reasons):
    return [{"path": f"a/{i}.jpg", "reason": reason} for i, reason in enumerate(reasons)]


@pytest.mark.parametrize(
    ("reasons", "each", "printed"),
    [
        ((), False, ""),
        (("no picture",), False, "1 of 9 pictures is left out:\n  a/0.jpg: no picture\n"),
        (
            ("cut after 3 bytes", "no picture", "cut after 4 bytes"),
            False,
            "3 of 9 pictures are left out:\n"
            '  2 × "cut after N bytes" (e.g. a/0.jpg)\n'
            "  a/1.jpg: no picture\n"
            "`pipeline check DATA` lists them\n",
        ),
        (
            ("no picture", "no picture"),
            True,
            "2 of 9 pictures are left out:\n"
            '  2 × "no picture" (e.g. a/0.jpg)\n'
            "they are:\n"
            "  a/0.jpg: no picture\n"
            "  a/1.jpg: no picture\n",
        ),
        (
            ("one", "two", "three", "four", "five", "six", "seven"),
            False,
            "7 of 9 pictures are left out:\n"
            "  a/0.jpg: one\n  a/1.jpg: two\n  a/2.jpg: three\n  a/3.jpg: four\n  a/4.jpg: five\n"
            "  2 × for other reasons\n"
            "`pipeline check DATA` lists them\n",
        ),
    ],
)
def test_what_is_left_out_is_told_by_reasons(capsys, reasons, each, printed):
    left_out(failed(*reasons), 9, each)
    assert capsys.readouterr().out == printed


def test_counts_are_of_what_is_used(capsys):
    splits = {"train": 35, "test": 10}
    value = {"found": 45, "images": 45, "classes": {"a": 20, "b": 25}, "splits": splits}
    data({**value, "copies": 0, "ignored": []})
    data({**value, "found": 47, "copies": 3, "ignored": []})
    assert capsys.readouterr().out == (
        "45 pictures: a 20, b 25; train 35, test 10\n"
        "47 pictures found, 2 left out; 45 used: a 20, b 25; train 35, test 10; 3 are copies of "
        "others\n"
    )


EVIL = "\x1b]0;x\x07\x9b2J\u202e\n"


def test_texts_of_others_do_nothing_on_a_terminal(capsys):
    value = {"text": EVIL}
    result(value, False, lambda value: say(value["text"]))
    result(value, False, lambda value: lines([value], lambda row: row["text"]))
    rows = table("a")
    rows.add_row(EVIL + "[bold]")
    print_table(rows)
    error(f"no {EVIL}end at https://me:pw@host/x")
    record = logging.LogRecord("pipeline", logging.WARNING, "", 0, "see %s", (EVIL,), None)
    LogHandler().emit(record)
    try:
        raise ValueError(f"{EVIL}https://me:pw@host/x")
    except ValueError as fault:
        crashed(type(fault), fault, fault.__traceback__)
    said = capsys.readouterr()
    assert not set(said.out + said.err) & set("\x1b\x07\x9b\u202e")
    assert said.out.count(r"\x1b]0;x\x07\x9b2J\u202e") == 3
    assert "[bold]" in said.out
    assert "pw" not in said.err
    assert r"end at https://me@host/x" in said.err
    assert "warning: see \\x1b" in said.err
    assert r"ValueError: \x1b]0;x\x07\x9b2J\u202e" in said.err
    result(value, True, print)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert r"\u009b2J\u202e\n" in printed
    assert json.loads(printed) == value


def test_results_leave_stdout_to_a_file_that_goes_there(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.cli.show.results.is_stdout", lambda path: str(path) == "out")
    for value, there in (({"csv": "out"}, "err"), ({"path": "out"}, "err"), ({"csv": "x"}, "out")):
        for as_json in (False, True):
            result(value, as_json, lambda value: say("done"))
            said = capsys.readouterr()
            assert getattr(said, there)
            assert said.out + said.err == getattr(said, there)
