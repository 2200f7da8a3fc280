"""A small program by hand: two blocks are loaded and stored elsewhere.

Out: `loads_and_stores()`, a Program for `nano` with two layers and known DRAM bytes.
"""

from __future__ import annotations

from jiriki.chip import load_chip
from jiriki.isa.assembly import parse_program
from jiriki.program import Note, Program

TEXT = """
LD.LD dram=0 sp=0 run=1024 signal=0:1 note=0
LD.LD dram=1024 sp=1024 run=512 signal=1:1 note=1
ST.ST dram=4096 sp=0 run=1024 wait=0:1 note=0
ST.ST dram=8192 sp=1024 run=512 wait=1:1 note=1
HALT.CTL
"""


def loads_and_stores() -> Program:
    chip = load_chip("nano")
    return Program(
        name="copies",
        chip=chip.name,
        chip_hash=chip.content_hash(),
        instructions=tuple(parse_program(TEXT)),
        segments=(),
        dram_bytes=16384,
        inputs=(),
        outputs=(),
        notes=(Note("first </script><b>", "conv", 1000), Note("second|[red]", "add", 0)),
    )
