"""Address generators: what additions alone reach is what the arithmetic says.

DMA runs, for all time: the address after any steps is base + sum of index x stride. Pixels of the
matrix unit, for the first tiles: jumping mu pixels lands where stepping pixel by pixel does.
"""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cat, Const, Elaboratable, Module, Mux, Signal

from jiriki.chip import load_chip
from jiriki.rtl.dma import walk
from jiriki.rtl.dma.records import COUNT_BITS, DIMS
from jiriki.rtl.matrix import pixels
from jiriki.rtl.matrix.records import Shape
from tests.rtl.formal.prove import first_of, free, inside, mutated, prove

INDEX_BITS = 2  # counts of up to four in every dimension


class Runs(Elaboratable):
    """A walk beside its indices; any record, any steps but beyond the last run."""

    def __init__(self, module: ModuleType, bits: int) -> None:
        self.module, self.bits = module, bits

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Walk(self.bits, self.bits)
        m.submodules.dut, registers = inside(dut)
        free(m, dut)
        record, small = dut.record, 1 << INDEX_BITS
        address = Signal(self.bits)
        strides = [Signal(self.bits, name=f"stride{d}") for d in range(DIMS)]
        tops, index = (
            [Signal(INDEX_BITS, name=f"{name}{d}") for d in range(DIMS)] for name in ("top", "i")
        )
        m.d.comb += [Assume(record.top[d] < small) for d in range(DIMS)]
        m.d.comb += Assume(~(dut.step & dut.last))
        following, carry = [], Const(1)
        for d in range(DIMS):  # count: the lowest dimension first
            wraps = index[d] == tops[d]
            after = Signal(INDEX_BITS, name=f"after{d}")
            m.d.comb += after.eq(Mux(carry, Mux(wraps, 0, index[d] + 1), index[d]))
            with m.If(dut.step):
                m.d.sync += index[d].eq(after)
            following.append(after)
            carry = carry & wraps
        with m.If(dut.load):
            m.d.sync += address.eq(record.address)
            m.d.sync += [s.eq(record.stride[d]) for d, s in enumerate(strides)]
            m.d.sync += [t.eq(record.top[d]) for d, t in enumerate(tops)]
            m.d.sync += [i.eq(0) for i in index]

        def place(indices: list) -> object:
            there = address
            for i, stride in reversed(list(zip(indices, strides, strict=True))):
                there = (there + i * stride)[: self.bits]
            return there

        last = Cat(i == t for i, t in zip(index, tops, strict=True)).all()
        m.d.comb += [
            Assert(dut.last == last),
            Assert(dut.inner_wraps == (index[0] == tops[0])),
            Assert(last | (dut.following == place(following))),
        ]
        self._invariant(m, registers, index, tops, strides, place)
        return m

    def _invariant(self, m: Module, registers: dict, index: list, tops: list, strides: list,
                   place: object) -> None:  # fmt: skip
        """What holds between the registers of both: it carries the proof from step to step."""
        for d in range(DIMS):
            m.d.comb += [
                Assert(registers["at"].word_select(d, COUNT_BITS) == index[d]),
                Assert(registers["top"].word_select(d, COUNT_BITS) == tops[d]),
                Assert(registers["stride"].word_select(d, self.bits) == strides[d]),
                Assert(registers["base"].word_select(d, self.bits) == place([0] * d + index[d:])),
                Assert(index[d] <= tops[d]),
            ]


@pytest.mark.parametrize("bits", [3, pytest.param(6, marks=pytest.mark.full)])
def test_runs_lie_where_the_arithmetic_says(bits: int) -> None:
    verdict = prove(Runs(walk, bits), 1, induction=True)
    assert verdict.holds, verdict.answer


RUN_MUTATIONS = {
    "a wrapped dimension keeps its base": ("base[d].eq(self.following)", "base[d].eq(base[d])"),
    "one run too many": ("full[d].eq(at[d] == top[d])", "full[d].eq(at[d] > top[d])"),
    "the stride of the dimension below": (
        "Mux(full[d], from_base, base[d]), Mux(full[d], by, stride[d])",
        "Mux(full[d], from_base, base[d]), Mux(full[d], by, stride[0])",
    ),
}


@pytest.mark.parametrize("name", first_of(RUN_MUTATIONS))
def test_a_planted_fault_in_the_runs_is_found(name: str) -> None:
    assert not prove(Runs(mutated(walk, *RUN_MUTATIONS[name]), 3), 3, induction=True).holds


CHIP = replace(load_chip("nano"), name="pixels")
TILES = 4
NAMES = ("ox", "iy", "ix", "word")


class Pixels(Elaboratable):
    """The pixels of a register tile beside ones that step pixel by pixel."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape, mu = Shape(CHIP), CHIP.mu
        m.submodules.first = first = self.module.FirstPixels(shape)
        window, products, pitch = first.window, first.products, Signal(2)
        small = {"ow": 3, "sx": 2, "sy": 2, "py": 1, "px": 1}
        for name, bits in small.items():
            m.d.comb += getattr(window, name).eq(AnyConst(bits))
        m.d.comb += [
            Assume(window.ow != 0), pitch.eq(AnyConst(len(pitch))),
            first.origin.eq(AnyConst(shape.word)),
            products.row.eq(window.sy * pitch), products.line.eq(window.ow * window.sx),
        ]  # fmt: skip
        place = [self.module.pixel_record(shape).create(path=(f"pixel{i}",)) for i in range(mu)]
        begun, steps = Signal(), AnySeq(1)
        m.d.sync += begun.eq(1)
        # The reference: ox, oy, and what they give, for mu pixels in a row.
        ox, oy = Signal(6), Signal(6)
        at = (ox, oy)
        for i in range(mu):
            pixel, (x, y) = place[i], at
            meant = {name: Signal.like(getattr(pixel, name), name=f"{name}{i}") for name in NAMES}
            m.d.comb += [
                meant["ox"].eq(x), meant["iy"].eq(y * window.sy - window.py),
                meant["ix"].eq(x * window.sx - window.px),
                meant["word"].eq(first.origin + y * products.row + x * window.sx),
            ]  # fmt: skip
            with m.If(begun):
                m.d.comb += [Assert(getattr(pixel, name) == meant[name]) for name in NAMES]
            ends = x + 1 == window.ow
            next_x, next_y = Signal(6, name=f"x{i}"), Signal(6, name=f"y{i}")
            m.d.comb += [next_x.eq(Mux(ends, 0, x + 1)), next_y.eq(y + ends)]
            at = (next_x, next_y)
            with m.If(~begun):
                m.d.sync += [getattr(pixel, n).eq(getattr(first.pixels[i], n)) for n in NAMES]
            with m.Elif(steps):
                m.d.sync += self.module.next_tile(pixel, first.advance)
        with m.If(begun & steps):
            m.d.sync += [ox.eq(at[0]), oy.eq(at[1])]
        return m


@pytest.mark.parametrize("tiles", [1, pytest.param(TILES, marks=pytest.mark.full)])
def test_pixels_lie_where_stepping_leads(tiles: int) -> None:
    verdict = prove(Pixels(pixels), tiles + 1)
    assert verdict.holds, verdict.answer


PIXEL_MUTATIONS = {
    "no wrap at the very end of a row": ("moved >= advance.ow", "moved > advance.ow"),
    "not back to the row's begin": ("back.eq(columns - products.line)", "back.eq(columns)"),
    "a row of the window forgotten": ("(q + 1) * products.row", "q * products.row"),
}  # fmt: skip


@pytest.mark.parametrize("name", first_of(PIXEL_MUTATIONS))
def test_a_planted_fault_in_the_pixels_is_found(name: str) -> None:
    assert not prove(Pixels(mutated(pixels, *PIXEL_MUTATIONS[name])), TILES + 1).holds
