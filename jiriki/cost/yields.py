"""Yield: the share of dies that work.

Three models of how defects fall on a die of area A at density D, with D A = m expected defects:
Poisson exp(-m); Murphy ((1 - exp(-m)) / m)^2, a triangular spread of densities; negative binomial
(1 + m / alpha)^-alpha, clustered defects. Spare tiles repair: a die works when its rest has no
defect and enough of its tiles have none.
In: mm2, defects a mm2. Out: shares of one; dies a wafer.
"""

import math
from enum import Enum

from jiriki.cost.errors import CostError

WAFER_MM = 300.0
CLUSTERING = 3.0  # alpha of the negative binomial


class YieldModel(Enum):
    """How defects are spread."""

    POISSON = "poisson"
    MURPHY = "murphy"
    NEGATIVE_BINOMIAL = "negative-binomial"


def die_yield(area_mm2: float, defects_per_mm2: float, model: YieldModel) -> float:
    """Return the share of dies without a defect. Raises CostError for negative input."""
    if area_mm2 < 0 or defects_per_mm2 < 0:
        raise CostError(
            f"yield of {area_mm2} mm2 at {defects_per_mm2} defects a mm2: neither may be negative"
        )
    expected = area_mm2 * defects_per_mm2
    if model is YieldModel.POISSON:
        return math.exp(-expected)
    if model is YieldModel.MURPHY:
        return (-math.expm1(-expected) / expected) ** 2 if expected > 1e-12 else 1.0
    return (1 + expected / CLUSTERING) ** -CLUSTERING


def repaired_yield(
    tile_mm2: float,
    tiles: int,
    spare: int,
    rest_mm2: float,
    defects_per_mm2: float,
    model: YieldModel,
) -> float:
    """Return the share of dies with at least `tiles` good ones of `tiles + spare`, and a good rest.

    Tiles fail independently of each other given the model's yield of one tile: optimistic where
    defects cluster within a die, and never below the yield without repair of the same silicon.
    """
    if tiles < 1 or spare < 0:
        raise CostError(f"{tiles} tiles and {spare} spare: at least one tile, no negative spare")
    good = die_yield(tile_mm2, defects_per_mm2, model)
    built = tiles + spare
    enough = sum(
        math.comb(built, bad) * (1 - good) ** bad * good ** (built - bad)
        for bad in range(spare + 1)
    )
    return min(1.0, enough) * die_yield(rest_mm2, defects_per_mm2, model)


def dies_per_wafer(area_mm2: float) -> float:
    """Return gross dies of a wafer of 300 mm: its area less what the round edge costs.

    Raises CostError for a die that does not fit.
    """
    if area_mm2 <= 0:
        raise CostError(f"die of {area_mm2} mm2: the area must be positive")
    whole = math.pi * (WAFER_MM / 2) ** 2 / area_mm2
    count = whole - math.pi * WAFER_MM / math.sqrt(2 * area_mm2)
    if count < 1:
        raise CostError(f"die of {area_mm2:,.0f} mm2 does not fit a wafer of {WAFER_MM:g} mm")
    return count
