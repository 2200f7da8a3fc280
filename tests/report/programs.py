"""Small programs by hand for `nano`, and a small network.

Out: `loads_and_stores()`, two layers with known DRAM bytes: two blocks are loaded and stored
elsewhere; `handed_on()`, one whose tokens come from several instructions; `small_graph()`.
"""

from __future__ import annotations

import numpy as np

from jiriki.chip import load_chip
from jiriki.graph import Graph
from jiriki.isa.assembly import parse_program
from jiriki.program import Entry, Note, Program
from tests.graph.graphs import conv_graph

TEXT = """
LD.LD dram=0 sp=0 run=1024 signal=0:1 note=0
LD.LD dram=1024 sp=1024 run=512 signal=1:1 note=1
ST.ST dram=4096 sp=0 run=1024 wait=0:1 note=0
ST.ST dram=8192 sp=1024 run=512 wait=1:1 note=1
HALT.CTL
"""


HANDED_ON = """
LD.LD dram=0 sp=0 run=1024 signal=0:1 note=0
LD.LD dram=1024 sp=1024 run=512 signal=0:1 note=1
LD.LD dram=2048 sp=2048 run=512 signal=0:1 note=1
ST.ST dram=4096 sp=0 run=1024 wait=0:1 note=0
ST.ST dram=8192 sp=1024 run=512 wait=0:2 note=1
HALT.CTL
"""


def loads_and_stores() -> Program:
    """1024 and 512 bytes."""
    return _program(TEXT)


def handed_on() -> Program:
    """The second store takes the tokens of two loads."""
    return _program(HANDED_ON)


def small_graph() -> Graph:
    """A convolution, a table and a reshape."""
    return conv_graph(np.random.default_rng(0))


def _program(text: str) -> Program:
    chip = load_chip("nano")
    return Program(
        name="copies",
        chip=chip.name,
        chip_hash=chip.content_hash(),
        instructions=tuple(parse_program(text)),
        segments=(),
        dram_bytes=16384,
        entries=(Entry(),),
        notes=(Note("first </script><b>", "conv", 1000), Note("second|[red]", "add", 0)),
    )
