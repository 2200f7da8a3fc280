"""One component through yosys: cells, area, memories, a netlist.

In: RTLIL text, a target. Out: `Counts`, and in the work folder a netlist for timing. Yosys ends its
process on an error, so it has one of its own. Memories are cells of their own to the end of a
standard-cell flow; the FPGA flows put them into the family's block and LUT memories. Standard cells
are sized and large fan-outs buffered for speed; a register drives as the smallest inverter does.
"""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jiriki.files import writable_folder
from jiriki.rtl.errors import RtlError
from jiriki.rtl.synthesis import tools
from jiriki.rtl.synthesis.target import Target
from jiriki.rtl.synthesis.units import TOP, Memory

CHILD = (
    "import sys; from pyosys import libyosys as ys; design = ys.Design()\n"
    "for step in sys.argv[1:]: ys.run_pass(step, design)"
)
MEMORIES, STATISTICS, NETLIST, PLACEABLE = "memories.il", "stat.json", "netlist.v", "netlist.json"
CONSTRAINTS = "constraints"
REGISTER = "register"  # a flip-flop's name is that of the wire it drives, and this
# Kinds of FPGA cells by the beginning of their names.
KINDS = {
    "lut": ("LUT",),
    "ff": ("TRELLIS_FF", "FD"),
    "carry": ("CCU2C", "CARRY"),
    "dsp": ("MULT18X18D", "ALU54B", "DSP48"),
    "block_ram": ("DP16KD", "RAMB"),
    "lut_ram": ("TRELLIS_DPR", "RAM16", "RAM32", "RAM64", "RAM128", "RAM256", "RAM512"),
    "mux": ("PFUMX", "L6MUX21", "MUXF"),
}


@dataclass(frozen=True)
class Counts:
    """What one component is made of."""

    cells: int
    by_type: dict[str, int]
    area_um2: float | None  # of standard cells
    sequential_um2: float | None
    memories: tuple[Memory, ...]

    def kind(self, name: str) -> int:
        """Return how many cells are of a kind."""
        return sum(n for cell, n in self.by_type.items() if cell.startswith(KINDS[name]))


def steps(target: Target, apart: Sequence[str]) -> list[str]:
    """Return the passes of a target's flow, from a design with our cells on."""
    read = ["read_rtlil top.il", *(f"blackbox {pattern}" for pattern in apart)]
    # A wire `a[0]`, which shows a field, and bit 0 of `a` have one name after technology mapping.
    read += ["rename -hide w:*[[]*"]
    memories = f"tee -q -o {MEMORIES} dump t:$mem_v2"
    if target.is_fpga:
        return [*read, *_fpga(target.name, memories), f"tee -q -o {STATISTICS} stat -json"]
    liberty = " ".join(f"-liberty {path.resolve()}" for path in target.libraries)
    flip_flops = f"dfflibmap -liberty {target.sequential.resolve()}"
    sized = f" -constr {CONSTRAINTS} -D 1" if target.driver else ""  # 1 ps: as fast as it can
    return [
        *read, f"synth -flatten -booth -top {TOP} -run begin:fine", memories,
        "opt -fast -full", "techmap", "opt -fast",
        f"rename -wire -suffix {REGISTER} t:$_*FF*", flip_flops,
        "opt -fast", f"abc {liberty}{sized}", "setundef -zero", "clean -purge",
        f"tee -q -o {STATISTICS} stat -json {liberty}", "delete t:$mem_v2 t:jiriki_*",
        "splitnets -ports",  # OpenSTA reads neither signed ports nor {a, b} = c
        f"write_verilog -simple-lhs -noattr -noexpr -nohex -nodec {NETLIST}",
    ]  # fmt: skip


def _fpga(name: str, memories: str) -> list[str]:
    """Return the family's flow, halted once to look at the memories.

    Wide multiplexers of ECP5 are left out: with them crossbars take 2.4 times the LUTs, no faster.
    """
    if name == "ecp5":
        flow, label = f"synth_ecp5 -nowidelut -top {TOP}", "map_ram"
        more = f" -json {PLACEABLE}"
    else:
        flow, label, more = f"synth_xilinx -flatten -family {name} -top {TOP}", "map_memory", ""
    return [f"{flow} -run begin:{label}", memories, f"{flow}{more} -run {label}:"]


def _cells() -> list[Path]:
    folder = Path(str(resources.files("jiriki.rtl") / "verilog"))
    return sorted(folder.glob("*.v"))


def synthesise(
    name: str, rtlil: str, target: Target, apart: Sequence[str], work: Path, limit_s: float
) -> Counts | None:
    """Run the flow in the folder `work`; None when it takes longer than limit_s.

    Raises RtlError when yosys refuses; its log is kept in the cache.
    """
    (work / "top.il").write_text(rtlil)
    (work / CONSTRAINTS).write_text(f"set_driving_cell {target.driver}\n")
    log = work / "yosys.log"
    cells = [f"read_verilog -lib {cell}" for cell in _cells()]
    command = [sys.executable, "-c", CHILD, *cells, *steps(target, apart)]
    code = tools.run(command, work, log, limit_s)
    if code is None:
        return None
    if code:
        errors = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
        why = errors[-1] if errors else f"it ended with {code}"
        log_copy = kept_folder() / f"{target.name}-{name}.log"
        shutil.copy(log, log_copy)
        raise RtlError(f"synthesis of {name} for {target.name}: yosys says {why}; log: {log_copy}")
    return _counts(name, work)


def kept_folder() -> Path:
    """Return the folder of the cache for rows and logs; it is made."""
    return writable_folder("synthesis")


def _counts(name: str, work: Path) -> Counts:
    text = (work / STATISTICS).read_text()
    statistics = json.loads(text[text.index("{") :])["modules"][f"\\{TOP}"]
    types = {
        cell: n for cell, n in statistics["num_cells_by_type"].items() if _counted(cell)
    }  # fmt: skip
    area, sequential = statistics.get("area"), statistics.get("sequential_area")
    return Counts(
        sum(types.values()), types,
        None if area is None else float(area), None if sequential is None else float(sequential),
        memories(name, (work / MEMORIES).read_text()),
    )  # fmt: skip


def _counted(cell: str) -> bool:
    """Leave out memories, black boxes (parts of their own) and what is no cell."""
    return not cell.startswith(("$", "\\$", f"{TOP}.", f"\\{TOP}.", "jiriki_", "\\jiriki_"))


def memories(part: str, dump: str) -> tuple[Memory, ...]:
    """Read yosys' dump of memory cells."""
    out = []
    for cell in re.split(r"^\s*cell \$mem_v2 ", dump, flags=re.M)[1:]:
        parameters = dict(re.findall(r"parameter (?:signed )?\\(\w+) (\S+)", cell))
        ports = {key: int(parameters[key]) for key in ("SIZE", "WIDTH", "RD_PORTS", "WR_PORTS")}
        clocked = "1" in parameters["RD_CLK_ENABLE"].split("'")[-1]
        rom = ports["WR_PORTS"] == 0
        out.append(
            Memory(
                part, ports["SIZE"], ports["WIDTH"], ports["RD_PORTS"], ports["WR_PORTS"],
                clocked, rom, 1,
            )
        )  # fmt: skip
    return tuple(out)
