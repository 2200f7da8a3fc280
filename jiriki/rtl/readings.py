"""What the counts of the mailbox say of a run, whoever reads them: a simulation or a board's link.

In: a way to read a 64-bit count by its address. Out: port beats, and each unit's cycles.
"""

from collections.abc import Callable

from jiriki.program import UnitCounters
from jiriki.rtl import mailbox
from jiriki.rtl.counters import REASONS
from jiriki.rtl.sequencer import UNITS

Count = Callable[[int], int]
STARVED = ("instruction", "semaphore", "data")


def port_beats(count: Count) -> dict[str, int]:
    """Return the beats that each user of the DRAM port moved: LD, ST and fetch."""
    return {name: count(address) for name, address in mailbox.BEATS.items()}


def unit_counters(count: Count) -> dict[str, UnitCounters]:
    """Return each unit's cycles by what it did."""
    return {
        unit.name: _counters(count, mailbox.COUNTERS + mailbox.UNIT_STRIDE * u)
        for u, unit in enumerate(UNITS)
    }


def _counters(count: Count, base: int) -> UnitCounters:
    counts = {name: count(base + 8 * r) for r, name in enumerate(REASONS)}
    busy = counts.pop("busy")
    starved = sum(counts[name] for name in STARVED)
    blocked = sum(counts.values()) - starved
    return UnitCounters(busy, starved, blocked, {name: n for name, n in counts.items() if n})
