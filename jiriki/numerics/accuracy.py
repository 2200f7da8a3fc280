"""How far an array is from the exact one: signal to noise, cosine, worst error.

In: outputs as computed and as the float model gives them. Out: an `Accuracy`, in float64. The
signal-to-quantisation-noise ratio is 10 log10(sum(exact**2) / sum((value - exact)**2)); the cosine
is that of the two arrays as vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, log10, sqrt

import numpy as np

Outputs = Mapping[str, np.ndarray]
SQNR_BOUND_DB = 10.0  # below it more than a tenth of an output's power is noise


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How far computed values are from exact ones."""

    elements: int
    sqnr_db: float  # inf where nothing differs, -inf where all is noise
    cosine: float  # 1 where both are zero throughout, 0 where one of them is
    worst_error: float  # largest |value - exact|, inf beside NaN or infinity
    largest: float  # largest finite |exact|, to judge the worst error by

    @property
    def poor(self) -> bool:
        """Tell that the noise exceeds the stated bound."""
        return self.sqnr_db < SQNR_BOUND_DB

    def __str__(self) -> str:
        """Return the three figures in words."""
        if self.worst_error == 0:
            return "equal in every element"
        sqnr = f"{self.sqnr_db:.1f} dB" if np.isfinite(self.sqnr_db) else "no signal left"
        return f"SQNR {sqnr}, cosine {self.cosine:.5f}, worst error {self.worst_error:.3g}"


def output_accuracy(pairs: Sequence[tuple[Outputs, Outputs]]) -> dict[str, Accuracy]:
    """Return the accuracy of every output by name, over the (computed, exact) outputs of runs."""
    names = [name for name in pairs[0][0] if name in pairs[0][1]] if pairs else []
    return {
        name: measure(
            [(chip[name], exact[name].reshape(chip[name].shape)) for chip, exact in pairs]
        )
        for name in names
    }


def measure(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Accuracy:
    """Return the accuracy of (computed, exact) arrays, taken together.

    Equal NaN and equal infinities are no error; any other makes the worst error infinite.
    """
    elements, worst, largest, broken = 0, 0.0, 0.0, False
    signal = noise = power = product = 0.0
    for computed, exact in pairs:
        value, wanted = (np.asarray(a).astype(np.float64).ravel() for a in (computed, exact))
        elements += wanted.size
        same = (value == wanted) | (np.isnan(value) & np.isnan(wanted))
        finite = np.isfinite(value) & np.isfinite(wanted)
        broken |= bool((~finite & ~same).any())
        value, wanted = value[finite], wanted[finite]
        error = value - wanted
        worst = max(worst, float(np.abs(error).max(initial=0)))
        largest = max(largest, float(np.abs(wanted).max(initial=0)))
        signal, noise = signal + float(wanted @ wanted), noise + float(error @ error)
        power, product = power + float(value @ value), product + float(value @ wanted)
    return Accuracy(
        elements,
        -inf if broken else _decibels(signal, noise),
        0.0 if broken else _cosine(product, signal, power),
        inf if broken else worst,
        largest,
    )


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if signal > 0 else -inf


def _cosine(product: float, signal: float, power: float) -> float:
    if signal == 0 or power == 0:
        return float(signal == power)
    return product / (sqrt(signal) * sqrt(power))
