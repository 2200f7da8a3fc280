"""The descriptor registers of the VX queue, and VRUN and LDT joined with them."""

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Handlers, Unit, known, positive
from jiriki.isa.vector.instructions import Chain, Konst, Ldt, Qpar, Red, Strm, Vrun
from jiriki.isa.vector.operations import LdtOp, Stream, VrunOp
from jiriki.isa.windows import Wina, Winb, WindowRegisters
from jiriki.isa.words import DType, Micro, MicroOp, Operand, Quantiser, RedOp, Reduce, Src

LOST = {  # operands without one value beyond the reduction
    Reduce.PIXELS: {Src.IN1, Src.IN2},
    Reduce.CHANNELS: {Src.IN1, Src.IN2, Src.PB, Src.PS},
}
_FETCHED = {Src.IN1: "in1", Src.IN2: "in2", Src.PB: "params", Src.PS: "params"}


class VectorRegisters:
    """Windows, streams, chains, scalars, quantisers and the reduction in force."""

    def __init__(self) -> None:
        self._windows = WindowRegisters(Unit.VX)
        self._konst: list[int | None] = [None] * 8
        self._quantisers: list[Quantiser | None] = [None] * 4
        self._streams: dict[int, dict[str, int]] = {}
        self._chains: dict[int, list[Micro]] = {}
        self._reduce = {"reduce": Reduce.NONE, "redop": RedOp.SUM, "channels": 0}
        self._checked: set[tuple[object, ...]] = set()  # chains known sound, with what they rest on
        self.handlers: Handlers = {
            Wina: self._windows.wina, Winb: self._windows.winb, Konst: self._konst_,
            Qpar: self._qpar, Strm: self._strm, Chain: self._chain, Red: self._red,
            Vrun: self._vrun, Ldt: self._ldt,
        }  # fmt: skip

    def _konst_(self, v: dict[str, int]) -> None:
        self._konst[v["k"]] = v["bits"]

    def _qpar(self, v: dict[str, int]) -> None:
        if v["lo"] > v["hi"]:
            raise IsaError(f"lo = {v['lo']} exceeds hi = {v['hi']}; order the clamp bounds")
        self._quantisers[v["idx"]] = Quantiser(**Qpar.typed(v, "idx"))

    def _strm(self, v: dict[str, int]) -> None:
        if v["idx"] > 4:
            raise IsaError(f"VX has no stream {v['idx']}; use 0..4")
        if v["idx"] != 4:
            dtype = known(DType, "dtype", v["dtype"])
            if dtype is DType.ACC and v["idx"] != 0:
                raise IsaError(f"stream {v['idx']} cannot be ACC; only stream 0 reads accumulators")
        self._streams[v["idx"]] = v

    def _chain(self, v: dict[str, int]) -> None:
        micros = [Micro(known(MicroOp, f"op{i}", v[f"op{i}"]), v[f"src{i}"]) for i in range(5)]
        if v["half"]:
            if v["slot"] not in self._chains:
                raise IsaError(f"half 1 of chain {v['slot']} comes before half 0; set half 0 first")
            self._chains[v["slot"]] = self._chains[v["slot"]][:5] + micros
        else:
            self._chains[v["slot"]] = micros

    def _red(self, v: dict[str, int]) -> None:
        red = Red.typed(v)
        reduce = red["reduce"]
        if red["redop"] is RedOp.ARGMAX and reduce is not Reduce.CHANNELS:
            raise IsaError(f"redop ARGMAX needs reduce CHANNELS, not {reduce.name}; change one")
        if reduce is Reduce.CHANNELS:
            positive("channels", v["channels"])
        self._reduce = red

    def _vrun(self, v: dict[str, int]) -> VrunOp:
        positive("p", v["p"])
        positive("groups", v["groups"])
        uses, reduce = v["uses"], self._reduce["reduce"]
        before, after = self._split_chain(v["slot"], reduce)
        out = self._stream(3, v["out"], uses)
        op = VrunOp(
            p=v["p"], groups=v["groups"], in0=self._stream(0, v["in0"], uses),
            in1=self._stream(1, v["in1"], uses), in2=self._stream(2, None, uses), out=out,
            params=self._params(uses), before=before, after=after, konst=tuple(self._konst),
            quantisers=tuple(self._quantisers), out_quantiser=self._out_quantiser(out),
            **self._reduce,
        )  # fmt: skip
        set_ = tuple(x is not None for x in (*self._quantisers, *self._konst))
        key = (before, after, uses, reduce, op.in0 and op.in0.dtype, set_)
        if key not in self._checked:
            _check_chain(op)
            self._checked.add(key)
        return op

    def _ldt(self, v: dict[str, int]) -> LdtOp:
        return LdtOp(**Ldt.typed(v))

    def _stream(self, idx: int, base: int | None, uses: int) -> Stream | None:
        if not uses >> idx & 1:
            return None
        if idx not in self._streams:
            raise IsaError(f"stream {idx} is used but its type was never set; add a STRM")
        v = self._streams[idx]
        dtype = DType(v["dtype"])
        is_acc = dtype is DType.ACC
        window = self._windows.accumulator_window(idx) if is_acc else self._windows.window(idx)
        return Stream(
            base=v["base"] if base is None else base, dtype=dtype, splat=bool(v["splat"]),
            window=window,
        )  # fmt: skip

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


def _check_chain(op: VrunOp) -> None:
    """Refuse a chain whose operands do not exist where they are asked for."""
    if op.reduce is Reduce.WINDOW and (op.in0 is None or op.in0.dtype is DType.ACC):
        raise IsaError("WINDOW reduction needs stream 0 from the scratchpad; change RED or STRM")
    for part, hidden in ((op.before, set()), (op.after, LOST.get(op.reduce, set()))):
        saved = False
        for micro in part:
            if micro.op is MicroOp.SAVE:
                saved = True
            reads_t = micro.op.operand is Operand.VALUE and micro.src == Src.T
            if (micro.op is MicroOp.SEL or reads_t) and not saved:
                raise IsaError(f"{micro.op.name} reads t before SAVE; SAVE on the same side of RED")
            _check_operand(op, micro, hidden)


def _check_operand(op: VrunOp, micro: Micro, hidden: set[Src]) -> None:
    kind = micro.op.operand
    if kind is Operand.NONE:
        return
    if kind is Operand.QUANTISER:
        if micro.src > 3 or op.quantisers[micro.src] is None:
            raise IsaError(f"QNT uses quantiser {micro.src}, never set; add a QPAR (0..3)")
        return
    if micro.op.table is not None:
        if micro.src > 15:
            raise IsaError(f"{micro.op.name} uses table slot {micro.src}; use 0..15")
        return
    src = known(Src, "operand", micro.src)
    if src in _FETCHED and getattr(op, _FETCHED[src]) is None:
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
