"""Synthesis of one small part: registers and multipliers are those that its words say."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from jiriki.chip import load_chip
from jiriki.cost.validate.synthesis import load_synthesis
from jiriki.rtl.errors import RtlError
from jiriki.rtl.synthesis import tools
from jiriki.rtl.synthesis.table import Request, Row, synthesise
from jiriki.rtl.synthesis.target import open_target
from jiriki.rtl.synthesis.timing import place_and_route
from jiriki.rtl.synthesis.units import parts
from jiriki.rtl.synthesis.yosys import synthesise as through_yosys

NANO = load_chip("nano")
# Products, their sum, accumulator, shadow: docstring of matrix/element.py, ku = 4.
ELEMENT_FLIP_FLOPS = 4 * 16 + 18 + 32 + 32
DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "reference" / "synthesis.md"
CELL = """  cell ({name}) {{ area : {area};
    pin (A) {{ direction : input; capacitance : 0.01; }}{b}
    pin (Y) {{ direction : output; function : "{function}"; {arcs} }}
  }}
"""
TABLES = " ".join(
    f'{name} (t) {{ values ("0.1, 0.2", "0.2, 0.3"); }}'
    for name in ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
)


def arc(pin: str, sense: str = "negative") -> str:
    return f"timing () {{ related_pin : {pin}; timing_sense : {sense}_unate; {TABLES} }}"


def two_inputs(name: str, area: int, function: str) -> str:
    b = "\n    pin (B) { direction : input; capacitance : 0.01; }"
    return CELL.format(name=name, area=area, b=b, function=function, arcs=arc("A") + arc("B"))


LIBRARY = (
    """library (own) {
  delay_model : table_lookup; time_unit : "1ns"; capacitive_load_unit (1, pf);
  lu_table_template (t) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.01, 1"); index_2 ("0.01, 1");
  }
"""
    + CELL.format(name="INV", area=1, b="", function="(!A)", arcs=arc("A"))
    + CELL.format(name="BUF", area=4, b="", function="A", arcs=arc("A", "positive"))
    + two_inputs("NAND2", 2, "(!(A B))")
    + two_inputs("NOR2", 3, "(!(A+B))")
    + """  cell (DFF) { area : 10;
    ff (IQ, IQN) { clocked_on : "C"; next_state : "D"; }
    pin (C) { direction : input; clock : true; capacitance : 0.01; }
    pin (D) { direction : input; capacitance : 0.01; }
    pin (Q) { direction : output; function : "IQ"; }
  }
}
"""
)  # fmt: skip


@pytest.fixture
def element_on_ecp5() -> Row:
    (row,) = synthesise(Request(NANO, open_target("ecp5"), "mx.element"))
    return row


def test_an_element_has_a_multiplier_a_term_and_its_registers(element_on_ecp5: Row) -> None:
    row = element_on_ecp5
    assert (row.dsp, row.ff, row.instances) == (NANO.ku, ELEMENT_FLIP_FLOPS, NANO.mu * NANO.nu)


def test_the_page_shows_what_synthesis_gives_now(element_on_ecp5: Row) -> None:
    row = element_on_ecp5
    line = re.search(r"^\| mx.element \| \d.*$", PAGE.read_text("utf-8"), re.M)
    assert line
    shown = [cell.strip() for cell in line[0].strip("|").split("|")]
    assert shown[1] == f"{row.instances}"
    assert shown[7:12] == [str(n) for n in (row.lut, row.ff, row.dsp, row.block_ram, row.lut_ram)]


@pytest.mark.parametrize("chip", sorted(load_synthesis()))
def test_every_part_is_in_the_data_of_the_cost_model(chip: str) -> None:
    now = {part.name: part.instances for part in parts(load_chip(chip))}
    assert {name: part.instances for name, part in load_synthesis()[chip].items()} == now


def test_area_is_that_of_the_library_of_the_user(tmp_path: Path) -> None:
    library = tmp_path / "own.lib"
    library.write_text(LIBRARY)
    target = open_target(None, (library,))
    (part,) = (part for part in parts(NANO) if part.name == "mx.element")
    counts = through_yosys(part.name, part.rtlil(), target, (), tmp_path, 120.0)
    assert counts and counts.sequential_um2 == 10 * ELEMENT_FLIP_FLOPS
    used = counts.by_type
    areas = {"INV": 1, "NAND2": 2, "NOR2": 3, "BUF": 4, "DFF": 10}
    assert counts.area_um2 == sum(n * areas[cell] for cell, n in used.items())
    assert target.gate_um2 == 2


def test_place_and_route_names_the_slowest_path(tmp_path: Path) -> None:
    (part,) = (part for part in parts(NANO) if part.name == "counter")
    target = open_target("ecp5")
    assert through_yosys(part.name, part.rtlil(), target, (), tmp_path, 120.0)
    placed = place_and_route(tmp_path, 300.0)
    assert placed.fmax_hz and 50e6 < placed.fmax_hz < 600e6
    first, last = placed.path.split(",")[0].split(" -> ")
    registers = set(re.findall(r"wire .*\\(\S+)$", part.rtlil(), re.M))
    assert {first.split("[")[0], last.split("[")[0]} <= registers


def test_the_limit_ends_a_tool_and_what_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "late"
    script = f"(sleep 2; touch {mark}) & wait"
    assert tools.run(["sh", "-c", script], tmp_path, tmp_path / "log", 0.3) is None
    assert tools.run(["sleep", "2.5"], tmp_path, tmp_path / "log", 60.0) == 0
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module top; endmodule", "does not begin with library"),
        ("library (x) { }", "no library given holds a flip-flop"),
    ],
)
def test_a_file_that_is_no_library_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "own.lib"
    path.write_text(text)
    with pytest.raises(RtlError, match=message):
        open_target(None, (path,))


def test_a_missing_library_is_refused() -> None:
    with pytest.raises(RtlError, match=r"liberty /none\.lib: No such file"):
        open_target(None, (Path("/none.lib"),))


@pytest.mark.full
def test_the_page_was_made_from_these_gates() -> None:
    spec = importlib.util.spec_from_file_location("docs_synthesis", DOCS / "synthesis.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.stale() == [], "run docs/synthesis.py"
