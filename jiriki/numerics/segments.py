"""Piecewise quadratics in integers: the one evaluation rule of every function table.

Concept: an argument is an index (which segment) and a position `t` in 0 .. 2^t_bits - 1 inside
it. With the segment's integer coefficients c0, c1, c2 the value is
    y = c0 + (((c1 + ((c2 * t) >> t_bits)) * t) >> t_bits)
where >> is the arithmetic shift (rounds down). Every product fits int64, so NumPy and gates can
follow it literally. All three coefficients share one unit, so one shift serves both products.
In: coefficients, index, t. Out: y as int64. `chebyshev_quadratic` makes the coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

Coefficients = NDArray[np.int64]  # [segments, 3]: c0, c1, c2

DIGITS = 40  # decimal digits of coefficient generation: libm-free, the same on every machine


def evaluate_segments(
    coefficients: Coefficients,
    index: NDArray[np.int64],
    t: NDArray[np.int64],
    t_bits: int,
) -> NDArray[np.int64]:
    """Evaluate the rule above. coefficients [segments, 3] int64; index, t and result one shape."""
    shift = np.int64(t_bits)
    y = coefficients[:, 2].take(index)
    y *= t
    y >>= shift
    y += coefficients[:, 1].take(index)
    y *= t
    y >>= shift
    y += coefficients[:, 0].take(index)
    return y


def chebyshev_quadratic(
    function: Callable[[Decimal], Decimal], left: Decimal, width: Decimal
) -> tuple[Decimal, Decimal, Decimal]:
    """Fit c0 + c1 u + c2 u^2, u in [0, 1], to function(left + width u) at the Chebyshev nodes.

    The nodes are (1 - √3/2)/2, 1/2, (1 + √3/2)/2; for narrow segments this is within a few per
    cent of the best possible quadratic.
    """
    with localcontext() as context:
        context.prec = DIGITS
        half_root3 = Decimal(3).sqrt() / 2
        low, high = (1 - half_root3) / 2, (1 + half_root3) / 2
        f_low, f_mid, f_high = (function(left + width * u) for u in (low, Decimal("0.5"), high))
        return quadratic_through((low, Decimal("0.5"), high), (f_low, f_mid, f_high))


def quadratic_through(
    nodes: Sequence[Decimal], values: Sequence[Decimal]
) -> tuple[Decimal, Decimal, Decimal]:
    """Return (c0, c1, c2) of the quadratic through three points (Newton's divided differences)."""
    (u0, u1, u2), (f0, f1, f2) = nodes, values
    d01, d12 = (f1 - f0) / (u1 - u0), (f2 - f1) / (u2 - u1)
    c2 = (d12 - d01) / (u2 - u0)
    c1 = d01 - c2 * (u0 + u1)
    return f0 - u0 * (c1 + c2 * u0), c1, c2
