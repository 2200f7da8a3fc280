"""Semaphores, for all time: nothing negative, no token lost, permission exactly when it is due."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from amaranth.hdl import Array, Assert, Assume, Elaboratable, Module, Mux, Signal, signed

from jiriki.chip import load_chip
from jiriki.rtl.control import semaphores
from tests.rtl.formal.prove import first_of, free, inside, mutated, prove

CHIP = replace(load_chip("nano"), name="two", semaphores=2, semaphore_max=15)
LEDGER_BITS = 8


class Ledger(Elaboratable):
    """A book beside the gates: tokens given less tokens taken, kept from the wires alone."""

    def __init__(self, module: ModuleType, units: int) -> None:
        self.module, self.units = module, units

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = self.module.Semaphores(CHIP, self.units)
        m.submodules.dut, registers = inside(dut)
        free(m, dut)
        book = [Signal(signed(LEDGER_BITS), name=f"book{i}") for i in range(CHIP.semaphores)]
        left = list(book)
        for u, unit in enumerate(dut.unit):
            m.d.comb += [
                Assume(unit.semaphore < CHIP.semaphores),
                Assume(unit.signal_semaphore < CHIP.semaphores),
                Assert(unit.there == (~unit.wait | (Array(left)[unit.semaphore] >= unit.tokens))),
            ]
            takes = Signal(name=f"unit{u}_takes")
            m.d.comb += takes.eq(unit.wait & unit.want & unit.there)
            left = [
                n - Mux(takes & (unit.semaphore == i), unit.tokens, 0) for i, n in enumerate(left)
            ]
        over = Signal()  # a program error: then the overflow bit must say so, for good
        for i, before in enumerate(left):
            signalled = sum(
                Mux(u.signal & (u.signal_semaphore == i), u.signal_tokens, 0) for u in dut.unit
            )
            after = before + signalled
            m.d.sync += book[i].eq(after)
            with m.If(after > CHIP.semaphore_max):
                m.d.sync += over.eq(1)
            m.d.comb += [
                Assert(book[i] >= 0),
                Assert(registers[f"count{i}"] == book[i]),
                Assert(over | (dut.counts[i] == book[i])),
                Assume(over | (book[i] <= CHIP.semaphore_max)),
            ]
        m.d.comb += [Assert(dut.overflow == over), Assume(~over)]
        return m


@pytest.mark.parametrize("units", [2, pytest.param(4, marks=pytest.mark.full)])
def test_semaphores_lose_no_token(units: int) -> None:
    verdict = prove(Ledger(semaphores, units), 1, induction=True)
    assert verdict.holds, verdict.answer


MUTATIONS = {
    "a unit does not see what those before it take": (
        "takes.append(take)", "takes.append(Signal())",
    ),
    "tokens taken without want": (
        "take.eq(unit.wait & unit.want & unit.there)", "take.eq(unit.wait & unit.there)",
    ),
    "one token too few suffices": ("held >= tokens", "held + 1 >= tokens"),
    "a full semaphore counts as overflow": (
        "count > self.chip.semaphore_max", "count >= self.chip.semaphore_max",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", first_of(MUTATIONS))
def test_a_planted_fault_is_found(name: str) -> None:
    verdict = prove(Ledger(mutated(semaphores, *MUTATIONS[name]), 2), 1, induction=True)
    assert not verdict.holds
