"""The JSON form of a profile: the fields that other tools rely on, and the layers.

In: a Profile. Out: a dict of plain numbers and strings, ready for `json.dumps`.
"""

from dataclasses import asdict
from typing import Any

from jiriki.cost.energy import EnergyEstimate
from jiriki.products.figure import Figure
from jiriki.report.profile import LayerRow, Profile


def profile_payload(profile: Profile) -> dict[str, Any]:
    """Return the object that `jiriki profile --json` prints."""
    return {
        "model": profile.model,
        "chip": profile.chip.name,
        "macs": profile.macs,
        "cycles": profile.cycles,
        "utilisation": profile.utilisation,
        "dram_bytes": profile.dram_bytes,
        "dram_read_bytes": profile.dram_read_bytes,
        "dram_write_bytes": profile.dram_write_bytes,
        "clock_hz": profile.chip.clock_hz,
        "latency_s": profile.latency_s,
        "units": {
            name: {
                "busy": unit.busy,
                "starved": unit.starved,
                "blocked": unit.blocked,
                "reasons": dict(unit.reasons),
            }
            for name, unit in profile.units.items()
        },
        "layers": [_layer(row, profile.energy) for row in profile.layers],
        **energy_payload(profile.energy),
        "program_hash": profile.program_hash,
        "wall_s": dict(profile.wall_s),
    }


def energy_payload(energy: EnergyEstimate | None) -> dict[str, Any]:
    """Return the fields of an estimate of energy; none without one."""
    if energy is None:
        return {}
    return {
        "process": energy.process,
        "dram_kind": energy.dram_kind,
        "energy_j": ends(energy.total),
        "power_w": ends(energy.power),
        "energy_parts_j": {name: ends(part) for name, part in energy.parts.items()},
        "energy_calibrated_on": list(energy.calibrated_on),
    }


def ends(figure: Figure) -> dict[str, float]:
    """Return the three numbers of a figure."""
    return {"low": figure.low, "base": figure.base, "high": figure.high}


def _layer(row: LayerRow, energy: EnergyEstimate | None) -> dict[str, Any]:
    known = energy is not None and row.name in energy.layers
    spent = {"energy_j": ends(energy.layers[row.name])} if energy and known else {}
    return asdict(row) | spent
