"""The counting semaphores: who may take tokens in a cycle, and what they hold in the next.

In: for each unit, in the order of priority, a wait and whether the unit would start; and the
signals of completing instructions. Out: for each unit whether its tokens are there. Tokens given
in a cycle are there in the next.
"""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from jiriki.chip import ChipConfig
from jiriki.isa.encoding import HEADER

_SEM_BITS = HEADER["wait_sem"][1]
_WAIT_BITS = HEADER["wait_count"][1]
_SIG_BITS = HEADER["sig_count"][1]
_GUARD_BITS = 4  # room for the signals of all units in one cycle, to see an overflow


class Semaphores(wiring.Component):
    """`units` requesters; unit 0 is asked first. Combinational permission, registered counts."""

    def __init__(self, chip: ChipConfig, units: int) -> None:
        self.chip, self.units = chip, units
        self.count_bits = chip.semaphore_max.bit_length()
        unit = wiring.Signature({
            "wait": Out(1),  # the head waits for tokens
            "semaphore": Out(_SEM_BITS),
            "tokens": Out(_WAIT_BITS),
            "want": Out(1),  # it starts in this cycle if they are there
            "there": In(1),  # they are (also 1 without wait)
            "signal": Out(1),
            "signal_semaphore": Out(_SEM_BITS),
            "signal_tokens": Out(_SIG_BITS),
        })  # fmt: skip
        super().__init__({
            "unit": In(unit).array(units),
            "overflow": Out(1),  # a count passed semaphore_max; stays
            "counts": Out(self.count_bits).array(chip.semaphores),
        })  # fmt: skip

    def elaborate(self, platform: object) -> Module:
        """Build it."""
        m = Module()
        n, bits = self.chip.semaphores, self.count_bits + _GUARD_BITS
        now = [Signal(signed(bits), name=f"count{i}") for i in range(n)]
        takes: list[Signal] = []
        for u in range(self.units):
            unit = self.unit[u]
            held, take = Signal(signed(bits), name=f"held{u}"), Signal(name=f"takes{u}")
            before = [
                (take & (other.semaphore == unit.semaphore), other.tokens)
                for take, other in zip(takes, self.unit, strict=False)
            ]
            m.d.comb += [
                held.eq(Array(now)[unit.semaphore]),
                unit.there.eq(~unit.wait | _enough(held, unit.tokens, before)),
                take.eq(unit.wait & unit.want & unit.there),
            ]
            takes.append(take)
        for i in range(n):
            signalled = sum(
                Mux(u.signal & (u.signal_semaphore == i), u.signal_tokens, 0) for u in self.unit
            )
            taken = sum(
                Mux(take & (u.semaphore == i), u.tokens, 0)
                for take, u in zip(takes, self.unit, strict=True)
            )
            later = Signal(signed(bits), name=f"later{i}")
            m.d.comb += [later.eq(now[i] + signalled - taken), self.counts[i].eq(now[i])]
            m.d.sync += now[i].eq(later)
        passed = Signal()  # a count passed it in an earlier cycle
        over = Cat(count > self.chip.semaphore_max for count in now)
        m.d.comb += self.overflow.eq(passed | over.any())
        m.d.sync += passed.eq(self.overflow)
        return m


def _enough(held: Value, tokens: Value, before: list[tuple[Value, Value]]) -> Value:
    """Say whether `tokens` are held after those before took theirs.

    Every combination of takers has its own comparison, so that who takes is one bit of delay.
    """
    if not before:
        return held >= tokens
    takes, taken = before[-1]
    return Mux(
        takes, _enough(held - taken, tokens, before[:-1]), _enough(held, tokens, before[:-1])
    )
