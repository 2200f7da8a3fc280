"""Gates become a library: built once, right bit for bit, and clear about what is missing."""

# pyright: reportAttributeAccessIssue=false

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from jiriki.rtl.build.verilate import build_library, find_compiler
from jiriki.rtl.errors import RtlError
from jiriki.rtl.simulate.vectors import Vectors


class Counter(wiring.Component):
    """Sum of the inputs so far, and a wide value turned round a cycle later."""

    def __init__(self) -> None:
        inner = wiring.Signature({"step": In(signed(12)), "wide": In(data.ArrayLayout(24, 4))})
        super().__init__({"a": Out(inner), "total": Out(40), "turned": Out(96)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total = Signal(40)
        m.d.sync += total.eq(total + self.a.step)
        for i in range(4):
            m.d.sync += self.turned[24 * i : 24 * (i + 1)].eq(self.a.wide[3 - i])
        m.d.comb += self.total.eq(total)
        return m


def test_rows_go_through_a_component_one_a_cycle():
    rng = np.random.default_rng(1)
    steps = rng.integers(-2048, 2048, 1000)
    wide = rng.integers(0, 1 << 32, (1000, 3), dtype=np.uint32)
    out = Vectors(Counter(), "counter").run({"a__step": steps, "a__wide": wide}, latency=1)
    assert out["total"].tolist() == (np.cumsum(steps) % (1 << 40)).tolist()
    whole = wide.view(np.uint8).reshape(-1, 4, 3)[:, ::-1]
    assert np.array_equal(out["turned"], np.ascontiguousarray(whole).reshape(-1, 12).view("u4"))


def test_a_library_is_built_once():
    text = "module top(input a, output b); assign b = ~a; endmodule\n"
    first = build_library(text, "inverter")
    built_ns = first.stat().st_mtime_ns
    assert build_library(text, "inverter") == first
    assert first.stat().st_mtime_ns == built_ns
    assert build_library(text, "inverter", defines={"OTHER": 1}) != first


def test_a_refused_source_names_its_error_and_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path / "home"))
    (tmp_path / "bad.cpp").write_text("int f() { return nothing; }\n")
    with pytest.raises(RtlError, match=r"compiling bad.cpp failed: bad.cpp:1.*nothing.*log: ") as e:
        build_library("module top(input a, output b); assign b = a; endmodule\n", "bad",
                      [tmp_path / "bad.cpp"])  # fmt: skip
    assert "nothing" in Path(str(e.value).split("log: ")[1]).read_text()


def test_without_a_compiler_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RtlError, match="pip install ziglang"):
        find_compiler()


def test_a_named_compiler_must_exist(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JIRIKI_CXX", "no-such-compiler -O1")
    with pytest.raises(RtlError, match="no-such-compiler"):
        find_compiler()


@pytest.mark.parametrize("quoted", ["{}", "'{}'", "'{}' -O1"])
def test_a_named_compiler_may_lie_in_a_folder_with_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: str
):
    program = shutil.which("g++") or shutil.which("c++")
    assert program, "the tests need a C++ compiler"
    (tmp_path / "my tools").mkdir()
    compiler = tmp_path / "my tools" / "g++"
    compiler.symlink_to(program)
    monkeypatch.setenv("JIRIKI_CXX", quoted.format(compiler))
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path / "home"))
    assert find_compiler()[0] == str(compiler)
    library = build_library("module top(input a, output b); assign b = a; endmodule\n", "wire")
    assert library.is_file()


def test_a_named_compiler_with_an_open_quote_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JIRIKI_CXX", "'/my tools/g++")
    with pytest.raises(RtlError, match="quotation; correct it"):
        find_compiler()
