"""The JSON form of a profile: the fields that other tools rely on, and the layers.

In: a Profile. Out: a dict of plain numbers and strings, ready for `json.dumps`.
"""

from dataclasses import asdict
from typing import Any

from jiriki.report.profile import Profile


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
        "layers": [asdict(row) for row in profile.layers],
        "program_hash": profile.program_hash,
        "wall_s": dict(profile.wall_s),
    }
