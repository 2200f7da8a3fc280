"""The sequencer: executes control instructions, sends the others to their queues.

In: instruction words from the fetch buffer. Out: one word a cycle, its address register added, to
the queue of its unit. Follows "Sequencer" of docs/reference/timing.md and `isa/sequence.py`.
"""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.isa.control import Addr, Fence, Halt, Loop, Parm, Setr
from jiriki.isa.encoding import field_bits
from jiriki.isa.fields import OPCODES, Instruction, Unit
from jiriki.rtl.control.fetch import FETCH_WORDS, INDEX_BITS, Fetch
from jiriki.rtl.interfaces import fetch_signature
from jiriki.rtl.layouts import WORD_BITS, header, is_kind, payload

UNITS = (Unit.LD, Unit.ST, Unit.MX, Unit.VX)  # in the order they are asked
PARAMETERS = 256
_COUNT_BITS = 32


class Sequencer(wiring.Component):
    """Program counter, loops and address registers; the instruction buffer is inside."""

    def __init__(self, chip: ChipConfig) -> None:
        self.chip = chip
        super().__init__({
            "port": Out(fetch_signature(chip)),
            "base": In(32),
            "words": In(INDEX_BITS + 1),
            "start": In(1),  # the next cycle is cycle 0 of a run
            "send": Out(stream.Signature(WORD_BITS)).array(len(UNITS)),
            "all_idle": In(1),  # every queue empty, every unit idle
            "running": Out(1),
            "halts": Out(1),  # HALT is executed in this cycle
            "parameter": Out(8),  # index asked for; its value comes in the same cycle
            "parameter_value": In(32),
            "at": Out(INDEX_BITS),
            "executes": Out(1),  # a control instruction, in this cycle
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        m.submodules.fetch = fetch = Fetch(self.chip)
        wiring.connect(m, fetch.port, wiring.flipped(self.port))
        at, word = Signal(INDEX_BITS), Signal(WORD_BITS)
        goes = Signal()  # the instruction at `at` is executed or sent in this cycle
        m.d.comb += [
            fetch.base.eq(self.base), fetch.words.eq(self.words), fetch.on.eq(self.running),
            fetch.start.eq(self.start), fetch.at.eq(at), fetch.halts.eq(self.halts),
            word.eq(fetch.word), self.at.eq(at),
        ]  # fmt: skip
        registers = Array(Signal(32, name=f"r{i}") for i in range(self.chip.address_registers))
        self._send(m, word, fetch.here, registers, goes)
        self._registers(m, word, registers, goes)
        after, keep = self._follow(m, word, at, registers, goes)
        m.d.comb += fetch.keep.eq(keep)
        with m.If(goes):
            m.d.sync += at.eq(after)
        with m.If(self.halts):
            m.d.sync += self.running.eq(0)
        with m.If(self.start):
            m.d.sync += [self.running.eq(1), at.eq(0), *(r.eq(0) for r in registers)]
        return m

    def _send(self, m: Module, word: Value, here: Value, registers: Array, goes: Signal) -> None:
        """Decide whether the instruction goes; send it with its register added."""
        head = header(word)
        added = Signal(WORD_BITS)
        m.d.comb += added.eq(word)
        base = registers[head.areg]
        for kind in _relocated_kinds():
            assert kind.RELOCATES, "only such kinds are listed"
            low, bits = field_bits(kind)[kind.RELOCATES]
            with m.If(is_kind(kind, word) & head.areg_en):
                m.d.comb += added[low : low + bits].eq(word[low : low + bits] + base)
        waits = (is_kind(Halt, word) | is_kind(Fence, word)) & ~self.all_idle
        with m.Switch(head.unit):
            with m.Case(Unit.CTL):
                m.d.comb += goes.eq(here & ~waits)
            for i, unit in enumerate(UNITS):
                with m.Case(unit):
                    m.d.comb += [self.send[i].valid.eq(here), goes.eq(here & self.send[i].ready)]
        for i in range(len(UNITS)):
            m.d.comb += self.send[i].payload.eq(added)
        m.d.comb += [
            self.halts.eq(goes & is_kind(Halt, word)),
            self.executes.eq(goes & (head.unit == Unit.CTL)),
        ]

    def _registers(self, m: Module, word: Value, registers: Array, goes: Value) -> None:
        """Execute SETR, ADDR and PARM."""
        setr, addr, parm = (payload(kind, word) for kind in (Setr, Addr, Parm))
        m.d.comb += self.parameter.eq(parm.index)
        with m.If(goes & is_kind(Setr, word)):
            m.d.sync += registers[setr.reg].eq(setr.value)
        with m.If(goes & is_kind(Addr, word)):
            m.d.sync += registers[addr.reg].eq(registers[addr.reg] + addr.step)
        with m.If(goes & is_kind(Parm, word)):
            m.d.sync += registers[parm.reg].eq(self.parameter_value)

    def _follow(
        self, m: Module, word: Value, at: Signal, registers: Array, goes: Signal
    ) -> tuple[Signal, Signal]:
        """Walk the loops; return the next index, and the oldest word needed from then on."""
        depth, per = self.chip.loop_depth, self.chip.dram_burst_bytes // 16
        loop, is_loop = payload(Loop, word), is_kind(Loop, word)
        used = Signal(range(depth + 1))
        first = [Signal(INDEX_BITS, name=f"first{i}") for i in range(depth)]
        end = [Signal(INDEX_BITS, name=f"end{i}") for i in range(depth)]
        left = [Signal(_COUNT_BITS, name=f"left{i}") for i in range(depth)]
        held = [Signal(name=f"held{i}") for i in range(depth)]
        count, body_end = Signal(_COUNT_BITS), Signal(INDEX_BITS)
        enters, skips, place = Signal(), Signal(), Signal(INDEX_BITS)
        m.d.comb += [
            count.eq(Mux(loop.from_reg, registers[loop.reg], loop.count)),
            body_end.eq(at + 1 + loop.body),
            enters.eq(is_loop & (count != 0)),
            skips.eq(is_loop & (count == 0)),
            place.eq(Mux(skips, body_end, at + 1)),
        ]
        # From the innermost loop outwards: at its end, go round again or leave it. As long as none
        # goes round again, the target is still `place`, so all ends are compared at once.
        now, target, settled = used, place, enters
        for i in reversed(range(depth)):
            ends, reached = Signal(name=f"ends{i}"), Signal(name=f"reached{i}")
            m.d.comb += reached.eq(Mux(skips, body_end == end[i], (at + 1)[:INDEX_BITS] == end[i]))
            m.d.comb += ends.eq(~settled & (now == i + 1) & reached)
            again = ends & (left[i] != 1)
            with m.If(goes & again):
                m.d.sync += left[i].eq(left[i] - 1)
            next_now, next_target = Signal.like(used, name=f"used{i}"), Signal(INDEX_BITS)
            m.d.comb += [
                next_now.eq(Mux(ends & ~again, i, now)),
                next_target.eq(Mux(again, first[i], target)),
            ]
            settled = settled | again
            now, target = next_now, next_target
        new_used = Signal.like(used)
        m.d.comb += new_used.eq(Mux(goes, now + enters, used))
        block_end = ((body_end + (per - 1)) >> (per.bit_length() - 1)) << (per.bit_length() - 1)
        is_held = (block_end - (at + 1)) <= FETCH_WORDS
        for i in range(depth):
            with m.If(goes & enters & (used == i)):
                m.d.sync += [
                    first[i].eq(at + 1), end[i].eq(body_end), left[i].eq(count), held[i].eq(is_held)
                ]  # fmt: skip
        m.d.sync += used.eq(Mux(self.start, 0, new_used))
        # The outermost loop that is held from the next cycle on, else the next index itself.
        keep: Value = Mux(goes, target, at)
        for i in reversed(range(depth)):
            fresh = goes & enters & (used == i)
            holds = Mux(fresh, is_held, held[i]) & (new_used > i)
            keep = Mux(holds, Mux(fresh, at + 1, first[i]), keep)
        oldest = Signal(INDEX_BITS, name="kept")
        m.d.comb += oldest.eq(keep)
        return target, oldest


def _relocated_kinds() -> list[type[Instruction]]:
    """Return what an address register can be added to, in the order of the gates' text.

    MX comes last; the order of import, which OPCODES follows, plays no part.
    """
    kinds = [kind for kind in OPCODES.values() if kind.RELOCATES]
    return sorted(kinds, key=lambda kind: (kind.UNITS[0] is Unit.MX, kind.OPCODE))
