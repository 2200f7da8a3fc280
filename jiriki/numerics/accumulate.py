"""How long an int32 accumulation may be.

Concept: products of small integers are summed in int32 with no saturation and no wrap, so whoever
cuts a matmul must keep k short enough. This is the one place that says how short.
In: the largest magnitudes of the operands and of what the sum starts from. Out: the largest k.
"""

from __future__ import annotations

from jiriki.numerics.errors import NumericsError
from jiriki.numerics.formats import Format


def largest_exact_k(a_magnitude: int, b_magnitude: int, start_magnitude: int = 0) -> int:
    """Return the largest k for which no partial sum of a·b can leave int32.

    a_magnitude: largest |a| that enters a product (128 for int8; up to 255 when a zero point is
    subtracted first). b_magnitude: likewise (8 for int4). start_magnitude: largest |bias|.
    Raises NumericsError when a magnitude is negative or the start alone does not fit.
    """
    limit = int(Format.INT32.max)
    if min(a_magnitude, b_magnitude, start_magnitude) < 0 or start_magnitude > limit:
        raise NumericsError(
            f"largest_exact_k magnitudes ({a_magnitude}, {b_magnitude}, start {start_magnitude}) "
            f"must be in 0..{limit}; pass absolute values and a bias that fits int32"
        )
    return (limit - start_magnitude) // max(1, a_magnitude * b_magnitude)
