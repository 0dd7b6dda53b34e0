"""What a precision is, what computes in it, and what a processor gains by it."""

import pytest

from pipeline.backbones.engines import (
    Device,
    check_engine,
    choice,
    choose_engine,
    chosen_precision,
)
from pipeline.backbones.engines.precision import (
    BFLOAT16,
    INT8,
    check_precision,
    gains,
    is_quantised,
    kind_of,
)
from pipeline.errors import InputError, UnknownNameError

DIGEST = f"int8:{'0f' * 32}"


def test_a_recipe_names_the_quantised_model():
    assert is_quantised(DIGEST)
    assert kind_of(DIGEST) == INT8
    for other in ("int8", "int8:0f", "float32", f"{DIGEST}0", None, 8):
        assert not is_quantised(other)
    check_precision(DIGEST)
    check_precision("mixed_float16")
    for other in ("int8", "fast", "int8:../../x", "half"):
        with pytest.raises(UnknownNameError, match="unknown precision"):
            check_precision(other)


@pytest.mark.parametrize(
    ("flags", "gained"),
    [
        ("sse2 avx2", set()),
        ("avx2 avx_vnni", {INT8}),
        ("avx512_bf16 avx512_vnni", {INT8, BFLOAT16}),
        ("amx_tile amx_bf16", {BFLOAT16}),
    ],
)
def test_what_a_processor_gains_is_read_from_the_system(tmp_path, flags, gained):
    told = tmp_path / "cpuinfo"
    told.write_text(f"processor : 0\nflags\t\t: fpu {flags}\nbugs : avx512_bf16\n")
    assert {one for one in (INT8, BFLOAT16, "float32") if gains(one, told)} == gained
    assert not gains(INT8, tmp_path / "nothing")


def test_fast_is_the_fastest_that_is_here(monkeypatch):
    monkeypatch.setattr(choice, "may_have_gpu", lambda: False)
    there = {"openvino", "nncf", "tensorflow"}
    monkeypatch.setattr(choice, "installed", lambda name: name in there)
    for able, expected in (
        ({INT8, BFLOAT16}, "int8"),
        ({BFLOAT16}, "bfloat16"),
        (set(), "float32"),
    ):
        monkeypatch.setattr(choice, "gains", able.__contains__)
        assert chosen_precision("auto", "fast") == expected
    monkeypatch.setattr(choice, "gains", {INT8, BFLOAT16}.__contains__)
    there.remove("nncf")
    assert chosen_precision("openvino", "fast") == "bfloat16"
    assert chosen_precision("tensorflow", "fast") == "float32"
    assert chosen_precision("auto", "float32") == "float32"
    monkeypatch.setattr(choice, "device_of", lambda name: Device(f"a card of {name}", gpu=True))
    assert chosen_precision("tensorflow", "fast") == "mixed_float16"


def test_what_gains_nothing_is_told(monkeypatch, caplog):
    monkeypatch.setattr(choice, "gains", {BFLOAT16}.__contains__)
    assert chosen_precision("auto", "bfloat16") == "bfloat16"
    assert caplog.text == ""
    assert chosen_precision("auto", "int8") == "int8"
    assert "no instructions for int8: float32 may be as fast" in caplog.text


def test_openvino_computes_what_frameworks_do_not():
    assert choose_engine("auto", "bfloat16") == choice.ChosenEngine("openvino", "in bfloat16")
    for precision in ("bfloat16", "int8", DIGEST):
        check_engine("openvino", precision)
        with pytest.raises(InputError, match="which OpenVINO computes; use --engine openvino"):
            check_engine("tensorflow", precision)
    with pytest.raises(InputError, match="for the engine openvino, received precision=mixed_"):
        check_engine("openvino", "mixed_bfloat16")
    with pytest.raises(InputError, match="received precision='float32,int8'"):
        check_engine("auto", "float32,int8")
