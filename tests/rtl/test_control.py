"""Sequencer, fetch, fronts and semaphores by themselves, against the naive stepper.

The units are dummies that only take one-cycle instructions, so programs hold control instructions,
descriptors, WAIT and SIG; memory answers fetches after the chip's latency.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from amaranth.hdl import Array, Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from jiriki.chip import ChipConfig, load_chip
from jiriki.isa.control import Addr, Fence, Halt, Loop, Nop, Setr, Sig, Wait
from jiriki.isa.encoding import encode
from jiriki.isa.fields import Instruction, Sync
from jiriki.isa.resolve import resolve
from jiriki.isa.sequence import unroll_instructions
from jiriki.rtl.control.front import Front
from jiriki.rtl.control.semaphores import Semaphores
from jiriki.rtl.control.sequencer import UNITS, Sequencer
from jiriki.sim.naive.tile import NaiveTile

NEAR = replace(load_chip("nano"), name="near", dram_latency_cycles=9, queue_depth=4)
NARROW = replace(NEAR, name="narrow", dram_bytes_per_cycle=8, dram_burst_bytes=32)
WIDE = replace(NEAR, name="wide", dram_bytes_per_cycle=32, dram_burst_bytes=128)


class Control(Elaboratable):
    """The control half of a tile, with a program in its memory."""

    def __init__(self, chip: ChipConfig, code: list[Instruction]) -> None:
        self.chip, self.code = chip, code
        self.start, self.running = Signal(), Signal()
        self.sent, self.started, self.completed = (Signal(5) for _ in range(3))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self.chip)
        m.submodules.semaphores = semaphores = Semaphores(self.chip, len(UNITS))
        fronts = [self._front(m, u, sequencer, semaphores) for u in range(len(UNITS))]
        m.d.comb += [
            sequencer.words.eq(len(self.code)),
            sequencer.start.eq(self.start),
            sequencer.all_idle.eq(Cat(front.idle for front in fronts).all()),
            self.running.eq(sequencer.running),
            self.sent.eq(Cat(sequencer.executes, *(s.valid & s.ready for s in sequencer.send))),
            self.started.eq(Cat(0, *(front.unit.go for front in fronts))),
            self.completed.eq(Cat(0, *(front.completes for front in fronts))),
        ]
        self._memory(m, sequencer)
        return m

    def _front(self, m: Module, u: int, sequencer: Sequencer, semaphores: Semaphores) -> Front:
        m.submodules[f"front{u}"] = front = Front(self.chip)
        connect(m, sequencer.send[u], front.send)
        tokens, unit, armed = semaphores.unit[u], front.unit, Signal(name=f"armed{u}")
        m.d.comb += [
            tokens.wait.eq(front.wait), tokens.semaphore.eq(front.wait_semaphore),
            tokens.tokens.eq(front.wait_tokens), tokens.want.eq(front.want),
            front.tokens.eq(tokens.there), tokens.signal.eq(front.signal),
            tokens.signal_semaphore.eq(front.signal_semaphore),
            tokens.signal_tokens.eq(front.signal_tokens),
            unit.want.eq(armed), unit.word.ready.eq(~armed | unit.go),
        ]  # fmt: skip
        with m.If(unit.word.ready):
            m.d.sync += armed.eq(unit.word.valid)
        return front

    def _memory(self, m: Module, sequencer: Sequencer) -> None:
        """Answer a fetch, one beat a cycle, after the latency."""
        beat, port = self.chip.dram_bytes_per_cycle, sequencer.port
        image = b"".join(encode(i).to_bytes(16, "little") for i in self.code) + bytes(256)
        beats = Array(
            int.from_bytes(image[i : i + beat], "little") for i in range(0, len(image) - beat, beat)
        )
        left, address = Signal(16), Signal(32)
        first = Signal(32)
        m.d.comb += [port.grant.eq(port.valid & (left == 0)), first.eq(port.address // beat)]
        count = (port.address + port.bytes - 1) // beat - first + 1
        with m.If(port.grant):
            m.d.sync += [left.eq(count - 1), address.eq(first + 1)]
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), address.eq(address + 1)]
        line = [(port.grant | (left != 0), Mux(port.grant, first, address))]
        for i in range(self.chip.dram_latency_cycles):
            valid, at = Signal(name=f"valid{i}"), Signal(32, name=f"beat{i}")
            m.d.sync += [valid.eq(line[-1][0]), at.eq(line[-1][1])]
            line.append((valid, at))
        m.d.comb += [port.beat_valid.eq(line[-1][0]), port.beat.eq(beats[line[-1][1]])]


def simulate(chip: ChipConfig, code: list[Instruction]) -> list[list[list[int]]]:
    """Return, for sent, started and completed, the cycles of each unit (control first)."""
    dut = Control(chip, code)
    lists = [[[] for _ in range(5)] for _ in range(3)]
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def bench(ctx):
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for t in range(20_000):
            if not ctx.get(dut.running):
                return
            for kind, signal in enumerate((dut.sent, dut.started, dut.completed)):
                bits = ctx.get(signal)
                for u in range(5):
                    if bits >> u & 1:
                        lists[kind][u].append(t)
            await ctx.tick()
        raise AssertionError("no HALT")

    sim.add_testbench(bench)
    sim.run()
    return lists


def naive(chip: ChipConfig, code: list[Instruction]) -> list[list[list[int]]]:
    tile = NaiveTile(resolve(unroll_instructions(code)), len(code), chip)
    tile.run()
    lists = [[[] for _ in range(5)] for _ in range(3)]
    for item in tile.items:
        unit = int(item.work.instruction.unit)
        lists[0][unit].append(item.issue)
        if unit:
            lists[1][unit].append(item.start)
            if item.tracked:
                lists[2][unit].append(item.end)
    return lists


def random_code(rng: Random, length: int) -> list[Instruction]:
    """Return a program that ends: waits take only what was given before in the text."""
    out: list[Instruction] = [Setr.new(reg=1, value=rng.randint(0, 3))]
    tokens = [0] * 4  # of the semaphore that each unit alone takes
    for _ in range(length):
        unit = rng.choice(UNITS)
        kind = rng.choice([Sig, Sig, Wait, Nop, Nop, Fence, Setr, Addr, Loop])
        if kind in (Sig, Wait):
            waits = rng.randint(0, min(5, tokens[unit - 1])) if rng.random() < 0.6 else 0
            tokens[unit - 1] -= waits
            signal, count = rng.randrange(4), rng.randint(0, 3)
            if tokens[signal] > 30:
                count = 0
            tokens[signal] += count
            out.append(
                kind.new(
                    unit,
                    wait=Sync(unit - 1, waits) if waits else None,
                    signal=Sync(signal, count) if count else None,
                )
            )
        elif kind is Setr:
            out.append(Setr.new(reg=rng.randint(2, 5), value=rng.randint(-9, 9)))
        elif kind is Addr:
            out.append(Addr.new(reg=rng.randint(2, 5), step=rng.randint(-9, 9)))
        elif kind is Loop:
            out += _loop(rng, depth=1)
        else:
            out.append(kind.new())
    return [*out, Halt.new()]


def _loop(rng: Random, depth: int) -> list[Instruction]:
    """Return a loop of instructions without tokens, up to four deep."""
    body: list[Instruction] = []
    for _ in range(rng.choice([1, 2, 5, 30])):
        if depth < 4 and rng.random() < 0.3:
            body += _loop(rng, depth + 1)
        else:
            body.append(rng.choice([Nop.new(), Wait.new(rng.choice(UNITS)), Fence.new()]))
    if len(body) > 90:
        body = [Nop.new()]
    from_reg = rng.random() < 0.3
    head = Loop.new(count=rng.randint(0, 3), body=len(body), from_reg=from_reg, reg=1)
    return [head, *body]


@pytest.mark.parametrize("chip", [NEAR, NARROW, WIDE], ids=lambda chip: chip.name)
@pytest.mark.parametrize("seed", range(4))
def test_control_keeps_the_cycles_of_the_rules(chip: ChipConfig, seed: int) -> None:
    code = random_code(Random(seed), 12)
    assert simulate(chip, code) == naive(chip, code)
