"""Which wires of a simulated tile a waveform shows: those that steer, by their own names.

Concept: a simulator that can write every wire compiles twice as long and runs slower. Hidden are
the unnamed ones, those of more than `WIDEST` bits, members of arrays, and what is inside lanes,
memories and the selection of levels; what is left costs a few percent.
In: Verilog as Amaranth writes it. Out: the same with Verilator's marks around hidden declarations.
"""

import re

WIDEST = 40  # bits: an address, a count
_DECLARED = re.compile(
    r"^  (?:input |output )?(?:wire|reg) (?:signed )?(?:\[(\d+):0\] )?(\S+) *[;=]"
)
_STEERS = re.compile(r"(?!.*__\d)[a-z]\w*$")
_INSIDE = re.compile(r"^module \\?(?:jiriki_\w+|\S+\.level)")
_HIDDEN = "/* verilator tracing_off */{}/* verilator tracing_on */"


def with_marks(text: str) -> str:
    """Return the Verilog with every declaration that a waveform leaves out marked."""
    inside, lines = False, []
    for line in text.split("\n"):
        if line.startswith("module "):
            inside = _INSIDE.match(line) is not None
        declared = _DECLARED.match(line)
        if declared and (inside or not _is_shown(declared)):
            line = _HIDDEN.format(line)
        lines.append(line)
    return "\n".join(lines)


def _is_shown(declared: re.Match[str]) -> bool:
    return int(declared[1] or 0) < WIDEST and _STEERS.match(declared[2]) is not None
