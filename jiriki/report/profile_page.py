"""The page of a profile: `jiriki profile`.

In: Profiles of one model, one a chip; the page's origin; the names of the timelines beside it.
Out: the page's text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape

from jiriki.report import profile_charts as charts
from jiriki.report.html import Section, bar, cards, document, figure, section, table, tag
from jiriki.report.origin import Origin
from jiriki.report.profile import LayerRow, Profile
from jiriki.report.profile_charts import (
    BOUND_KEYS,
    COLOUR_OF_BOUND,
    COMPARED_LAYERS,
    CONTENT_KEYS,
    RESOURCE_KEYS,
    chip_keys,
)
from jiriki.report.quantities import count, data, joules, percent, rate, seconds
from jiriki.report.tables import (
    Sheet,
    energy_sheet,
    energy_text,
    summary_sheet,
    units_sheet,
)

SHOWN_WAITS = 3
TIMELINE_SITE = "ui.perfetto.dev"


def profile_page(
    profiles: Sequence[Profile],
    origin: Origin,
    timelines: Mapping[str, str] | None = None,
) -> str:
    """Return the page. `timelines`: chip -> name of its timeline, which lies beside the page."""
    chips = ", ".join(profile.chip.name for profile in profiles)
    origin = origin.with_facts(*((f"program for {p.chip.name}", p.program_hash) for p in profiles))
    parts: list[str | Section] = [_side_by_side(profiles)]
    if len(profiles) == 1:
        parts = [cards(_cards(profiles[0]))]
    for profile in profiles:
        parts += _sections(profile, (timelines or {}).get(profile.chip.name, ""), len(profiles) > 1)
    return document(f"{profiles[0].model} on {chips}", _lead(profiles), parts, origin)


def _lead(profiles: Sequence[Profile]) -> str:
    fastest = min(profiles, key=lambda profile: profile.latency_s)
    least = "at least " if len(profiles) > 1 else ""
    return (
        f"One inference takes {least}{seconds(fastest.latency_s)}: {fastest.cycles:,} cycles on "
        f"{fastest.chip.name} at the clock that it states, {rate(fastest.chip.clock_hz)}. "
        "Counted by the timing simulator, cycle by cycle."
    )


def _cards(profile: Profile) -> list[tuple[str, str, str]]:
    entries = [
        ("latency", seconds(profile.latency_s), f"{profile.cycles:,} cycles"),
        ("utilisation", percent(profile.utilisation),
         f"of {profile.chip.macs_per_cycle} MAC a cycle"),
        ("DRAM traffic", data(profile.dram_bytes), f"{percent(profile.dram_share)} of the port"),
    ]  # fmt: skip
    leading = _leading_bound(profile)
    if leading:
        entries.append(("held up by", leading[0], f"{percent(leading[1])} of the layers' cycles"))
    if profile.scratchpad:
        use = profile.scratchpad
        share = percent(use.peak_bytes / use.capacity_bytes)
        entries.append(("scratchpad", data(use.peak_bytes), f"at most held, {share}"))
    if profile.energy:
        total = profile.energy.total
        entries.append(
            ("energy", joules(total.base), f"{joules(total.low)} to {joules(total.high)}, estimate")
        )
    return entries


def _leading_bound(profile: Profile) -> tuple[str, float] | None:
    cycles: dict[str, int] = {}
    for row in profile.layers:
        cycles[row.bound] = cycles.get(row.bound, 0) + row.cycles
    if not cycles.keys() - {""}:
        return None
    bound = max(cycles, key=lambda name: cycles[name])
    return bound, cycles[bound] / sum(cycles.values())


def _summary(profiles: Sequence[Profile]) -> Sheet:
    return replace(summary_sheet(profiles), title="one inference on each chip")


def _side_by_side(profiles: Sequence[Profile]) -> Section:
    fastest = min(profiles, key=lambda profile: profile.latency_s)
    shown = min(COMPARED_LAYERS, len({row.name for p in profiles for row in p.layers}))
    caption = (
        f"Cycles of the {shown} longest layers, a point a chip, logarithmic: left is "
        f"faster. Over the whole model {fastest.chip.name} has the least latency, "
        f"{seconds(fastest.latency_s)}."
    )
    chart = charts.layers_by_chip(profiles)
    return section(
        "Chips side by side",
        table(_summary(profiles), "Each column is a chip; cycles are counted, energy is "
              "estimated."),
        figure("Cycles of the longest layers", chart, caption, chip_keys(profiles)),
    )  # fmt: skip


def _sections(profile: Profile, timeline: str, is_one_of_several: bool) -> list[Section]:
    on = f" on {profile.chip.name}" if is_one_of_several else ""
    parts = [section(f"Where time goes{on}", *_time(profile, timeline, is_one_of_several))]
    if any(row.macs for row in profile.layers):
        parts.append(section(f"Roofline{on}", _roofline(profile)))
    parts.append(section(f"Layers{on}", _layers(profile)))
    if profile.energy:
        parts.append(section(f"Energy{on}", *_energy(profile)))
    return parts


def _time(profile: Profile, timeline: str, with_cards: bool) -> list[str]:
    parts = [cards(_cards(profile))] if with_cards else []
    busiest = max(profile.units, key=lambda unit: profile.units[unit].busy)
    share = percent(profile.units[busiest].busy / profile.cycles)
    caption = (
        f"Each row is a unit's whole run. {busiest} works most, {share} of it; long pale parts of "
        "another unit are time that a better overlap could use, pale parts of the busiest unit are "
        "what the run would gain."
    )
    parts.append(figure("Units", charts.where_time_goes(profile), caption, RESOURCE_KEYS))
    if profile.events:
        parts.append(figure("Over time", charts.OverTime(profile), _over_time(profile),
                            (*BOUND_KEYS, *CONTENT_KEYS)))  # fmt: skip
    if timeline:
        link = f'<a href="{escape(timeline, quote=True)}" download>{escape(timeline)}</a>'
        parts.append(
            f'<p class="note">Every instruction, its waits and its tokens: {link}; open it at '
            f"{TIMELINE_SITE}.</p>"
        )
    parts.append(table(units_sheet(profile), "Busy, starved and blocked add up to the run."))
    return parts


def _over_time(profile: Profile) -> str:
    text = (
        "From left to right: the layers, each the span of its matrix and vector work, coloured by "
        "what bounds it, alternately on two lines; the share of time that LD, ST, MX and VX work. "
        "MX has its gaps where it waits for what the other lines show at work."
    )
    use = profile.scratchpad
    if use is None:
        return text
    return text + (
        f" Below: the bytes that the scratchpad holds, and where in its {data(use.capacity_bytes)} "
        f"they lie. At most {percent(use.peak_bytes / use.capacity_bytes)} is held: what stays "
        "empty throughout could hold the next layers' weights. Blocks are "
        f"{use.block_bytes} bytes; a value is held from the start of its write to its last read."
    )


def _roofline(profile: Profile) -> str:
    longest = profile.slowest(1)[0]
    caption = (
        "A point is a layer; its area is its share of the run, its colour what bounds it. Under "
        "the slope DRAM is the limit, under the flat roof the matrix unit; the further below, the "
        f"more there is to gain. The longest, {longest.name}, uses "
        f"{percent(longest.utilisation)} of the matrix unit. Neighbouring layers overlap, and "
        "weights may be loaded before a layer's span begins, so a point can lie above the slope."
    )
    if not all(row.dram_bytes for row in profile.layers if row.macs):
        caption += " Layers at the right edge move nothing over DRAM."
    return figure(f"Roofline of {profile.chip.name}", charts.roofline(profile), caption, BOUND_KEYS)


def _layers(profile: Profile) -> str:
    rows = profile.layers
    longest = max((row.cycles for row in rows), default=1)
    decor = {
        2: [(tag(COLOUR_OF_BOUND[row.bound]) if row.bound else "", "") for row in rows],
        4: [("", bar(row.cycles / longest, COLOUR_OF_BOUND[row.bound])) for row in rows],
    }
    remark = (
        "Press a head to sort. Cycles are spans and neighbours overlap, so they add up to more "
        "than the run. Bound: what most of the layer's cycles went to, at work or waiting for it. "
        "Waits: cycles of MX and VX that were no work of their own, the longest first."
    )
    return table(layer_sheet(profile), remark, decor)


def layer_sheet(profile: Profile) -> Sheet:
    """List all layers with their bounds and waits."""
    heads = (
        "layer", "op", "bound", ">MAC", ">cycles", ">of run", ">utilisation", ">DRAM", "waits",
    )  # fmt: skip
    spent = profile.energy.layers if profile.energy else {}
    rows = tuple(
        (
            row.name, row.op, row.bound, count(row.macs), f"{row.cycles:,}",
            percent(row.cycles / profile.cycles), percent(row.utilisation), data(row.dram_bytes),
            *((joules(spent[row.name].base) if row.name in spent else "",) if spent else ()),
            _waits(row),
        )
        for row in profile.layers
    )  # fmt: skip
    if spent:
        heads = (*heads[:-1], ">energy", heads[-1])
    return Sheet(f"{len(rows)} layers in the order of the program", heads, rows)


def _waits(row: LayerRow) -> str:
    shown = list(row.waits.items())[:SHOWN_WAITS]
    return ", ".join(f"{name} {cycles:,}" for name, cycles in shown)


def _energy(profile: Profile) -> list[str]:
    estimate = profile.energy
    assert estimate is not None, "asked only where there is one"
    part = max(estimate.parts, key=lambda name: estimate.parts[name].base)
    total, sources = energy_text(estimate.total), "; ".join(estimate.calibrated_on)
    caption = (
        f"An estimate at {estimate.process} with {estimate.dram_kind}: {total} in all, of which "
        f"{part} takes most. Whiskers are the ranges of the parts; calibrated on {sources}."
    )
    return [
        figure("Energy of one inference", charts.energy(estimate), caption),
        table(energy_sheet(estimate)),
    ]
