"""The queue and the AXI master, proved for every input over their first cycles."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Module, Mux, ResetSignal, Signal

from jiriki.chip import load_chip
from jiriki.rtl.dma import backlog, port
from tests.rtl.formal.prove import first_of, free, mutated, prove

BEAT, BLOCK = 4, 16
CHIP = replace(
    load_chip("nano"), name="tiny", dram_bytes_per_cycle=BEAT, dram_burst_bytes=BLOCK,
    dram_bursts_in_flight=2,
)  # fmt: skip
SHADOW = 16  # writes of a proof at most


class QueueBesideList(Elaboratable):
    """A backlog beside a plain shifting list of the same entries."""

    def __init__(self, module: ModuleType, depth: int) -> None:
        self.module, self.depth = module, depth

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.module.Backlog(4, self.depth)
        free(m, dut)
        held = [Signal(4, name=f"held{i}") for i in range(self.depth)]
        count, remaining = Signal(range(self.depth + 1)), Signal(range(self.depth + 1))
        m.d.comb += [
            Assume(~ResetSignal("sync")),
            Assume(~dut.take | dut.valid),
            Assume(~dut.push | (count < self.depth) | dut.take),
            Assert(dut.level == count),
            Assert(dut.valid == ((count != 0) | dut.push)),
            Assert(~dut.valid | (dut.oldest == Mux(count == 0, dut.entry, held[0]))),
            remaining.eq(count - (dut.take & (count != 0))),
        ]
        m.d.sync += count.eq(count + dut.push - dut.take)
        for i in range(self.depth):
            after = held[i + 1] if i + 1 < self.depth else held[i]
            m.d.sync += held[i].eq(
                Mux(remaining == i, dut.entry, Mux(dut.take & (count != 0), after, held[i]))
            )
        return m


class Watched(Elaboratable):
    """The port with every unit and memory free, but for what their own rules forbid them."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.module.DramPort(CHIP)
        free(m, dut)
        m.d.comb += Assume(~ResetSignal("sync"))
        _assume_units(m, dut)
        _assume_memory(m, dut)
        _assert_grants(m, dut)
        _assert_bus(m, dut)
        return m


def _assume_units(m: Module, dut: port.DramPort) -> None:
    """Bursts have bytes and stay in their block; addresses come a cycle after the grant."""
    fetch, beats = dut.fetch, BLOCK // BEAT
    m.d.comb += Assume((fetch.bytes != 0) & ((fetch.address % BLOCK) + fetch.bytes <= BLOCK))
    for unit in (dut.load, dut.store):
        granted, size = Signal(), Signal.like(unit.beats)
        m.d.sync += [granted.eq(unit.grant), size.eq(unit.beats)]
        first = (unit.address % BLOCK) // BEAT
        m.d.comb += [
            Assume((unit.beats >= 1) & (unit.beats <= beats)),
            Assume(~granted | (first + size <= beats)),
        ]


def _assume_memory(m: Module, dut: port.DramPort) -> None:
    """No answer without a question."""
    axi = dut.axi
    asked, wrote = Signal(8), Signal(8)  # beats of reads to come, writes to be answered
    m.d.comb += [Assume(~axi.rvalid | (asked != 0)), Assume(~axi.bvalid | (wrote != 0))]
    m.d.sync += [
        asked.eq(asked + Mux(axi.arvalid & axi.arready, axi.arlen + 1, 0) - axi.rvalid),
        wrote.eq(wrote + (axi.wvalid & axi.wready & axi.wlast) - axi.bvalid),
    ]


def _assert_grants(m: Module, dut: port.DramPort) -> None:
    """One at most, only to who asks, fetch first, and nobody passes the other twice."""
    fetch, load, store = dut.fetch, dut.load, dut.store
    m.d.comb += [
        Assert(fetch.grant + load.grant + store.grant <= 1),
        Assert(~fetch.grant | fetch.valid),
        Assert(~load.grant | (load.valid & ~fetch.valid)),
        Assert(~store.grant | (store.valid & ~fetch.valid)),
    ]
    for granted, waiting in ((load, store), (store, load)):
        passed = Signal()  # `waiting` has waited ever since `granted` was
        m.d.sync += passed.eq(waiting.valid & ~waiting.grant & (granted.grant | passed))
        m.d.comb += Assert(~(passed & waiting.valid & granted.grant))


def _assert_bus(m: Module, dut: port.DramPort) -> None:
    """Requests stay while they wait and in their block; beats follow; reads follow writes."""
    axi, store = dut.axi, dut.store
    for name, fields in (
        ("ar", ("araddr", "arlen")), ("aw", ("awaddr", "awlen")),
        ("w", ("wdata", "wstrb", "wlast")),
    ):  # fmt: skip
        valid, waits = getattr(axi, f"{name}valid"), Signal(name=f"{name}_waits")
        m.d.sync += waits.eq(valid & ~getattr(axi, f"{name}ready"))
        m.d.comb += Assert(~waits | valid)
        for field in fields:
            before, now = Signal.like(getattr(axi, field)), getattr(axi, field)
            m.d.sync += before.eq(now)
            m.d.comb += Assert(~waits | (now == before))
        if name != "w":
            now, beats = getattr(axi, f"{name}addr"), getattr(axi, f"{name}len")
            first = (now % BLOCK) // BEAT
            m.d.comb += Assert(~valid | ((now % BEAT == 0) & (first + beats < BLOCK // BEAT)))
            if name == "ar":
                m.d.comb += Assert(~valid | waits | (~axi.awvalid & ~axi.wvalid))
    lengths = Array(Signal(3, name=f"length{i}") for i in range(SHADOW))
    granted, asked, wrote = (Signal(range(SHADOW), name=n) for n in ("granted", "asked", "wrote"))
    beat = Signal(3)  # of the burst that is being written
    with m.If(store.grant):
        m.d.sync += [lengths[granted].eq(store.beats), granted.eq(granted + 1)]
    with m.If(axi.awvalid & axi.awready):
        m.d.sync += asked.eq(asked + 1)
    with m.If(axi.wvalid & axi.wready):
        m.d.sync += [wrote.eq(wrote + axi.wlast), beat.eq(Mux(axi.wlast, 0, beat + 1))]
    m.d.comb += [
        Assert(~axi.wvalid | (axi.wlast == (beat + 1 == lengths[wrote]))),
        Assert(~axi.wvalid | (wrote < asked + axi.awvalid)),
        Assert(~axi.awvalid | (axi.awlen + 1 == lengths[asked])),
    ]


@pytest.mark.parametrize("depth", [1, 3])
def test_a_backlog_keeps_entries_and_their_order(depth: int) -> None:
    verdict = prove(QueueBesideList(backlog, depth), 9)
    assert verdict.holds, verdict.answer


@pytest.mark.parametrize("depth", [7, pytest.param(10, marks=pytest.mark.full)])
def test_the_port_keeps_the_protocol(depth: int) -> None:
    verdict = prove(Watched(port), depth)
    assert verdict.holds, verdict.answer


MUTATIONS = {
    "beats go ahead of their address": (" & ((self.to_send != 0) | self.asked)", ""),
    "a waiting request is replaced": ("~axi.arvalid | axi.arready", "1"),
    "reads pass writes": ("sent = (self.to_send == 0)", "sent = (self.to_send >= 0)"),
    "LD is always preferred": ("(~store.valid | store_last)", "1"),
    "the last beat is called out early": ("store.last.eq(now == 1)", "store.last.eq(now <= 2)"),
}


@pytest.mark.parametrize("name", first_of(MUTATIONS))
def test_a_planted_fault_of_the_port_is_found(name: str) -> None:
    assert not prove(Watched(mutated(port, *MUTATIONS[name])), 10).holds


def test_a_planted_fault_of_the_backlog_is_found() -> None:
    broken = mutated(backlog, "self.take & stored)", "self.take)")
    assert not prove(QueueBesideList(broken, 3), 9).holds
