"""Resolve: join each instruction with the queue-local descriptors in force when it runs.

In: the instructions of a stream, in order. Out: an `Operation` for each that does work, None for
descriptors, waits, signals and control. Descriptors (DIM, GIDX, WINA, WINB, GSTR, KONST, QPAR,
STRM, CHAIN, RED) belong to one queue and take effect in queue order, so program order suffices.
Using a descriptor the program never set is an error, as is a count of zero.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple, TypeVar

from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.dma.operations import DmaDim, DmaOp
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction, Unit
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import Operation
from jiriki.isa.sequence import Step
from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.windows import Wina, Winb
from jiriki.isa.words import (
    DmaMode,
    DType,
    Micro,
    MicroOp,
    Quantiser,
    RedOp,
    Reduce,
    Src,
    TableKind,
    Window,
)

_NO_MOVE = Window(0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1)
_LOST = {  # operands without one value beyond the reduction
    Reduce.PIXELS: {Src.IN1, Src.IN2},
    Reduce.CHANNELS: {Src.IN1, Src.IN2, Src.PB, Src.PS},
}
_SLOT_OPS = (MicroOp.TBL, MicroOp.LUT, MicroOp.QNT)
_NO_OPERAND = frozenset(
    (
        MicroOp.END, MicroOp.I2F, MicroOp.NEG, MicroOp.ABS, MicroOp.EXP2, MicroOp.LOG2,
        MicroOp.RECIP, MicroOp.RSQRT, MicroOp.FLOOR, MicroOp.RND, MicroOp.SAVE, MicroOp.RED,
        MicroOp.ROT,
    )
)  # fmt: skip

_Enum = TypeVar("_Enum", bound=IntEnum)


class Work(NamedTuple):
    """A step and the operation it asks for, if any."""

    index: int
    instruction: Instruction
    op: Operation | None


def resolve(steps: Iterable[Step]) -> list[Work]:
    """Resolve a whole stream. Raises IsaError that names the instruction's place and kind."""
    state = QueueState()
    out: list[Work] = []
    for index, instruction in steps:
        try:
            out.append(Work(index, instruction, state.apply(instruction)))
        except IsaError as error:
            kind = type(instruction).__name__.upper()
            raise IsaError(f"instruction {index} ({kind}): {error}") from None
    return out


class QueueState:
    """The descriptor registers of all queues, updated instruction by instruction."""

    def __init__(self) -> None:
        self._dims: dict[tuple[Unit, int], DmaDim] = {}
        self._index: dict[Unit, int] = {}
        self._extent: dict[tuple[Unit, int], dict[str, int]] = {}
        self._steps: dict[tuple[Unit, int], dict[str, int]] = {}
        self._windows: dict[tuple[Unit, int], Window] = {}
        self._interned: dict[Window, Window] = {}
        self._checked: set[tuple[object, ...]] = set()  # chains found sound, with what they rest on
        self._gstr: dict[str, int] | None = None
        self._konst: list[int | None] = [None] * 8
        self._quantisers: list[Quantiser | None] = [None] * 4
        self._streams: dict[int, dict[str, int]] = {}
        self._chains: dict[int, list[Micro]] = {}
        self._reduce = {"reduce": int(Reduce.NONE), "redop": int(RedOp.SUM), "channels": 0}

    def apply(self, instruction: Instruction) -> Operation | None:
        """Take one instruction in queue order and return what it does, if it does work.

        Raises IsaError for a descriptor never set, a zero count or a chain that cannot run.
        """
        handler = _HANDLERS.get(type(instruction))
        return None if handler is None else handler(self, instruction.unit, instruction.values)

    # Descriptors ------------------------------------------------------------------------------

    def _dim(self, unit: Unit, v: dict[str, int]) -> None:
        _positive("count", v["count"])
        self._dims[unit, v["dim"]] = DmaDim(v["count"], v["dram_stride"], v["sp_stride"])

    def _gidx(self, unit: Unit, v: dict[str, int]) -> None:
        if v["base"] % 4:
            raise IsaError(f"base = {v['base']} is not a multiple of 4; align the index list")
        self._index[unit] = v["base"]

    def _wina(self, unit: Unit, v: dict[str, int]) -> None:
        _positive("ow", v["ow"])
        self._extent[unit, self._window_index(unit, v)] = v
        self._windows.pop((unit, v["idx"]), None)

    def _winb(self, unit: Unit, v: dict[str, int]) -> None:
        _positive("kh", v["kh"])
        _positive("kw", v["kw"])
        self._steps[unit, self._window_index(unit, v)] = v
        self._windows.pop((unit, v["idx"]), None)

    @staticmethod
    def _window_index(unit: Unit, v: dict[str, int]) -> int:
        if v["idx"] > 3:
            raise IsaError(f"{unit.name} has no window register {v['idx']}; use 0..3")
        return v["idx"]

    def _gstr_(self, unit: Unit, v: dict[str, int]) -> None:
        self._gstr = v

    def _konst_(self, unit: Unit, v: dict[str, int]) -> None:
        self._konst[v["k"]] = v["bits"]

    def _qpar(self, unit: Unit, v: dict[str, int]) -> None:
        if v["lo"] > v["hi"]:
            raise IsaError(f"lo = {v['lo']} exceeds hi = {v['hi']}; order the clamp bounds")
        self._quantisers[v["idx"]] = Quantiser(v["zero_point"], v["lo"], v["hi"])

    def _strm(self, unit: Unit, v: dict[str, int]) -> None:
        if v["idx"] > 4:
            raise IsaError(f"VX has no stream {v['idx']}; use 0..4")
        if v["idx"] != 4:
            dtype = _known(DType, "dtype", v["dtype"])
            if dtype is DType.ACC and v["idx"] != 0:
                raise IsaError(f"stream {v['idx']} cannot be ACC; only stream 0 reads accumulators")
        self._streams[v["idx"]] = v

    def _chain(self, unit: Unit, v: dict[str, int]) -> None:
        micros = [Micro(_known(MicroOp, f"op{i}", v[f"op{i}"]), v[f"src{i}"]) for i in range(5)]
        if v["half"]:
            if v["slot"] not in self._chains:
                raise IsaError(f"half 1 of chain {v['slot']} comes before half 0; set half 0 first")
            self._chains[v["slot"]] = self._chains[v["slot"]][:5] + micros
        else:
            self._chains[v["slot"]] = micros

    def _red(self, unit: Unit, v: dict[str, int]) -> None:
        reduce = _known(Reduce, "reduce", v["reduce"])
        if v["redop"] == RedOp.ARGMAX and reduce is not Reduce.CHANNELS:
            raise IsaError(f"redop ARGMAX needs reduce CHANNELS, not {reduce.name}; change one")
        if reduce is Reduce.CHANNELS:
            _positive("channels", v["channels"])
        self._reduce = v

    # Work -------------------------------------------------------------------------------------

    def _dma(self, unit: Unit, v: dict[str, int]) -> DmaOp:
        mode = _known(DmaMode, "mode", v["mode"])
        scatter = mode is DmaMode.SCATTER_BYTES
        if v["ndims"] > (3 if scatter else 4):
            raise IsaError(f"ndims = {v['ndims']} exceeds {3 if scatter else 4} of {mode.name}")
        _positive("run", v["run"])
        if mode is DmaMode.GATHER:
            _positive("ndims", v["ndims"])
            if unit not in self._index:
                raise IsaError("GATHER before any GIDX of this queue; set the index list first")
        return DmaOp(
            unit is Unit.ST, v["dram"], v["sp"], v["run"], mode, v["fill"],
            tuple(self._dim_register(unit, i) for i in range(v["ndims"])),
            self._index[unit] if mode is DmaMode.GATHER else None,
            self._dim_register(unit, 3).sp_stride if scatter else 1,
        )  # fmt: skip

    def _dim_register(self, unit: Unit, i: int) -> DmaDim:
        if (unit, i) not in self._dims:
            raise IsaError(f"dimension register {i} of {unit.name} was never set; add a DIM")
        return self._dims[unit, i]

    def _gemm(self, unit: Unit, v: dict[str, int]) -> GemmOp:
        if self._gstr is None:
            raise IsaError("strides were never set; add a GSTR before it")
        for name in ("m", "steps", "n_tiles"):
            _positive(name, v[name])
        g = self._gstr
        return GemmOp(
            v["a"], v["m"], v["steps"], v["b"], v["n_tiles"], v["acc"], bool(v["accumulate"]),
            bool(v["w4"]), g["a_plane"], g["b_kstride"], g["b_nstride"], g["acc_stride"],
        )  # fmt: skip

    def _conv(self, unit: Unit, v: dict[str, int]) -> ConvOp:
        for name in ("p", "groups", "n_tiles"):
            _positive(name, v[name])
        return ConvOp(
            v["a"], self._window(unit, v["win"]), v["p"], v["groups"], v["b"], v["n_tiles"],
            4 * v["acc"], v["acc_stride"], bool(v["accumulate"]), bool(v["w4"]),
        )  # fmt: skip

    def _ldw(self, unit: Unit, v: dict[str, int]) -> LdwOp:
        _positive("lines", v["lines"])
        return LdwOp(v["b"], v["lines"])

    def _dw(self, unit: Unit, v: dict[str, int]) -> DwOp:
        for name in ("p", "tiles"):
            _positive(name, v[name])
        return DwOp(
            v["a"], self._window(unit, v["win"]), v["p"], v["tiles"], v["acc"], v["acc_stride"],
            bool(v["accumulate"]), v["line"],
        )  # fmt: skip

    def _gemv(self, unit: Unit, v: dict[str, int]) -> GemvOp:
        for name in ("steps", "n_tiles"):
            _positive(name, v[name])
        return GemvOp(
            v["b"], v["steps"], v["n_tiles"], v["acc"], v["acc_stride"], bool(v["accumulate"]),
            bool(v["w4"]),
        )  # fmt: skip

    def _vrun(self, unit: Unit, v: dict[str, int]) -> VrunOp:
        _positive("p", v["p"])
        _positive("groups", v["groups"])
        uses, r = v["uses"], self._reduce
        reduce = Reduce(r["reduce"])
        before, after = self._split_chain(v["slot"], reduce)
        in0 = self._stream(0, v["in0"], uses)
        out = self._stream(3, v["out"], uses)
        op = VrunOp(
            v["p"], v["groups"], in0, self._stream(1, v["in1"], uses),
            self._stream(2, None, uses), out, self._params(uses), before, after,
            tuple(self._konst), tuple(self._quantisers), self._out_quantiser(out), reduce,
            RedOp(r["redop"]), r["channels"],
        )  # fmt: skip
        set_ = tuple(x is not None for x in (*self._quantisers, *self._konst))
        key = (before, after, uses, reduce, in0 and in0.dtype, set_)
        if key not in self._checked:
            _check_chain(op)
            self._checked.add(key)
        return op

    def _ldt(self, unit: Unit, v: dict[str, int]) -> LdtOp:
        return LdtOp(v["base"], v["slot"], TableKind(v["kind"]))

    def _window(self, unit: Unit, idx: int) -> Window:
        found = self._windows.get((unit, idx))
        if found is not None:
            return found
        for part, name in ((self._extent, "WINA"), (self._steps, "WINB")):
            if (unit, idx) not in part:
                raise IsaError(f"window register {idx} of {unit.name} was never set by {name}")
        joined = {**self._extent[unit, idx], **self._steps[unit, idx]}
        joined.pop("idx")
        window = Window(**joined)
        window = self._interned.setdefault(window, window)
        self._windows[unit, idx] = window
        return window

    def _stream(self, idx: int, base: int | None, uses: int) -> Stream | None:
        if not uses >> idx & 1:
            return None
        if idx not in self._streams:
            raise IsaError(f"stream {idx} is used but its type was never set; add a STRM")
        v = self._streams[idx]
        dtype = DType(v["dtype"])
        if dtype is DType.ACC:
            if (Unit.VX, idx) not in self._extent:
                raise IsaError("ACC stream needs window register 0 for its plane; add a WINA")
            window = _acc_window(self._extent[Unit.VX, idx]["plane"])
        else:
            window = self._window(Unit.VX, idx)
        return Stream(v["base"] if base is None else base, dtype, bool(v["splat"]), window)

    def _params(self, uses: int) -> int | None:
        if not uses >> 4 & 1:
            return None
        if 4 not in self._streams:
            raise IsaError("stream 4 is used but its base was never set; add a STRM")
        return self._streams[4]["base"]

    def _out_quantiser(self, out: Stream | None) -> Quantiser | None:
        if out is None or out.dtype not in (DType.I8, DType.I16):
            return None
        idx = self._streams[3]["quant"]
        if self._quantisers[idx] is None:
            raise IsaError(f"quantiser {idx} of stream 3 was never set; add a QPAR")
        return self._quantisers[idx]

    def _split_chain(
        self, slot: int, reduce: Reduce
    ) -> tuple[tuple[Micro, ...], tuple[Micro, ...]]:
        if slot not in self._chains:
            raise IsaError(f"chain register {slot} was never set; add a CHAIN")
        before: list[Micro] = []
        after: list[Micro] = []
        part = before
        for micro in self._chains[slot]:
            if micro.op is MicroOp.END:
                break
            if micro.op is not MicroOp.RED:
                part.append(micro)
            elif reduce is not Reduce.NONE:
                part = after
        return tuple(before), tuple(after)


@cache
def _acc_window(plane: int) -> Window:
    """Return the window of an accumulator stream: rows of a plane, one after another."""
    return replace(_NO_MOVE, plane=plane)


def _check_chain(op: VrunOp) -> None:
    """Refuse a chain whose operands do not exist where they are asked for."""
    if op.reduce is Reduce.WINDOW and (op.in0 is None or op.in0.dtype is DType.ACC):
        raise IsaError("WINDOW reduction needs stream 0 from the scratchpad; change RED or STRM")
    fetched = {Src.IN1: op.in1, Src.IN2: op.in2, Src.PB: op.params, Src.PS: op.params}
    for part, hidden in ((op.before, set()), (op.after, _LOST.get(op.reduce, set()))):
        saved = False
        for micro in part:
            if micro.op is MicroOp.SAVE:
                saved = True
            if (micro.op is MicroOp.SEL or _operand(micro) == Src.T) and not saved:
                raise IsaError(f"{micro.op.name} reads t before SAVE; SAVE on the same side of RED")
            _check_operand(op, micro, fetched, hidden)


def _operand(micro: Micro) -> int | None:
    return None if micro.op in _NO_OPERAND or micro.op in _SLOT_OPS else micro.src


def _check_operand(op: VrunOp, micro: Micro, fetched: dict[Src, Any], hidden: set[Src]) -> None:
    if micro.op in _NO_OPERAND:
        return
    if micro.op in _SLOT_OPS:
        if micro.op is MicroOp.QNT and (micro.src > 3 or op.quantisers[micro.src] is None):
            raise IsaError(f"QNT uses quantiser {micro.src}, never set; add a QPAR (0..3)")
        if micro.src > 15:
            raise IsaError(f"{micro.op.name} uses table slot {micro.src}; use 0..15")
        return
    src = _known(Src, "operand", micro.src)
    if src in fetched and fetched[src] is None:
        raise IsaError(
            f"{micro.op.name} reads {src.name}, which `uses` does not fetch; set its bit"
        )
    if src in hidden:
        raise IsaError(
            f"{micro.op.name} reads {src.name} after a reduction over {op.reduce.name}, where it "
            "has no one value; use it before RED, or in a VRUN of its own"
        )
    if src >= Src.K0 and op.konst[src - Src.K0] is None:
        raise IsaError(f"{micro.op.name} reads {src.name}, never set; add a KONST")


def _positive(name: str, value: int) -> None:
    if value < 1:
        raise IsaError(f"{name} = {value} must be at least 1; leave the instruction out instead")


def _known(kind: type[_Enum], name: str, value: int) -> _Enum:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(member.name for member in kind)
        raise IsaError(f"{name} = {value} is no {kind.__name__}; known are {known}") from None


_Handler = Callable[[QueueState, Unit, dict[str, int]], Operation | None]
_HANDLERS: dict[type[Instruction], _Handler] = {
    Dim: QueueState._dim, Gidx: QueueState._gidx, Wina: QueueState._wina, Winb: QueueState._winb,
    Gstr: QueueState._gstr_, Konst: QueueState._konst_, Qpar: QueueState._qpar,
    Strm: QueueState._strm, Chain: QueueState._chain, Red: QueueState._red,
    Ld: QueueState._dma, St: QueueState._dma, Gemm: QueueState._gemm, Conv: QueueState._conv,
    Ldw: QueueState._ldw, Dw: QueueState._dw, Gemv: QueueState._gemv, Vrun: QueueState._vrun,
    Ldt: QueueState._ldt,
}  # fmt: skip
