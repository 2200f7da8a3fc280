"""The charts of a profile: where time goes, the run over time, the roofline, energy, chips.

In: Profiles. Out: charts and their legends. A colour is a resource: blue the matrix unit, green the
vector unit, amber DRAM, violet the scratchpad's banks, grey the sequencer. It is strong where the
resource works and pale where something waits for it.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jiriki.cost.energy import EnergyEstimate
from jiriki.report import svg
from jiriki.report.bounds import BANKS, COMPUTE, DRAM, SEQUENCER, VECTOR, unit_causes
from jiriki.report.charts import NARROW_PX, Dot, Line, Plane, Point, Row, Rows, Span, cut
from jiriki.report.html import Key
from jiriki.report.profile import LayerRow, Profile
from jiriki.report.quantities import count, data, percent
from jiriki.report.scratchpad import Content, ScratchpadUse
from jiriki.report.svg import CHARACTER_PX, Axis, linear_axis, log_axis
from jiriki.report.tables import energy_text

COLOUR_OF_BOUND = {
    COMPUTE: "compute", VECTOR: "vector", DRAM: "dram", BANKS: "banks", SEQUENCER: "wait",
    "": "wait",
}  # fmt: skip
_OWN = {"MX": COMPUTE, "VX": VECTOR, "LD": DRAM, "ST": DRAM}
# Causes that are no resource of their own: a unit's own inner waits are waits for itself.
_CAUSE = {
    "bank": BANKS, "instruction": SEQUENCER, "completion": SEQUENCER, "data": DRAM, "dram": DRAM,
    "semaphore": SEQUENCER,
}  # fmt: skip
RESOURCE_KEYS = (
    Key("matrix unit", "compute"), Key("vector unit", "vector"), Key("DRAM, LD and ST", "dram"),
    Key("scratchpad banks", "banks"), Key("sequencer, or nothing left to do", "wait"),
    Key("strong: it works; pale: waited for", "whisker", "faded"),
)  # fmt: skip
BOUND_KEYS = tuple(Key(f"{name} bound", colour) for name, colour in COLOUR_OF_BOUND.items() if name)
CONTENT = {
    Content.CONSTANT: ("weights and other constants", "constant", (160, 124, 91)),
    Content.LOADED: ("inputs and spilled tensors", "loaded", (75, 147, 179)),
    Content.COMPUTED: ("computed on the chip", "computed", (91, 154, 85)),
}
CONTENT_KEYS = tuple(Key(name, colour) for name, colour, _ in CONTENT.values())
CHIP_COLOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
NAMED_LAYERS = 24
COMPARED_LAYERS = 30
LEAST_NAME = 6  # characters of a layer's name that a box must have room for
_PART_COLOUR = {
    "dram": "dram", "scratchpad": "banks", "matrix": "compute", "accumulators": "compute",
    "vector": "vector",
}  # fmt: skip


def where_time_goes(profile: Profile) -> Rows:
    """Stack each unit's cycles: its work, then what it waited for."""
    by_unit = unit_causes(profile.events, profile.suppliers)
    rows = []
    for unit, counters in profile.units.items():
        known = dict(by_unit.get(unit) or ({"busy": counters.busy} | dict(counters.reasons)))
        rest = profile.cycles - sum(known.values())
        if rest > 0:
            known["nothing left to do"] = rest
        rows.append(Row(unit, tuple(_time_spans(unit, known, profile.cycles))))
    axis = Axis("share of the run, %", 0, 100)
    return Rows(f"Shares of the run by unit on {profile.chip.name}", tuple(rows), axis)


def _time_spans(unit: str, known: dict[str, int], cycles: int) -> Iterator[Span]:
    at = 0.0
    order = sorted(known, key=lambda cause: (cause != "busy", _resource(unit, cause), cause))
    for cause in order:
        share = 100 * known[cause] / cycles
        doing = "at work" if cause == "busy" else cause
        hint = f"{unit} {doing}: {known[cause]:,} cycles, {share:.1f} %"
        colour = COLOUR_OF_BOUND[_resource(unit, cause)]
        yield Span(at, at + share, colour, hint, faded=cause != "busy")
        at += share


def _resource(unit: str, cause: str) -> str:
    if cause.startswith("for "):
        return _OWN.get(cause.removeprefix("for "), SEQUENCER)
    if cause == "nothing left to do":
        return SEQUENCER
    return _CAUSE.get(cause) or _OWN.get(unit, SEQUENCER)


def roofline(profile: Profile) -> Plane:
    """Plot layers by MAC per DRAM byte and MAC per cycle, under the chip's two roofs."""
    chip = profile.chip
    rows = sorted((row for row in profile.layers if row.macs), key=lambda row: -row.cycles)
    ridge = chip.macs_per_cycle / chip.dram_bytes_per_cycle
    known = [_intensity(row) for row in rows if row.dram_bytes]
    x = log_axis("MAC per byte over the DRAM port", [ridge / 16, ridge * 16, *known], 2)
    rates = [row.macs / row.cycles for row in rows]
    y = log_axis("MAC per cycle", [*rates, chip.macs_per_cycle, x.low * chip.dram_bytes_per_cycle])
    roof = (
        (x.low, x.low * chip.dram_bytes_per_cycle), (ridge, chip.macs_per_cycle),
        (x.high, chip.macs_per_cycle),
    )  # fmt: skip
    points = tuple(
        Point(
            x=min(_intensity(row), x.high),
            y=rate,
            colour=COLOUR_OF_BOUND[row.bound],
            tip=layer_tip(row),
            name=row.name,
            size=6 + 46 * (row.cycles / profile.cycles) ** 0.5,
        )
        for row, rate in zip(rows, rates, strict=True)
    )
    label = f"Roofline of {chip.name}"
    return Plane(label, x, y, points, (Line(roof, "ink", width=2),), NAMED_LAYERS)


def _intensity(row: LayerRow) -> float:
    return row.macs / row.dram_bytes if row.dram_bytes else float("inf")


def layer_tip(row: LayerRow) -> str:
    """Say what a mark of a layer stands for."""
    bound = f", {row.bound} bound" if row.bound else ""
    return (
        f"{row.name} ({row.op}){bound}\n{row.cycles:,} cycles, {count(row.macs)} MAC, "
        f"{percent(row.utilisation)} used, {data(row.dram_bytes)} over DRAM"
    )


def energy(estimate: EnergyEstimate) -> Rows:
    """Plot what spends an inference's energy, each part with its range."""
    ranked = sorted(estimate.parts.items(), key=lambda item: -item[1].base)
    scale, unit = _joules(max(part.high for part in estimate.parts.values()))
    rows = tuple(
        Row(
            name,
            (Span(0, scale * part.base, _PART_COLOUR.get(name, "wait"),
                  f"{name}: {energy_text(part)}"),),
            whisker=(scale * part.low, scale * part.high),
        )
        for name, part in ranked
    )  # fmt: skip
    axis = linear_axis(
        f"energy of one inference, {unit}", [scale * part.high for _, part in ranked]
    )
    return Rows("Energy by part, with its range", rows, axis)


def _joules(most: float) -> tuple[float, str]:
    """Return the unit in which the largest value has one to three digits before the point."""
    return next(
        (
            (scale, unit)
            for scale, unit in ((1, "J"), (1e3, "mJ"), (1e6, "µJ"))
            if scale * most >= 1
        ),
        (1e9, "nJ"),
    )


def layers_by_chip(profiles: Sequence[Profile]) -> Rows:
    """Plot the cycles of the longest layers, a point a chip."""
    cycles: dict[str, list[tuple[int, LayerRow]]] = {}
    for place, profile in enumerate(profiles):
        for row in profile.layers:
            cycles.setdefault(row.name, []).append((place, row))
    longest = sorted(cycles, key=lambda name: -max(row.cycles for _, row in cycles[name]))
    rows = tuple(
        Row(
            name,
            dots=tuple(
                Dot(row.cycles, CHIP_COLOURS[place % len(CHIP_COLOURS)],
                    f"{profiles[place].chip.name}: {layer_tip(row)}")
                for place, row in cycles[name]
            ),
        )
        for name in longest[:COMPARED_LAYERS]
    )  # fmt: skip
    axis = log_axis("cycles", [row.cycles for profile in profiles for row in profile.layers])
    return Rows("Cycles of the longest layers by chip", rows, axis)


def chip_keys(profiles: Sequence[Profile]) -> tuple[Key, ...]:
    """Return the colours of chips side by side."""
    return tuple(
        Key(profile.chip.name, CHIP_COLOURS[place % len(CHIP_COLOURS)], "dot")
        for place, profile in enumerate(profiles)
    )


@dataclass(frozen=True, slots=True)
class OverTime:
    """The run from left to right: layers, each unit's work, what the scratchpad holds."""

    profile: Profile

    LAYER_PX = 18
    UNIT_PX = 34
    HELD_PX = 74
    MAP_PX = 150
    GAP_PX = 10

    def draw(self, width: int) -> str:
        use, narrow = self.profile.scratchpad, width < NARROW_PX
        left, right = (50 if narrow else 92), width - 12
        content = list(self._layers(left, right, 4))
        y = 4 + 2 * self.LAYER_PX + self.GAP_PX
        for unit in self.profile.units:
            content += self._unit(unit, left, right, y, 200 if narrow else 460)
            y += self.UNIT_PX + self.GAP_PX
        if use is not None:
            y += self.GAP_PX
            content += _held(use, left, right, y, self.HELD_PX, narrow)
            y += self.HELD_PX + 2 * self.GAP_PX
            content += _map(use, left, right, y, self.MAP_PX)
            y += self.MAP_PX
        content += _cycles(self.profile.cycles, left, right, y)
        label = (
            f"Layers, units{' and scratchpad' if use else ''} of {self.profile.chip.name} over time"
        )
        return svg.drawing(width, y + 46, label, content)

    def _layers(self, left: float, right: float, y: float) -> Iterator[str]:
        yield svg.text(left - 8, y + self.LAYER_PX + 3, "layers", anchor="end", style="muted")
        scale = (right - left) / self.profile.cycles
        for place, row in enumerate(sorted(self.profile.layers, key=lambda row: row.start)):
            top = y + (place % 2) * self.LAYER_PX
            x, wide = left + row.start * scale, row.cycles * scale - 0.5
            hint = layer_tip(row)
            yield svg.box(x, top, wide, self.LAYER_PX - 2, COLOUR_OF_BOUND[row.bound], hint)
            room = int((wide - 8) / CHARACTER_PX)
            if room >= LEAST_NAME:
                name = cut(row.name, room)
                yield svg.text(x + 4, top + self.LAYER_PX - 6, name, style="on", hint=hint)

    def _unit(self, unit: str, left: float, right: float, y: float, bins: int) -> Iterator[str]:
        busy = busy_shares(self.profile, unit, bins)
        bottom = y + self.UNIT_PX
        share = percent(self.profile.units[unit].busy / self.profile.cycles)
        hint = f"{unit} at work {share}"
        yield svg.text(left - 8, bottom - 4, unit, anchor="end", style="strong", hint=hint)
        yield svg.line(left, bottom, right, bottom, "line")
        xs = np.linspace(left, right, bins + 1)
        outline = [(left, bottom), *_steps(xs, bottom - busy * self.UNIT_PX), (right, bottom)]
        yield svg.path(outline, "", COLOUR_OF_BOUND[_OWN.get(unit, SEQUENCER)])


def _cycles(cycles: int, left: float, right: float, y: float) -> Iterator[str]:
    """Yield the axis of time."""
    axis = Axis("cycles", 0, cycles)
    yield svg.line(left, y, right, y, "line")
    for tick in axis.ticks(right - left):
        x = left + axis.share(tick) * (right - left)
        yield svg.line(x, y, x, y + 5, "line")
        yield svg.text(x, y + 19, svg.short(tick), anchor="middle", style="muted")
    yield svg.text(right, y + 38, "cycles", anchor="end", style="muted")


def busy_shares(profile: Profile, unit: str, bins: int) -> NDArray[np.float64]:
    """Return the share of each bin that a unit works [bins].

    An instruction works between its start and its end, or the next one's start if that is sooner;
    how its cycles of work lie there is not known, and taken as even.
    """
    edges = np.linspace(0, profile.cycles, bins + 1)
    own = [event for event in profile.events if event.unit == unit]
    if not own:
        return np.zeros(bins)
    nexts = [event.start for event in own[1:]] + [profile.cycles]
    times, worked, total = [0.0], [0.0], 0.0
    for event, after in zip(own, nexts, strict=True):
        busy = event.spent.get("busy", 0)
        end = min(after, max(event.end + 1, event.start + busy))
        times += [event.start, max(end, event.start)]
        worked += [total, total + busy]
        total += busy
    done = np.interp(edges, times, worked)
    return np.clip(np.diff(done) / np.diff(edges), 0.0, 1.0)


def _held(
    use: ScratchpadUse, left: float, right: float, y: float, height: float, narrow: bool
) -> Iterator[str]:
    """Yield the bytes held over time, stacked by what they are, under the capacity or the peak."""
    bottom = y + height
    is_full_scale = 2 * use.peak_bytes > use.capacity_bytes
    top = use.capacity_bytes if is_full_scale else max(1, use.peak_bytes)
    yield svg.text(left - 8, y + 5, data(top), anchor="end", style="muted")
    yield svg.text(left - 8, bottom, "held", anchor="end", style="muted")
    yield svg.line(left, y, right, y, "whisker" if is_full_scale else "grid", 1, "4 3")
    every = use.occupied_bytes.shape[1] // (240 if narrow else 480)
    samples = use.occupied_bytes[:, ::every]
    below = np.zeros(samples.shape[1])
    xs = np.linspace(left, right, samples.shape[1] + 1)
    for content, (name, colour, _) in CONTENT.items():
        above = below + samples[content]
        tops = _steps(xs, bottom - above / top * height)
        floors = _steps(xs, bottom - below / top * height)
        yield svg.path([*tops, *reversed(floors)], "", colour, hint=name)
        below = above
    yield svg.line(left, bottom, right, bottom, "line")


def _steps(xs: NDArray[np.float64], ys: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Return the corners of a line that holds each value until the next; equal ones are joined."""
    corners: list[tuple[float, float]] = []
    for place, y in enumerate(ys.tolist()):
        if corners and corners[-1][1] == y:
            corners[-1] = (float(xs[place + 1]), y)
        else:
            corners += [(float(xs[place]), y), (float(xs[place + 1]), y)]
    return corners


def _map(use: ScratchpadUse, left: float, right: float, y: float, height: float) -> Iterator[str]:
    """Yield the map: address upwards, a cell coloured by what holds most of it."""
    yield svg.text(left - 8, y + 10, data(use.capacity_bytes), anchor="end", style="muted")
    yield svg.text(left - 8, y + height / 2 + 4, "address", anchor="end", style="muted")
    yield svg.text(left - 8, y + height - 2, "0", anchor="end", style="muted")
    yield svg.box(left, y, right - left, height, "ground")
    attributes = {
        "x": left, "y": y, "width": right - left, "height": height, "preserveAspectRatio": "none",
        "href": f"data:image/png;base64,{base64.b64encode(map_png(use)).decode()}",
    }  # fmt: skip
    yield svg.element("image", attributes)


def map_png(use: ScratchpadUse) -> bytes:
    """Return the map as a picture: the fuller a cell, the stronger its colour."""
    shares = use.cells  # [Content, rows, columns]
    most, whole = shares.argmax(axis=0), shares.sum(axis=0)
    colours = np.array([rgb for _, _, rgb in CONTENT.values()], np.uint8)
    picture = np.zeros((*most.shape, 4), np.uint8)
    picture[..., :3] = colours[most]
    picture[..., 3] = np.where(whole > 0, 70 + np.round(whole.clip(0, 1) * 4) / 4 * 185, 0)
    out = BytesIO()
    Image.fromarray(picture[::-1]).quantize(32).save(out, "PNG", optimize=True)
    return out.getvalue()
