"""The descriptor registers of a DMA queue, and LD and ST joined with them."""

from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.dma.operations import DmaDim, DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Handlers, Unit, known, positive
from jiriki.isa.words import DmaMode


class DmaRegisters:
    """Dimension registers and the base of the index list."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._dims: dict[int, DmaDim] = {}
        self._index: int | None = None
        move = St if unit is Unit.ST else Ld
        self.handlers: Handlers = {Dim: self._dim, Gidx: self._gidx, move: self._move}

    def _dim(self, v: dict[str, int]) -> None:
        positive("count", v["count"])
        self._dims[v["dim"]] = DmaDim(v["count"], v["dram_stride"], v["sp_stride"])

    def _gidx(self, v: dict[str, int]) -> None:
        if v["base"] % 4:
            raise IsaError(f"base = {v['base']} is not a multiple of 4; align the index list")
        self._index = v["base"]

    def _move(self, v: dict[str, int]) -> DmaOp:
        mode = known(DmaMode, "mode", v["mode"])
        scatter = mode is DmaMode.SCATTER_BYTES
        if v["ndims"] > (3 if scatter else 4):
            raise IsaError(f"ndims = {v['ndims']} exceeds {3 if scatter else 4} of {mode.name}")
        positive("run", v["run"])
        if mode is DmaMode.GATHER:
            positive("ndims", v["ndims"])
            if self._index is None:
                raise IsaError("GATHER before any GIDX of this queue; set the index list first")
        return DmaOp(
            store=self._unit is Unit.ST, dram=v["dram"], sp=v["sp"], run=v["run"], mode=mode,
            fill=v["fill"], dims=tuple(self._dim_register(i) for i in range(v["ndims"])),
            index=self._index if mode is DmaMode.GATHER else None,
            byte_stride=self._dim_register(3).sp_stride if scatter else 1,
        )  # fmt: skip

    def _dim_register(self, i: int) -> DmaDim:
        if i not in self._dims:
            raise IsaError(f"dimension register {i} of {self._unit.name} was never set; add a DIM")
        return self._dims[i]
