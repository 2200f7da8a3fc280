"""LD, ST and the DRAM port in gates (docs/reference/isa.md, timing.md).

In: instruction words, the scratchpad's ports, an AXI4 memory. Out: bytes moved between them.

The parts, in the order an instruction passes them:
    records   layouts: a record of runs on each side, and the requests at the port
    decode    words -> records; dimension registers; dense dimensions folded
    backlog   a queue through which an entry can pass at once
    lanes     bytes side by side: joined over two rows, turned
    walk      the runs of a record, by additions
    bursts    the DRAM side: runs cut at aligned blocks, and GATHER's index
    chunks    the scratchpad side: pieces of a beat, levels of SCATTER_BYTES
    load      LD: bursts ahead, chunks behind
    store     ST: chunks ahead, bursts behind
    port      arbiter of fetch, LD and ST; the AXI4 master
"""

from jiriki.rtl.dma.load import LoadUnit
from jiriki.rtl.dma.port import PORT_CYCLES, DramPort
from jiriki.rtl.dma.store import StoreUnit

__all__ = ["PORT_CYCLES", "DramPort", "LoadUnit", "StoreUnit"]
