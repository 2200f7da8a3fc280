"""Random chips, drawn from all that ChipConfig accepts: tiny and huge sizes, odd proportions.

In: a seed. Out: a `ChipConfig`. Most draws keep some fields of a chip of the catalogue, so that
one odd size meets many ordinary ones; the others draw every field.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from jiriki.chip import ChipConfig, ChipError, chip_names, load_chip
from jiriki.chip.config import LIMITS, POWERS_OF_TWO

LOG_UNIFORM = {"clock_hz", "dram_bytes", "scratchpad_bytes", "acc_rows", "semaphore_max",
               "dram_latency_cycles"}  # fmt: skip
ORDINARY = {
    "columns": (8, 64), "dram_bytes": (1 << 20, 1 << 32), "scratchpad_bytes": (1 << 13, 1 << 20),
}  # fmt: skip
TRIES = 100_000


def random_chip(seed: int) -> ChipConfig:
    """Return a chip that keeps every rule of ChipConfig."""
    rng = np.random.default_rng(seed)
    base = asdict(load_chip(str(rng.choice(chip_names()))))
    share = float(rng.choice([0.05, 0.15, 0.4, 1.0]))  # of the fields that are drawn anew
    for _ in range(TRIES):
        drawn: dict[str, Any] = {name: _draw(rng, name) for name in LIMITS if rng.random() < share}
        if rng.random() < share:
            drawn["vx_stages"] = "".join(rng.choice(["A", "F"], int(rng.integers(2, 12))))
        table: dict[str, Any] = (
            base | drawn | {"name": f"odd-{seed}", "summary": f"drawn with seed {seed}"}
        )
        row = int(table["banks"]) * int(table["columns"]) * int(table["ku"])
        if rng.random() < 0.9:  # most sizes drawn are no multiple of a row
            table["scratchpad_bytes"] = max(1, int(table["scratchpad_bytes"]) // row) * row
        try:
            return ChipConfig(**table)
        except ChipError:
            continue
    raise AssertionError(f"seed {seed}: no chip in {TRIES} draws")


def _draw(rng: np.random.Generator, name: str) -> int:
    """Draw a field: often its least or greatest value, powers of two where they are the rule."""
    least, greatest, _ = LIMITS[name]
    if rng.random() < 0.9:  # mostly sizes at which small networks can run at all
        least, greatest = ORDINARY.get(name, (least, greatest))
    if name in POWERS_OF_TWO:
        return 1 << int(rng.integers((least - 1).bit_length(), greatest.bit_length()))
    if rng.random() < 0.2:
        return int(rng.choice([least, greatest]))
    if name == "dram_bytes_per_cycle":
        return 1 << int(rng.integers(0, 11))
    if name in LOG_UNIFORM or rng.random() < 0.5:
        exponent = rng.uniform(np.log2(least), np.log2(greatest))
        return min(greatest, max(least, int(2**exponent)))
    return int(rng.integers(least, min(greatest, 64) + 1))
