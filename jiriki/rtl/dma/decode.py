"""Decode of LD and ST: words -> records, with the dimension registers in force filled in.

In: words in program order. Out: one record a word, with dense dimensions folded on each side.
Latency: a word taken in cycle t is offered in t + 2 (combinational from registers) and armed by
whoever loads it at the end of that cycle, so that it can start in t + 3.

A dimension folds when its stride equals the run so far. If it does, the run becomes stride * count:
a product of the dimension register alone, made when DIM is applied. So an instruction only
compares, in its first stage, strides with its run and with those products, and selects in the
second. ST's FILL alone needs the product of its counts; two levels of it are made here, the last
where it is used.
"""

# pyright: reportAttributeAccessIssue=false

from types import SimpleNamespace

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.isa.dma.instructions import Dim, Gidx, Ld, St
from jiriki.isa.words import DmaMode
from jiriki.rtl.dma.records import COUNT_BITS, DIMS, DRAM_BITS, Sizes, dram_layout, sp_layout
from jiriki.rtl.layouts import WORD_BITS, is_kind, payload

RUN_BITS = Ld.LAYOUT["run"].bits
SOURCES = 1 + DIMS  # what a folded run can be: the run, or a dimension's product
_SIDES = {"dram": DRAM_BITS, "sp": Dim.LAYOUT["sp_stride"].bits - 1}


def decoded_layout(sizes: Sizes) -> data.StructLayout:
    """Return what is offered: work, or (work 0) a word that only takes the front for a cycle."""
    return data.StructLayout(
        {"work": 1, "fill": 1, "dram": dram_layout(sizes), "sp": sp_layout(sizes)}
    )


class Decode(wiring.Component):
    """See the module; `store` for ST's."""

    def __init__(self, chip: ChipConfig, *, store: bool) -> None:
        self.sizes, self.store = Sizes(chip), store
        super().__init__(
            {
                "word": In(stream.Signature(WORD_BITS)),
                "out": Out(stream.Signature(decoded_layout(self.sizes))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build it: the word's register, the dimension registers, the record's register."""
        m = Module()
        word, valid = Signal(WORD_BITS), Signal()
        moves = Signal()  # the word goes on to the record's register
        m.d.comb += [
            moves.eq(~self.out.valid | self.out.ready),
            self.word.ready.eq(~valid | moves),
        ]
        with m.If(self.word.ready):
            m.d.sync += [valid.eq(self.word.valid), word.eq(self.word.payload)]
        with m.If(moves):
            m.d.sync += self.out.valid.eq(valid)
        dims = [_dim_register(d) for d in range(DIMS)]
        index = Signal(Gidx.LAYOUT["base"].bits)
        with m.If(valid & moves):
            fields = payload(Dim, word)
            for d in range(DIMS):
                with m.If(is_kind(Dim, word) & (fields.dim == d)):
                    m.d.sync += [
                        dims[d].count.eq(fields.count),
                        *(_set_side(dims[d], side, fields) for side in _SIDES),
                    ]
            with m.If(is_kind(Gidx, word)):
                m.d.sync += index.eq(payload(Gidx, word).base)
        self._record(m, word, dims, index, moves)
        return m

    def _record(
        self, m: Module, word: Signal, dims: list[SimpleNamespace], index: Signal, moves: Signal
    ) -> None:
        """Compare in the first stage, select in the second."""
        f = payload(St if self.store else Ld, word)
        mode = {each: Signal(name=each.name.lower()) for each in DmaMode}
        m.d.comb += [mode[each].eq(f.mode == each) for each in DmaMode]
        fill, gather, scatter = (
            mode[n] for n in (DmaMode.FILL, DmaMode.GATHER, DmaMode.SCATTER_BYTES)
        )
        top = [Mux(f.ndims > d, dims[d].count - 1, 0)[:COUNT_BITS] for d in range(DIMS)]
        out, sizes = self.out.payload, self.sizes
        held = SimpleNamespace(run=Signal(RUN_BITS), top=[Signal(COUNT_BITS) for _ in dims])
        with m.If(moves):
            m.d.sync += [
                held.run.eq(f.run),
                *(held.top[d].eq(top[d]) for d in range(DIMS)),
            ]
        sides = {}
        for side, fold in (("dram", ~gather), ("sp", ~scatter)):
            sides[side] = _side(m, side, f.run, top, dims, fold, moves, held)
        stages = {  # field -> value in the first stage
            "work": is_kind(St if self.store else Ld, word), "fill": fill, "gather": gather,
            "scatter": scatter, "dram": f.dram, "sp": f.sp, "fill_byte": f.fill, "index": index,
            "gather_stride": dims[0].dram_stride, "byte_stride": dims[3].sp_stride,
        }  # fmt: skip
        latched = {}
        for name, value in stages.items():
            latched[name] = Signal(len(value), name=f"kept_{name}")
            with m.If(moves):
                m.d.sync += latched[name].eq(value)
        dram, sp = out.dram, out.sp
        m.d.comb += [
            out.work.eq(latched["work"]), out.fill.eq(latched["fill"]),
            dram.walk.address.eq(latched["dram"]), dram.gather.eq(latched["gather"]),
            dram.gather_stride.eq(latched["gather_stride"]), dram.index.eq(latched["index"]),
            sp.walk.address.eq(latched["sp"]), sp.scatter.eq(latched["scatter"]),
            sp.byte_stride.eq(latched["byte_stride"]), sp.fill.eq(latched["fill"]),
            sp.fill_byte.eq(latched["fill_byte"]),
        ]  # fmt: skip
        for name, record in (("dram", dram.walk), ("sp", sp.walk)):
            run, tops, strides = sides[name]
            m.d.comb += record.run.eq(run)
            m.d.comb += [record.top[d].eq(tops[d]) for d in range(DIMS)]
            m.d.comb += [record.stride[d].eq(strides[d]) for d in range(DIMS)]
        with m.If(latched["gather"]):
            m.d.comb += dram.walk.stride[0].eq(0)
        if self.store:
            _dense_fill(m, sp, latched["fill"], f.run, top, moves, sizes.beat)


def _dim_register(d: int) -> SimpleNamespace:
    """Make one dimension register: count, and a side's stride and stride * count."""
    fields = {"count": Signal(COUNT_BITS, name=f"count{d}")}
    for side, bits in _SIDES.items():
        fields[f"{side}_stride"] = Signal(signed(bits + 1), name=f"{side}_stride{d}")
        fields[f"{side}_extent"] = Signal(bits, name=f"{side}_extent{d}")
    return SimpleNamespace(**fields)


def _set_side(register: SimpleNamespace, side: str, fields: SimpleNamespace) -> list:
    stride = getattr(fields, f"{side}_stride")
    return [
        getattr(register, f"{side}_stride").eq(stride),
        getattr(register, f"{side}_extent").eq(stride[: _SIDES[side]] * fields.count),
    ]


def _side(
    m: Module, side: str, run: Value, top: list[Value], dims: list[SimpleNamespace], fold: Value,
    moves: Signal, held: SimpleNamespace,
) -> tuple[Value, list[Value], list[Value]]:  # fmt: skip
    """Return run, tops and strides of a side, folded (valid in the second stage)."""
    bits = _SIDES[side]
    strides = [getattr(d, f"{side}_stride") for d in dims]
    extents = [getattr(d, f"{side}_extent") for d in dims]
    may_fold = Signal(name=f"{side}_may_fold")
    equal = [Signal(1 + d, name=f"{side}_equal{d}") for d in range(DIMS)]
    stride = [Signal(bits + 1, name=f"{side}_kept_stride{d}") for d in range(DIMS)]
    extent = [Signal(bits, name=f"{side}_kept_extent{d}") for d in range(DIMS)]
    with m.If(moves):
        m.d.sync += may_fold.eq(fold)
        for d in range(DIMS):
            sources = [run, *extents[:d]]
            m.d.sync += [
                equal[d].eq(Cat(strides[d].as_unsigned() == source for source in sources)),
                stride[d].eq(strides[d]),
                extent[d].eq(extents[d]),
            ]
    # Second stage: which of the sources the run is, dimension by dimension.
    chosen: Value = Const(1, SOURCES)  # one-hot: the run, extent 0 .. 3
    folding: Value = may_fold
    left = [Signal(name=f"{side}_left{d}") for d in range(DIMS)]  # dimensions that stay
    for d in range(DIMS):
        is_single = Signal(name=f"{side}_one{d}")
        fits = Signal(name=f"{side}_fits{d}")
        m.d.comb += [
            is_single.eq(held.top[d] == 0),
            fits.eq(folding & (is_single | (equal[d] & chosen[: 1 + d]).any())),
            left[d].eq(~fits),
        ]
        chosen = Mux(fits & ~is_single, Const(2 << d, SOURCES), chosen)
        folding = fits
    folded = Signal(DRAM_BITS, name=f"{side}_run")
    m.d.comb += folded.eq(held.run)
    for d in range(DIMS):
        with m.If(chosen[1 + d]):
            m.d.comb += folded.eq(extent[d])
    tops, steps = [], []
    for d in range(DIMS):
        tops.append(Signal(COUNT_BITS, name=f"{side}_top{d}"))
        steps.append(Signal(bits, name=f"{side}_step{d}"))
        for n in range(DIMS - d + 1):  # n dimensions folded: those above move down
            is_n = (left[n] if n < DIMS else 1) & (~left[n - 1] if n else 1)
            source = d + n
            if source < DIMS:
                with m.If(is_n):
                    m.d.comb += [tops[d].eq(held.top[source]), steps[d].eq(stride[source])]
    return folded, tops, steps


def _dense_fill(
    m: Module, sp: Value, fill: Value, run: Value, top: list[Value], moves: Signal, beat: int
) -> None:
    """Make ST's FILL one run: run * times bytes, of which `first` in the first chunk."""
    counts = [(t + 1)[:COUNT_BITS] for t in top]
    left, right, third = Signal(DRAM_BITS), Signal(DRAM_BITS), Signal(COUNT_BITS)
    small = [Signal(range(beat + 1), name=f"small{i}") for i in range(3)]

    def least(value: Value) -> Value:
        return Mux(value > beat, beat, value)

    pairs = ((run, counts[0]), (counts[1], counts[2]))
    with m.If(moves):
        m.d.sync += [
            left.eq(run * counts[0]),
            right.eq(counts[1] * counts[2]),
            third.eq(counts[3]),
            *(small[i].eq(least(least(a) * least(b))) for i, (a, b) in enumerate(pairs)),
            small[2].eq(least(counts[3])),
        ]
    with m.If(fill):
        m.d.comb += [sp.walk.run.eq(left * right), sp.walk.top.eq(0), sp.times.eq(third)]
        m.d.comb += sp.first.eq(least(least(small[0] * small[1]) * small[2]))
