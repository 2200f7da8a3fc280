"""Readable Verilog: one file a unit, plain module names, one port a line.

In: the text that yosys writes for a design whose module is `top`. Out: file name -> text. Yosys
names a module by its path (`\\top.vx.chain.stage0$36`); here it is `jiriki_tile_vx_chain_stage0`.
Three things are mended for other tools: an `always @*` that reads nothing would never run, a signal
of no bits is declared with two, and an instance called like a class that SystemVerilog brings along
(`mailbox`) is a syntax error to Verilator 5.006.
"""

import re
from dataclasses import dataclass

from jiriki.rtl.build.verilate import TOP

TILE = "jiriki_tile"
_MODULE = re.compile(r"^module (\\\S+ |\w+)(.*?)^endmodule$", re.M | re.S)
_NAME = re.compile(r"\\(?:\w+)\.\S+ ")
_CONSTANT = re.compile(r"always @\*\n(\s+\S[^;]*? = \d+'[bdho][0-9a-fA-FxzXZ_]+;)$", re.M)
CLASSES = ("mailbox", "process", "semaphore")  # of SystemVerilog's package std
_INSTANCE = re.compile(rf"^(  (?:\w+ +|\) ))({'|'.join(CLASSES)}) \($", re.M)
_EMPTY = re.compile(r"^  (?:wire|reg) \[-1:0\] (\\\S+ |\w+);\n", re.M)


@dataclass(frozen=True)
class Source:
    """One module as text."""

    name: str
    unit: str  # name of the file: the tile, one of its units, a module that several share
    text: str

    @property
    def ports(self) -> dict[str, tuple[str, int]]:
        """Return name -> (direction, bits)."""
        ports = {}
        pattern = r"^  (input|output|inout) (?:\[(\d+):0\] )?(\\\S+|\w+) ?;"
        for direction, high, name in re.findall(pattern, self.text, re.M):
            ports[name] = (direction, int(high or 0) + 1)
        return ports


def modules(text: str) -> list[Source]:
    """Cut a design into its modules, with their new names."""
    names = _names(re.findall(r"^module (\\\S+|\w+)", text, re.M))
    out = []
    for match in _MODULE.finditer(text):
        old = match[1].strip()
        path = old.removeprefix("\\").split(".")
        unit = ".".join(path[:2] if path[0] == TOP else path[:1])
        body = _NAME.sub(lambda used: f"{names.get(used[0].strip(), used[0].strip())} ", match[2])
        out.append(
            Source(names[old], _plain(unit), f"module {names[old]} {_tidy(body)}endmodule\n")
        )
    return out


def _names(old: list[str]) -> dict[str, str]:
    """Return plain names, all different."""
    out: dict[str, str] = {}
    for name in old:
        plain = _plain(name.removeprefix("\\"))
        number = 2
        while plain in out.values():
            plain = re.sub(r"(__\d+)?$", f"__{number}", plain, count=1)
            number += 1
        out[name] = plain
    return out


def _plain(path: str) -> str:
    """Return the plain name of a path; a module that several places share keeps its own."""
    return re.sub(r"\W", "_", re.sub(r"\$\d+", "", re.sub(rf"^{TOP}\b", TILE, path)))


def _tidy(body: str) -> str:
    head, rest = body.split(");\n", 1)
    ports = re.findall(r"\\\S+ |\w+", head)
    listed = ",\n  ".join(port.rstrip() + (" " if port.startswith("\\") else "") for port in ports)
    rest = _CONSTANT.sub(r"initial\n\1", rest)
    rest = _INSTANCE.sub(r"\1\2_0 (", rest)
    for name in (match[1] for match in _EMPTY.finditer(rest)):
        uses = rest.count(name) if name.startswith("\\") else len(re.findall(rf"\b{name}\b", rest))
        if uses == 1:
            rest = rest.replace(f"  wire [-1:0] {name};\n", "")
    return f"(\n  {listed}\n);\n{rest}"


def files(sources: list[Source], heading: str) -> dict[str, str]:
    """Return file name -> text: the tile, its units, the modules that several share."""
    out: dict[str, list[str]] = {}
    for source in sources:
        out.setdefault(f"{source.unit}.v", [heading]).append(source.text)
    return {name: "\n".join(parts) for name, parts in out.items()}
