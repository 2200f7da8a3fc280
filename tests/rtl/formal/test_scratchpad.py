"""The scratchpad: who is granted, in every cycle there can be; a word read is the one written."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.hdl import Assert, Cat, Elaboratable, Module, Signal, Value

from jiriki.chip import load_chip
from jiriki.rtl.memory import scratchpad
from tests.rtl.formal.prove import first_of, free, inside, mutated, prove

CHIP = replace(
    load_chip("nano"), name="two-banks", mu=2, nu=2, ku=2, vx_lanes=4, columns=8, banks=2,
    scratchpad_bytes=2 * 8 * 2 * 2,
)  # fmt: skip
BANK = Path(str(resources.files("jiriki.rtl"))) / "verilog" / "jiriki_bank.v"
READS, WRITES = 4, 2
LEAST_DEPTH = 1  # grants are combinational: one free cycle is all cycles


def cells_of(port: object, rows: int) -> Value:
    """Return the memories that a request needs, one bit a memory: bank by bank, in it by column."""
    line_banks = [port.lines[c] // rows for c in range(CHIP.columns)]
    needed = [
        port.valid[c] & (line_banks[c] == b) for b in range(CHIP.banks) for c in range(CHIP.columns)
    ]
    return Value.cast(Cat(needed))


class Grants(Elaboratable):
    """The rules of the arbiter, port by port in the order of priority."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Scratchpad(CHIP, READS, WRITES)
        m.submodules.dut, _ = inside(dut)
        free(m, dut)
        for ports in (dut.read, dut.write):
            needs = [Signal(CHIP.banks * CHIP.columns, name=f"needs{i}") for i in range(len(ports))]
            for port, need in zip(ports, needs, strict=True):
                m.d.comb += need.eq(cells_of(port, dut.rows))
            self._rules(m, list(ports), needs)
        return m

    def _rules(self, m: Module, ports: list, needs: list[Signal]) -> None:
        for i, (port, need) in enumerate(zip(ports, needs, strict=True)):
            before = list(zip(ports[:i], needs[:i], strict=True))
            met = Cat(p.grant & (n & need).any() for p, n in before)
            m.d.comb += Assert(port.grant == ((need != 0) & ~met.any()))
            for other, its in before:
                m.d.comb += Assert(~(port.grant & other.grant & (need & its).any()))
            alone = ~Cat(n.any() for n in needs if n is not need).any()
            with m.If(need.any() & alone):
                m.d.comb += Assert(port.grant)
        with m.If(needs[0] != 0):
            m.d.comb += Assert(ports[0].grant)


class Word(Elaboratable):
    """One byte of the memory, followed: what is read of it is what was written last."""

    LINE, COLUMN, BYTE = 3, 5, 1  # any other is wired the same way
    PORTS = 2

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Scratchpad(CHIP, self.PORTS, self.PORTS)
        m.submodules.dut, _ = inside(dut)
        free(m, dut)
        value, old, known = Signal(8), Signal(8), Signal()
        m.d.sync += old.eq(value)
        for port in dut.write:
            with m.If(port.grant & self._here(port) & port.bytes[self.COLUMN][self.BYTE]):
                byte = port.data[self.COLUMN].word_select(self.BYTE, 8)
                m.d.sync += [value.eq(byte), known.eq(1)]
        for i, port in enumerate(dut.read):
            asked = Signal(name=f"asked{i}")
            m.d.sync += asked.eq(known & port.grant & self._here(port))
            with m.If(asked):
                m.d.comb += Assert(port.data[self.COLUMN].word_select(self.BYTE, 8) == old)
        return m

    def _here(self, port: object) -> Value:
        return port.valid[self.COLUMN] & (port.lines[self.COLUMN] == self.LINE)


def test_grants_follow_the_priorities() -> None:
    verdict = prove(Grants(scratchpad), LEAST_DEPTH, cells=BANK)
    assert verdict.holds, verdict.answer


GRANT_MUTATIONS = {
    "two ports of one memory": ("taken[b] | used[b]", "used[b]"),
    "a bank too many is taken": ("& taken[b]).any()", "& taken[0]).any()"),
    "granted without a request": ("port.valid.any() & ~meets", "~meets"),
}
WORD_MUTATIONS = {
    "data of the bank asked for now": (
        "for w, out in zip(was, outs",
        "for w, out in zip(using, outs",
    ),
    "a refused write is done": ("Mux(meets, 0, cells[b])", "cells[b]"),
}


@pytest.mark.parametrize("name", first_of(GRANT_MUTATIONS))
def test_a_planted_fault_in_the_arbiter_is_found(name: str) -> None:
    faulty = Grants(mutated(scratchpad, *GRANT_MUTATIONS[name]))
    assert not prove(faulty, LEAST_DEPTH, cells=BANK).holds


@pytest.mark.full
def test_a_word_read_is_the_word_written() -> None:
    verdict = prove(Word(scratchpad), 5, cells=BANK)
    assert verdict.holds, verdict.answer


@pytest.mark.full
@pytest.mark.parametrize("name", WORD_MUTATIONS)
def test_a_planted_fault_in_the_data_is_found(name: str) -> None:
    assert not prove(Word(mutated(scratchpad, *WORD_MUTATIONS[name])), 5, cells=BANK).holds
