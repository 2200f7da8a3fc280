"""`Calibration`: the factors that join synthesis and published dies to the area and energy models.

In: `calibration.toml`, or a table of the same form with the gate counts of a real synthesis. Out:
figures by name, and what they were calibrated on, which every estimate carries along.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_date, read_figure
from jiriki.products.range import Range

_UNITS = {"reference_macro": "byte"}
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


@cache
def calibration() -> Calibration:
    """Return the calibration that comes with the package."""
    file = resources.files("jiriki.cost") / "calibration.toml"
    return parse_calibration("calibration.toml", file.read_text("utf-8"))


def load_calibration(path: Path) -> Calibration:
    """Read a calibration of the user's own. Raises CostError."""
    try:
        return parse_calibration(str(path), path.read_text("utf-8"))
    except OSError as error:
        raise CostError(f"calibration {path}: {error.strerror}; name a readable file") from None


def parse_calibration(where: str, text: str) -> Calibration:
    """Check a calibration.

    `[units.NAME]` gives the transistors of a unit of the tile (`mx`, `vx`, ...) as synthesised.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CostError(f"{where}: not valid TOML ({error}); mend the file") from None
    figures: dict[str, Figure] = {}
    for section, names in _SECTIONS.items():
        entries: dict[str, Any] = table.get(section, {})
        for unknown in sorted(entries.keys() - set(names)):
            raise CostError(f"{where}: [{section}] has an unknown key {unknown!r}; remove it")
        for name in names:
            unit = _UNITS.get(name, "1")
            figures[name] = read_figure(entries, name, unit, f"{where}: [{section}]")
    units = table.get("units", {})
    return Calibration(
        figures=figures,
        units={name: read_figure(units, name, "1", f"{where}: [units]") for name in units},
        calibrated_on=tuple(table.get("calibrated_on", ())),
        date=read_date(table.get("date"), f"{where}: date").isoformat(),
    )
