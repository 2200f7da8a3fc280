"""Our family of chips: from a `Design` to the numbers that its product file states.

In: a design of `family.toml`. Out: the text of `catalogue/ID.toml`, every figure derived. Nobody
edits those files: `python -m bench.family --write` makes them, a test makes them again.
"""

from jiriki.cost.area import die_area
from jiriki.cost.calibration import load_calibration
from jiriki.cost.design import Design
from jiriki.cost.interfaces import load_memory
from jiriki.cost.power import design_power
from jiriki.products.figure import Figure
from jiriki.products.range import Range

# Whole-chip transistor density over the node's, of Hanguang 800, V100, A100 and H100: 0.71 to 0.77.
USED_DENSITY = Range(0.65, 0.72, 0.80)
FIGURES = 4  # digits that a figure keeps


def derived_figures(plan: Design) -> dict[str, Figure]:
    """Return the figures of a product by name, and its peak as `peak.int8`."""
    date = load_calibration().date
    area = Range.of(die_area(plan).total) * plan.dies
    density = Range.of(plan.node.logic_density) * USED_DENSITY
    kind = load_memory(plan.dram_kind).bandwidth

    def exact(value: float, unit: str, why: str) -> Figure:
        return Range.exact(value).figure(unit, why, date)

    tiles = f"{plan.tiles} tiles {plan.tile}"
    return {
        "peak.int8": exact(plan.peak_int8, "op/s", f"{tiles} at {plan.clock_hz:g} Hz"),
        "sram": exact(plan.sram_bytes, "byte", f"scratchpads and accumulators of {tiles}"),
        "dram": exact(
            plan.dram_bytes, "byte", f"{plan.dram_channels} channels of {plan.dram_kind}"
        ),
        "dram_bandwidth": exact(
            plan.dram_bandwidth, "byte/s", f"{plan.dram_channels} channels of {kind.base:g} byte/s"
        ),
        "io_bandwidth": exact(
            plan.io_bandwidth, "byte/s",
            f"{plan.host_lanes} lanes of {plan.host_kind} and "
            f"{plan.dies * plan.serial_lanes_per_die} serial lanes",
        ),
        "clock": exact(plan.clock_hz, "Hz", "chosen, not measured"),
        "tdp": design_power(plan).total,
        "die_area": area.figure("mm2", f"area model, {plan.dies} dies", date, unverified=True),
        "transistors": (area * density).figure(
            "1", "area and the node's density as published chips use it", date, unverified=True
        ),
    }  # fmt: skip


def product_text(plan: Design) -> str:
    """Return the product file of a design."""
    figures = derived_figures(plan)
    plain = {
        "name": plan.name, "designer": "Jiriki", "designer_country": plan.made_in,
        "made_in": plan.made_in, "foundry": plan.foundry, "announced": load_calibration().date,
        "ours": True, "why": plan.why, "process": plan.process, "planar": plan.node.planar,
        "dram_kind": plan.dram_kind, "dies": plan.dies, "datacenter": True, "tile": plan.tile,
        "tiles": plan.tiles,
    }  # fmt: skip
    lines = ["# Made by `python -m bench.family --write` from family.toml; do not edit."]
    lines += [f"{key} = {_value(value)}" for key, value in plain.items()]
    lines += [f"{key} = {_entry(fig)}" for key, fig in figures.items() if "." not in key]
    lines += ["", "[peak]"]
    lines += [f"{key[5:]} = {_entry(fig)}" for key, fig in figures.items() if "." in key]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _entry(figure: Figure) -> str:
    numbers = (
        f"low = {_digits(figure.low)}, base = {_digits(figure.base)}, high = {_digits(figure.high)}"
        if figure.is_range
        else f"value = {_exactly(figure.base)}"
    )
    mark = ", unverified = true" if figure.unverified else ""
    return (
        f'{{ {numbers}, unit = "{figure.unit}", source = "{figure.source}", '
        f"date = {figure.date}{mark} }}"
    )


def _digits(value: float) -> str:
    return f"{float(f'{value:.{FIGURES}g}'):g}" if value < 1e4 else f"{float(f'{value:.3e}'):.4g}"


def _exactly(value: float) -> str:
    return f"{value:.0f}" if abs(value - round(value)) < 1e-6 * value else repr(value)
