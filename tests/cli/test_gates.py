"""`jiriki verify` and the gates as an engine: a program written as text, and what is refused.

The gates of `nano` are compiled once and kept by content, for all tests.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.isa.control import Fence, Halt, Wait
from jiriki.isa.fields import Sync, Unit
from jiriki.program import Entry, Program
from jiriki.program.file import save
from jiriki.rtl.engine import GatesEngine
from jiriki.rtl.errors import RtlError
from tests.cli.harness import Command, refused

NANO = load_chip("nano")
HANGS = Program(
    "hangs", NANO.name, NANO.content_hash(),
    (Wait.new(Unit.MX, wait=Sync(3, 2)), Fence.new(), Halt.new()), (), 4096,
    (Entry(),),
)  # fmt: skip
MATMUL = Path(__file__).parents[2] / "examples" / "matmul.jk"


@pytest.fixture
def matrices(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    a, b = (rng.integers(-128, 128, shape).astype(np.int8) for shape in ((8, 16), (16, 8)))
    np.savez(tmp_path / "in.npz", a=a, b=b)
    return tmp_path / "in.npz"


@pytest.fixture
def nothing(tmp_path: Path) -> Path:
    np.savez(tmp_path / "in.npz")
    return tmp_path / "in.npz"


def test_a_program_written_as_text_computes(jiriki: Command, matrices: Path, tmp_path: Path):
    done = jiriki("run", MATMUL, "--input", matrices, "--output", tmp_path / "out.npz")
    assert (done.code, done.err) == (0, "")
    operands = np.load(matrices)
    product = operands["a"].astype(np.int32) @ operands["b"].astype(np.int32)
    assert np.array_equal(np.load(tmp_path / "out.npz")["c"], product)


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A text with two host parameters: so many times the word at `from` is copied on."""
    path = tmp_path / "moved.jk"
    path.write_text(MOVED, "utf-8")
    return path


MOVED = """.program "moved"
.chip "nano"
.dram 128
.parameter "count"
.parameter "from"
.input {"name": "x", "address": 0, "shape": [16], "axis": 0, "dtype": "int8", "external": "int8"}
.output {"name": "y", "address": 64, "shape": [16], "axis": 0, "dtype": "int8", "external": "int8"}
.code
PARM.CTL reg=1 index=0
PARM.CTL reg=2 index=1
SETR.CTL reg=3 value=64
SIG.ST signal=1:1
LOOP.CTL from_reg=1 reg=1 body=3
LD.LD sp=0 dram=0 run=4 areg=2 wait=1:1 signal=0:1
ST.ST sp=0 dram=0 run=4 areg=3 wait=0:1 signal=1:1
ADDR.CTL reg=3 step=4
WAIT.LD wait=1:1
HALT.CTL
"""


@pytest.mark.parametrize("engine", ["functional", "rtl"])
@pytest.mark.parametrize(("count", "start", "copies"), [(2, 4, 2), (1, 8, 1)])
def test_a_text_s_parameters_come_from_the_input_file(
    jiriki: Command, moved: Path, tmp_path: Path, engine: str, count: int, start: int, copies: int
):
    x = np.arange(16, dtype=np.int8)
    np.savez(tmp_path / "in.npz", **{"x": x, "count": count, "from": start})
    file = tmp_path / "out.npz"
    done = jiriki("run", moved, "--input", tmp_path / "in.npz", "--engine", engine,
                  "--output", file)  # fmt: skip
    assert (done.code, done.err) == (0, "")
    copied = [*x[start : start + 4]] * copies
    assert np.load(file)["y"].tolist() == copied + [0] * (16 - len(copied))


def test_parameters_are_given_to_verify_and_profile(jiriki: Command, moved: Path, tmp_path: Path):
    np.savez(tmp_path / "in.npz", **{"x": np.arange(16, dtype=np.int8), "count": 3, "from": 0})
    verified = jiriki("verify", moved, "--input", tmp_path / "in.npz", "--json")
    assert verified.code == 0 and json.loads(verified.out)["agrees"]
    done = jiriki("profile", moved, "--input", tmp_path / "in.npz", "--out", tmp_path, "--json")
    assert done.code == 0
    assert json.loads(done.out)["cycles"] == json.loads(verified.out)["cycles"]["timing"]
    refused(jiriki("profile", moved, "--out", tmp_path), "count", "missing")


def test_text_becomes_a_program_file(jiriki: Command, tmp_path: Path):
    assert jiriki("compile", MATMUL, "-o", tmp_path / "out.jprog").code == 0
    assert "GEMM.MX m=8 steps=4 b=32 n_tiles=2" in jiriki("disasm", tmp_path / "out.jprog").out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("GEMM.MX", "GEM.MX", ("bad.jk", "line 14", "GEM")),
        ('.chip "nano"', '.chip "nona"', ("nona", "nano")),
        (" wait=1:1", "", ("instruction 12", "instruction 3")),
        (".dram 512", ".dram 500", ("c", "500")),
        (".dram 512", ".dram 8589934592", ("8589934592", "4294967296")),
    ],
)
def test_a_mistake_in_the_text_is_told(
    jiriki: Command, matrices: Path, tmp_path: Path, old: str, new: str, words: tuple[str, ...]
):
    text = MATMUL.read_text("utf-8")
    assert old in text
    (tmp_path / "bad.jk").write_text(text.replace(old, new, 1))
    refused(jiriki("run", tmp_path / "bad.jk", "--input", matrices), *words)


def test_verify_compares_every_element_and_cycle(jiriki: Command, matrices: Path):
    done = jiriki("verify", MATMUL, "--input", matrices, "--json")
    assert (done.code, done.err) == (0, "")
    verification = json.loads(done.out)
    assert {"model", "chip", "elements", "differing_elements", "cycles", "instructions_off",
            "wall_s"} <= verification.keys()  # fmt: skip
    assert (verification["model"], verification["chip"], verification["elements"]) == (
        "matmul",
        "nano",
        64,
    )
    assert (verification["differing_elements"], verification["instructions_off"]) == (0, 0)
    assert verification["cycles"]["rtl"] == verification["cycles"]["timing"] > 300
    assert verification["wall_s"].keys() == {"build", "rtl"}


def test_verify_refuses_a_program_of_another_chip(
    jiriki: Command, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "small.jprog"
    assert jiriki("compile", folder / "qdq.onnx", "-o", path).code == 0
    done = jiriki("verify", path, "--chip", "nano", "--input", folder / "input.npz")
    refused(done, "e256", "nano", "compile")


def test_verify_refuses_a_truncated_program(jiriki: Command, nothing: Path, tmp_path: Path):
    save(HANGS, tmp_path / "short.jprog")
    (tmp_path / "short.jprog").write_bytes((tmp_path / "short.jprog").read_bytes()[:-7])
    refused(jiriki("verify", tmp_path / "short.jprog", "--input", nothing), "truncated", "short")


@pytest.mark.parametrize(("engine", "image"), [("functional", 1 << 40), ("rtl", (1 << 32) - 8)])
def test_an_image_larger_than_the_memory_is_refused(
    jiriki: Command, nothing: Path, tmp_path: Path, engine: str, image: int
) -> None:
    """The program's words come behind the image: it alone may still fit."""
    halts = replace(HANGS, dram_bytes=image, instructions=(Halt.new(),))
    save(halts, tmp_path / "large.jprog")
    done = jiriki("run", tmp_path / "large.jprog", "--engine", engine, "--input", nothing)
    refused(done, "bytes", "4294967296", "smaller")


def test_no_compiler_is_told_before_the_work(
    jiriki: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JIRIKI_CXX", raising=False)
    monkeypatch.setitem(sys.modules, "ziglang", None)
    done = jiriki("verify", "digits", "--chip", "nano", "--vcd", tmp_path / "wave.vcd")
    refused(done, "no C++ compiler", "pip install ziglang")
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_compiler_that_is_not_there_is_named(jiriki: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JIRIKI_CXX", "g++-none")
    refused(jiriki("verify", "digits", "--chip", "nano"), "JIRIKI_CXX", "g++-none")


def test_a_waveform_needs_a_folder(jiriki: Command, tmp_path: Path):
    refused(jiriki("verify", "digits", "--vcd", tmp_path / "no" / "wave.vcd"), "--vcd", "folder")


@pytest.mark.parametrize("window", ["5", "9:3", "a:b"])
def test_a_bad_window_is_refused(jiriki: Command, tmp_path: Path, window: str):
    done = jiriki("verify", "digits", "--vcd", tmp_path / "wave.vcd", "--window", window)
    refused(done, "--window", window, "FIRST:END")


def test_a_program_file_that_hangs_is_refused_before_it_runs(
    jiriki: Command, nothing: Path, tmp_path: Path
):
    save(HANGS, tmp_path / "hangs.jprog")
    done = jiriki("run", tmp_path / "hangs.jprog", "--engine", "rtl", "--input", nothing)
    refused(done, "deadlock", "MX at instruction 0", "semaphore 3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hangs.jprog", "in.npz"]


def test_gates_that_stand_still_say_where():
    """Whoever calls the engine itself has no static check before it."""
    with pytest.raises(RtlError) as caught:
        GatesEngine(NANO).run(HANGS)
    for words in (
        "nothing happens for 200000 cycles", "Sequencer at instruction 1",
        "MX 1 sent, 0 started (its next waits for tokens)", "tokens held: none",
    ):  # fmt: skip
        assert words in str(caught.value)


CACHE = MATMUL.with_name("cache.jk")


def row(folder: Path, value: int) -> Path:
    path = folder / f"row{value}.npz"
    np.savez(path, row=np.full(8, value, np.int8))
    return path


def test_a_state_goes_on_in_another_process_and_engine(jiriki: Command, tmp_path: Path):
    session = ("--session", tmp_path / "kept.npz")
    for at, engine in enumerate(("functional", "rtl", "functional")):
        done = jiriki(
            "run", CACHE, "--input", row(tmp_path, at + 1), "--parameters", f"at={8 * at}",
            "--engine", engine, *session,
        )  # fmt: skip
        assert (done.code, done.err) == (0, "")
        assert f"parameter at {8 * at}" in " ".join(done.out.split())
    jiriki("run", CACHE, "--entry", "show", *session, "--output", tmp_path / "out.npz")
    rows = np.load(tmp_path / "out.npz")["rows"].reshape(8, 8)
    assert rows[:, 0].tolist() == [1, 2, 3, 0, 0, 0, 0, 0]


def test_verify_compares_the_states_too(jiriki: Command, tmp_path: Path):
    done = jiriki(
        "verify", CACHE, "--input", row(tmp_path, 5), "--parameters", "at=56", "--json"
    )  # fmt: skip
    payload = json.loads(done.out)
    assert payload["agrees"] and payload["elements"] == 64 + 64
    assert (payload["entry"], payload["parameters"]) == ("append", {"at": 56})
    shown = json.loads(jiriki("verify", CACHE, "--entry", "show", "--json").out)
    assert shown["agrees"] and shown["cycles"]["timing"] == shown["cycles"]["rtl"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--parameters", "at=9"), "at = 9 is outside 0..56 in steps of 8"),
        (("--parameters", "at"), "--parameters at: the name is missing; write NAME=37"),
        (("--parameters", "at=x"), "'x' is no integer; write at=37"),
        (("--parameters", "at=0,at=8"), "at is given twice"),
        ((), "the model's inputs are ['at', 'row']"),
        (("--entry", "append ", "--parameters", "at=0"), "has no entry append ; its entries are"),
        (("--entry", "show"), "the model's inputs are []"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_starts_that_the_program_does_not_have_are_refused(
    jiriki: Command, tmp_path: Path, command: str, arguments: tuple[str, ...], line: str
):
    done = jiriki(command, CACHE, "--input", row(tmp_path, 1), *arguments)
    refused(done, line)


def test_a_model_without_states_has_no_session(jiriki: Command, tmp_path: Path):
    done = jiriki("run", "digits", "--chip", "nano", "--session", tmp_path / "kept.npz")
    refused(done, "digits keeps no state; leave --session out")
    assert not (tmp_path / "kept.npz").exists()


def test_a_session_of_another_program_is_refused(jiriki: Command, tmp_path: Path):
    foreign = {"program": np.zeros(32, np.uint8), "state.cache": np.zeros(64, np.uint8)}
    np.savez(tmp_path / "kept.npz", allow_pickle=False, **foreign)
    before = (tmp_path / "kept.npz").read_bytes()
    done = jiriki("run", CACHE, "--entry", "show", "--session", tmp_path / "kept.npz")
    refused(done, "holds states of another program")
    assert (tmp_path / "kept.npz").read_bytes() == before
