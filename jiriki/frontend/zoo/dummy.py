"""Seeded random weights for graphs that come without trained ones.

Concept: He scaling (arXiv 1502.01852) keeps activations of one size through a deep network, so that
quantising it is not degenerate as it is with constant weights.
In: a seed and shapes. Out: float32 arrays, the same on every machine.
"""

from __future__ import annotations

import math

import numpy as np

SEED = 20180113


class DummyFilters:
    """A stream of weights; the order of requests decides the values."""

    def __init__(self, seed: int = SEED) -> None:
        self._random = np.random.default_rng(seed)

    def weight(self, shape: tuple[int, ...]) -> np.ndarray:
        """Draw a weight [outputs, inputs...] with variance 2 / (inputs per output)."""
        deviation = np.float32(math.sqrt(2 / math.prod(shape[1:])))
        return self._random.standard_normal(shape, np.float32) * deviation

    def around(self, centre: float, deviation: float, shape: tuple[int, ...]) -> np.ndarray:
        """Draw values uniformly within `centre` ± `deviation`."""
        low, high = centre - deviation, centre + deviation
        return self._random.uniform(low, high, shape).astype(np.float32)

    def filters(self, name: str, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Draw a layer's weight and bias (`name` is not used: see `layers.Filters`)."""
        del name
        return self.weight(shape), self.around(0, 0.1, shape[:1])
