"""The coefficients of EXP2, LOG2, RECIP and RSQRT as one read-only memory.

In: the integer tables of `numerics.functions`. Out: rows of c0, c1, c2, and where each begins; the
two halves of RSQRT come first (so that every start is a multiple of the segments).
"""

import numpy as np
from amaranth.hdl import signed
from amaranth.lib import data
from amaranth.utils import ceil_log2

from jiriki.numerics.functions import (
    exp2_coefficients,
    log2_coefficients,
    recip_coefficients,
    rsqrt_coefficients,
)

_TABLES = {
    "RSQRT": rsqrt_coefficients(), "EXP2": exp2_coefficients(), "LOG2": log2_coefficients(),
    "RECIP": recip_coefficients(),
}  # fmt: skip
ROM_STARTS = {
    name: sum(len(t) for t in list(_TABLES.values())[:i]) for i, name in enumerate(_TABLES)
}
ROM_ROWS = sum(len(table) for table in _TABLES.values())
ROM_BITS = ceil_log2(ROM_ROWS)


def _row_layout() -> data.StructLayout:
    rows = np.concatenate(list(_TABLES.values()))
    bits = [
        max(int(low).bit_length(), int(high).bit_length()) + 1
        for low, high in zip(rows.min(axis=0), rows.max(axis=0), strict=True)
    ]
    return data.StructLayout({f"c{i}": signed(n) for i, n in enumerate(bits)})


ROM_ROW = _row_layout()


def rom_rows() -> list[dict[str, int]]:
    """Return every row."""
    rows = np.concatenate(list(_TABLES.values())).tolist()
    return [{"c0": c0, "c1": c1, "c2": c2} for c0, c1, c2 in rows]
