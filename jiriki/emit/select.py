"""Instruction selection: one tile operation to the instructions that perform it.

In: a tile operation and the addresses of its buffers. Out: descriptor instructions where a queue's
descriptors must change, then the operation's own instruction. What each queue's descriptors hold is
remembered, so that unchanged ones cost nothing.
"""

import struct
from dataclasses import dataclass, field

from jiriki.chip.config import ChipConfig
from jiriki.emit.errors import EmitError
from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.fields import Instruction, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gstr, Ldw
from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import DmaMode, DType, Micro, Quantiser, Src, TableKind, Window
from jiriki.tiling.tile_program import (
    Buffer,
    ChainStep,
    Constant,
    ConvTile,
    DepthwiseTile,
    GemmTile,
    Move,
    Stream,
    TableTile,
    TileOp,
    VectorTile,
    WeightFile,
)


@dataclass
class Selector:
    """Emits instructions; holds what the queues' descriptors currently are."""

    chip: ChipConfig
    address: dict[Buffer, int]
    out: list[Instruction] = field(default_factory=list)
    note: int = 0
    state: dict[tuple[object, ...], Instruction] = field(default_factory=dict)
    scalars: list[int | None] = field(default_factory=lambda: [None] * 8)
    quants: list[Quantiser | None] = field(default_factory=lambda: [None] * 4)
    chains: list[tuple[Micro, ...] | None] = field(default_factory=lambda: [None] * 4)
    tables: list[Buffer | None] = field(init=False)
    turn: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tables = [None] * self.chip.table_slots

    def select(self, op: TileOp) -> Instruction:
        """Append what performs `op`; return its own (last) instruction."""
        self.note = op.layer
        match op:
            case Move():
                self._move(op)
            case ConvTile():
                self._conv(op)
            case GemmTile():
                self._gemm(op)
            case WeightFile():
                b = self._word(op.b, op.b_offset)
                self._add(Ldw.new(b=b, lines=op.lines))
            case DepthwiseTile():
                self._depthwise(op)
            case TableTile():
                self._table(op)
            case VectorTile():
                self._vector(op)
            case _:
                raise EmitError(f"no instruction performs {type(op).__name__}; add one to emit/")
        return self.out[-1]

    def _add(self, instruction: Instruction) -> None:
        instruction.note = self.note
        self.out.append(instruction)

    def _describe(self, key: tuple[object, ...], instruction: Instruction) -> None:
        """Append a descriptor instruction unless the register already holds it."""
        held = self.state.get(key)
        if held is None or held.values != instruction.values:
            self.state[key] = instruction
            self._add(instruction)

    def _word(self, buffer: Buffer, offset: int) -> int:
        byte = self.address[buffer] + offset
        if byte % self.chip.ku:
            raise EmitError(f"{buffer.name}+{offset} is not a whole word; align it in tiles/")
        return byte // self.chip.ku

    # -- DMA ---------------------------------------------------------------------------

    def _move(self, op: Move) -> None:
        unit = Unit.LD if op.load else Unit.ST
        for i, (count, dram, sp) in enumerate(op.dims):
            dim = Dim.new(unit, dim=i, count=count, dram_stride=dram, sp_stride=sp)
            self._describe((unit, "dim", i), dim)
        if op.index is not None:
            self._describe((unit, "gidx"), Gidx.new(unit, base=self.address[op.index]))
        kind = Ld if op.load else St
        ndims = len(op.dims) - (op.mode is DmaMode.SCATTER_BYTES and len(op.dims) == 4)
        self._add(
            kind.new(
                dram=self.address[op.dram] + op.dram_offset if op.dram else 0,
                sp=self.address[op.sp] + op.sp_offset if op.sp else 0,
                run=op.run, ndims=ndims, mode=op.mode, fill=op.fill & 0xFF,
            )
        )  # fmt: skip

    # -- matrix unit -------------------------------------------------------------------

    def _window(self, unit: Unit, idx: int, w: Window) -> None:
        for kind in (Wina, Winb):
            fields = {name: getattr(w, name) for name in kind.LAYOUT if name != "idx"}
            self._describe((unit, kind, idx), kind.new(unit, idx=idx, **fields))

    def _conv(self, op: ConvTile) -> None:
        self._window(Unit.MX, 0, op.window)
        self._add(
            Conv.new(
                a=self._word(op.a, op.a_offset), win=0, p=op.p, groups=op.groups,
                b=self._word(op.b, op.b_offset), n_tiles=op.n_tiles,
                acc=self.address[op.acc] // 4, acc_stride=op.acc_stride,
                accumulate=int(op.accumulate),
            )
        )  # fmt: skip

    def _gemm(self, op: GemmTile) -> None:
        ku = self.chip.ku
        self._describe(
            (Unit.MX, "gstr"),
            Gstr.new(
                a_plane=op.a_plane // ku, b_kstride=op.b_kstride // ku,
                b_nstride=op.b_nstride // ku, acc_stride=op.acc_stride,
            ),
        )  # fmt: skip
        self._add(
            Gemm.new(
                a=self._word(op.a, op.a_offset), m=op.m, steps=op.steps,
                b=self._word(op.b, op.b_offset), n_tiles=op.n_tiles, acc=self.address[op.acc],
                accumulate=int(op.accumulate),
            )
        )  # fmt: skip

    def _depthwise(self, op: DepthwiseTile) -> None:
        self._window(Unit.MX, 1, op.window)
        self._add(
            Dw.new(
                a=self._word(op.a, op.a_offset), win=1, p=op.p, tiles=op.tiles,
                acc=self.address[op.acc], acc_stride=op.acc_stride, line=op.line,
            )
        )  # fmt: skip

    # -- vector unit -------------------------------------------------------------------

    def _table(self, op: TableTile) -> None:
        slot = self._rotate("table", len(self.tables))
        self.tables[slot] = op.table
        kind = TableKind.SEGMENT if op.segment else TableKind.LUT8
        self._add(Ldt.new(base=self._word(op.table, 0), slot=slot, kind=kind))

    def _vector(self, op: VectorTile) -> None:
        operands = [step.operand for step in op.chain]
        needed_k = [_bits(x) for x in operands if isinstance(x, Constant)]
        needed_q = [x for x in operands if isinstance(x, Quantiser)]
        if op.out_quant is not None:
            needed_q.append(op.out_quant)
        scalars = self._hold(self.scalars, needed_k, "scalar")
        quants = self._hold(self.quants, needed_q, "quantiser")
        for bits, k in scalars.items():
            self._describe((Unit.VX, "k", k), Konst.new(k=k, bits=bits))
        for q, idx in quants.items():
            qpar = Qpar.new(idx=idx, zero_point=q.zero_point, lo=q.lo, hi=q.hi)
            self._describe((Unit.VX, "q", idx), qpar)
        steps = tuple(self._micro(step, scalars, quants) for step in op.chain)
        slot = self._chain(steps)
        quant = quants[op.out_quant] if op.out_quant is not None else 0
        self._streams(op, quant)
        red = Red.new(reduce=op.reduce, redop=op.redop, channels=op.channels)
        self._describe((Unit.VX, "red"), red)
        in1 = self._place(op.in1) if op.in1 else 0
        uses = 0b1001 | (op.in1 is not None) << 1 | (op.in2 is not None) << 2
        self._add(
            Vrun.new(
                in0=self._place(op.in0), in1=in1, out=self._place(op.out), p=op.p,
                groups=op.groups, slot=slot, uses=uses | (op.params is not None) << 4,
            )
        )  # fmt: skip

    def _streams(self, op: VectorTile, quant: int) -> None:
        for idx, stream in ((0, op.in0), (1, op.in1), (2, op.in2), (3, op.out)):
            if stream is None:
                continue
            self._window(Unit.VX, idx, stream.window)
            base = self._place(stream) if idx == 2 else 0
            strm = Strm.new(
                idx=idx, base=base, dtype=stream.dtype, splat=int(stream.splat),
                quant=quant if idx == 3 else 0,
            )  # fmt: skip
            self._describe((Unit.VX, "strm", idx), strm)
        if op.params is not None:
            base = self._word(*op.params)
            self._describe((Unit.VX, "strm", 4), Strm.new(idx=4, base=base, dtype=DType.F32))

    def _place(self, stream: Stream) -> int:
        if stream.dtype is DType.ACC:
            return self.address[stream.buffer] + stream.offset
        return self._word(stream.buffer, stream.offset)

    def _micro(
        self, step: ChainStep, scalars: dict[int, int], quants: dict[Quantiser, int]
    ) -> Micro:
        """Give the operand of a step the number of its register or slot."""
        operand = step.operand
        if operand is None:
            return Micro(step.op, 0)
        if isinstance(operand, Src):
            return Micro(step.op, int(operand))
        if isinstance(operand, Constant):
            return Micro(step.op, Src.K0 + scalars[_bits(operand)])
        if isinstance(operand, Quantiser):
            return Micro(step.op, quants[operand])
        if operand not in self.tables:
            raise EmitError(f"table {operand.name} is in no slot; load it before the chain runs")
        return Micro(step.op, self.tables.index(operand))

    def _hold(self, registers: list, values: list, what: str) -> dict:
        """Give every value a register, keeping those already there."""
        wanted = list(dict.fromkeys(values))
        if len(wanted) > len(registers):
            raise EmitError(
                f"a chain needs {len(wanted)} {what}s, the vector unit has {len(registers)}; "
                "split the chain in tiles/"
            )
        for value in wanted:
            if value in registers:
                continue
            while True:
                slot = self._rotate(what, len(registers))
                if registers[slot] not in wanted:
                    break
            registers[slot] = value
        return {value: registers.index(value) for value in wanted}

    def _chain(self, steps: tuple[Micro, ...]) -> int:
        if len(steps) > 10:
            raise EmitError(f"a chain of {len(steps)} micro-ops exceeds 10; split it in tiles/")
        if steps in self.chains:
            return self.chains.index(steps)
        slot = self._rotate("chain", len(self.chains))
        self.chains[slot] = steps
        for half in range(1 if len(steps) <= 5 else 2):
            part = steps[5 * half : 5 * half + 5]
            values = {f"op{i}": int(micro.op) for i, micro in enumerate(part)}
            values |= {f"src{i}": micro.src for i, micro in enumerate(part)}
            self._add(Chain.new(None, wait=None, signal=None, slot=slot, half=half, **values))
        return slot

    def _rotate(self, what: str, size: int) -> int:
        self.turn[what] = (self.turn.get(what, -1) + 1) % size
        return self.turn[what]


def _bits(constant: Constant) -> int:
    """Return the bit pattern of an fp32 constant."""
    return struct.unpack("<I", struct.pack("<f", constant.value))[0]
