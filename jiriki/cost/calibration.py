"""`Calibration`: the factors that join synthesis and published dies to the area and energy models.

In: `calibration.toml`, or a TOML of the user's that replaces some of its entries, such as with the
gate counts of a real synthesis. Out: figures by name, and what they were calibrated on, which every
estimate carries along.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.range import Range
from jiriki.products.table import Table, load_table, parse_table

_UNITS = {"reference_macro": "byte"}
_SHARES = ("logic_fill", "sram_fill", "die_fill", "idle_share")
_SECTIONS = {
    "gates": (
        "processing_element", "fp32_multiply_add_per_element", "half_multiply_add_per_element",
    ),
    "cells": ("per_gate", "adder_bit", "flop_bit", "latch_bit", "mux_bit"),
    "machine": (
        "vx_stage_per_fma", "function_per_fma", "table_copies_per_lane",
        "unlisted_logic", "router", "dma_channel", "decoder", "macro_periphery_bits",
        "reference_macro",
    ),
    "fit": (
        "logic_fill", "sram_fill", "core_transistors", "die_fill", "activity", "core_additions",
        "idle_share",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Calibration:
    """Factors by name, and what they rest on."""

    figures: Mapping[str, Figure]
    units: Mapping[str, Figure]  # transistors of whole units, from synthesis; they win over models
    calibrated_on: tuple[str, ...]
    date: str

    def __getitem__(self, name: str) -> Range:
        return Range.of(self.figures[name])

    def value(self, name: str) -> float:
        """Return the base of a factor that has no range."""
        return self.figures[name].base


def load_calibration(path: Path | None = None) -> Calibration:
    """Read a user's calibration; what it leaves out, or all without a path, is as in the package.

    `[units.NAME]` gives the transistors of a unit of the tile (`mx`, `vx`, ...) as synthesised.
    Raises FactError.
    """
    if path is None:
        return _packaged()
    own = load_table(path, f"calibration {path}")
    calibration = _calibration(own.over(_package_table()))
    return replace(
        calibration, calibrated_on=(*calibration.calibrated_on, f"{', '.join(own.table)} of {path}")
    )


@cache
def _packaged() -> Calibration:
    return _calibration(_package_table())


def _package_table() -> Table:
    return load_table(resources.files("jiriki.cost") / "calibration.toml", "calibration.toml")


def parse_calibration(where: str, content: str | bytes) -> Calibration:
    """Read a calibration, named `where` in messages. Raises FactError."""
    return _calibration(parse_table(content, where))


def _calibration(table: Table) -> Calibration:
    figures: dict[str, Figure] = {}
    for section, names in _SECTIONS.items():
        part = table.inner(section)
        figures |= part.figures({name: _UNITS.get(name, "1") for name in names})
        part.close()
    for name in _SHARES:
        if figures[name].high > 1:
            raise FactError(f"{table.where}: {name} = {figures[name].high:g} is a share; at most 1")
    units = table.inner("units")
    calibration = Calibration(
        figures=figures,
        units=units.figures(dict.fromkeys(units.table, "1")),
        calibrated_on=table.texts_or_none("calibrated_on"),
        date=table.required_day("date").isoformat(),
    )
    table.close()
    return calibration
