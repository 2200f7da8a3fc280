"""Two profiles compared: cycles, DRAM traffic and energy, whole and by layer.

In: two objects of `jiriki profile --json`, from files or just profiled. Out: a `ProfileDiff`, whose
layers stand in the order of how much their cycles changed, and its tables and JSON.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jiriki.report.errors import ReportError
from jiriki.report.quantities import data, joules, percent, seconds
from jiriki.report.tables import Sheet

LARGEST_FILE_BYTES = 1 << 28
MANY_TIMES = 10  # from here on a growth is told in times, not in percent
NUMBERS = ("cycles", "dram_bytes")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer or a whole run takes; energy: the base of the estimate, None without one."""

    cycles: int
    dram_bytes: int
    energy_j: float | None


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer in both profiles; None where a profile does not have it."""

    name: str
    before: Cost | None
    after: Cost | None

    @property
    def cycles(self) -> int:
        """Return how many cycles more it takes after."""
        return (self.after.cycles if self.after else 0) - (self.before.cycles if self.before else 0)

    @property
    def is_change(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class ProfileDiff:
    """Two profiles: their names, the whole runs, and the layers, largest change first.

    latency_s: of both runs at the clock of their chips, None where a profile does not say it.
    """

    names: tuple[str, str]
    before: Cost
    after: Cost
    layers: tuple[LayerChange, ...]
    latency_s: tuple[float | None, float | None] = (None, None)

    @property
    def changed(self) -> tuple[LayerChange, ...]:
        """Return the layers that are not equal in both."""
        return tuple(change for change in self.layers if change.is_change)


def read_profile(path: Path) -> dict[str, Any]:
    """Read a file that `jiriki profile --json` printed for one chip. Raises ReportError."""
    remedy = "print one with `jiriki profile MODEL --chip CHIP --json`"
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise ReportError(f"profile {path} exceeds {LARGEST_FILE_BYTES:,} bytes; {remedy}")
        held = json.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise ReportError(f"profile {path}: {error.strerror}; {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise ReportError(f"profile {path} is no JSON ({error}); {remedy}") from None
    if isinstance(held, dict) and isinstance(held.get("profiles"), list):
        raise ReportError(f"profile {path} is of {len(held['profiles'])} chips; {remedy}")
    try:
        _read(held)
    except (KeyError, TypeError, AttributeError):
        raise ReportError(f"profile {path} lacks cycles or layers of a profile; {remedy}") from None
    return held


def diff_profiles(before: Mapping[str, Any], after: Mapping[str, Any]) -> ProfileDiff:
    """Compare two objects of `jiriki profile --json`; layers are matched by name."""
    (name_a, whole_a, layers_a), (name_b, whole_b, layers_b) = _read(before), _read(after)
    names = dict.fromkeys([*layers_a, *layers_b])
    changes = (LayerChange(name, layers_a.get(name), layers_b.get(name)) for name in names)
    ranked = sorted(changes, key=lambda change: (-abs(change.cycles), not change.is_change))
    latencies = _latency_s(before), _latency_s(after)
    return ProfileDiff((name_a, name_b), whole_a, whole_b, tuple(ranked), latencies)


def _read(held: Mapping[str, Any]) -> tuple[str, Cost, dict[str, Cost]]:
    layers = {layer["name"]: _cost(layer) for layer in held["layers"]}
    _latency_s(held)
    return f"{held['model']} on {held['chip']}", _cost(held), layers


def _latency_s(held: Mapping[str, Any]) -> float | None:
    latency_s = held.get("latency_s")
    return None if latency_s is None else latency_s + 0.0


def _cost(held: Mapping[str, Any]) -> Cost:
    for key in NUMBERS:
        if not isinstance(held[key], int) or held[key] < 0:
            raise TypeError(key)
    energy = held.get("energy_j")
    return Cost(
        held["cycles"], held["dram_bytes"], None if energy is None else energy["base"] + 0.0
    )


def diff_payload(diff: ProfileDiff) -> dict[str, Any]:
    """Return the object that `jiriki diff --json` prints."""
    return {
        "names": list(diff.names),
        "before": asdict(diff.before),
        "after": asdict(diff.after),
        "latency_s": list(diff.latency_s),
        "layers": [asdict(change) for change in diff.layers],
    }


def totals_sheet(diff: ProfileDiff) -> Sheet:
    """Put both whole runs beside each other."""
    a, b = diff.before, diff.after
    rows = [("cycles", f"{a.cycles:,}", f"{b.cycles:,}", change_text(a.cycles, b.cycles))]
    earlier, later = diff.latency_s
    if earlier is not None and later is not None:
        row = ("latency", seconds(earlier), seconds(later), change_text(earlier, later))
        rows.append(row)
    share = change_text(a.dram_bytes, b.dram_bytes)
    rows.append(("DRAM traffic", data(a.dram_bytes), data(b.dram_bytes), share))
    if a.energy_j is not None and b.energy_j is not None:
        share = change_text(a.energy_j, b.energy_j)
        rows.append(("energy, estimate", joules(a.energy_j), joules(b.energy_j), share))
    return Sheet(
        f"{diff.names[0]} -> {diff.names[1]}", ("", ">before", ">after", ">change"), tuple(rows)
    )


def changes_sheet(diff: ProfileDiff, most: int) -> Sheet:
    """List the layers that changed, the largest change of cycles first."""
    changed = diff.changed
    heads = ("layer", ">cycles before", ">after", ">change", ">share", ">DRAM", ">energy")
    equal = len(diff.layers) - len(changed)
    title = f"layers that changed: {len(changed)}; equal: {equal}"
    if len(changed) > most:
        title += f"; shown: the {most} largest changes"
    return Sheet(title, heads, tuple(_row(change) for change in changed[:most]))


def _row(change: LayerChange) -> tuple[str, ...]:
    a, b = change.before, change.after
    if a is None or b is None:
        here = a or b
        assert here is not None, "a layer is in one of the profiles"
        cycles = (f"{a.cycles:,}" if a else "-", f"{b.cycles:,}" if b else "-")
        sign = "+" if b else "-"
        joules_of = (0.0, here.energy_j) if b else (here.energy_j, 0.0)
        return (change.name, *cycles, f"{change.cycles:+,}", "new" if b else "gone",
                f"{sign}{data(here.dram_bytes)}", _signed_joules(*joules_of))  # fmt: skip
    traffic = b.dram_bytes - a.dram_bytes
    return (
        change.name, f"{a.cycles:,}", f"{b.cycles:,}", f"{change.cycles:+,}",
        change_text(a.cycles, b.cycles), ("+" if traffic > 0 else "") + _signed_data(traffic),
        _signed_joules(a.energy_j, b.energy_j),
    )  # fmt: skip


def _signed_data(value: int) -> str:
    return data(value) if value >= 0 else f"-{data(-value)}"


def _signed_joules(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    change = after - before
    return "0 J" if not change else ("+" if change > 0 else "-") + joules(abs(change))


def change_text(before: float, after: float) -> str:
    """Return a change as a share of what was before: `-25.0 %`, `12 times`, `equal`, `new`."""
    if before == after:
        return "equal"
    if before and after >= MANY_TIMES * before:
        return f"{after / before:,.0f} times"
    return f"{'+' if after > before else ''}{percent(after / before - 1)}" if before else "new"
