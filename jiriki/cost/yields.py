"""Yield: the share of dies that work.

Three models of how defects fall on a die of area A at density D, with D A = m expected defects:
Poisson exp(-m); Murphy ((1 - exp(-m)) / m)^2, a triangular spread of densities; negative binomial
(1 + m / alpha)^-alpha, clustered defects. The last two are Poisson's law averaged over a spread of
densities. Spare tiles repair: a die works when its rest has no defect and enough tiles have none.
In: mm2, defects a mm2. Out: shares of one; dies a wafer.
"""

import math
from enum import Enum
from functools import cache

import numpy as np

from jiriki.cost.errors import CostError

WAFER_MM = 300.0
CLUSTERING = 3.0  # alpha of the negative binomial
_PANELS, _NODES = 24, 24  # of the integral over densities


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

    One law for the whole die: at a given density of defects tiles and rest fail independently of
    each other, and the density is spread over dies as the model has it. So what clusters within a
    die does so here too; without spares this is `die_yield` of the whole die, and a spare tile
    never lowers it. Integrated numerically: exact to 1e-9. Raises CostError for negative input.
    """
    if tiles < 1 or spare < 0:
        raise CostError(f"{tiles} tiles and {spare} spare: at least one tile, no negative spare")
    if min(tile_mm2, rest_mm2, defects_per_mm2) < 0:
        raise CostError(
            f"yield of tiles of {tile_mm2} mm2 and {rest_mm2} mm2 at {defects_per_mm2} defects a "
            "mm2: none may be negative"
        )
    factors, weights = _densities(model)
    density = factors * defects_per_mm2
    built = tiles + spare
    good, bad = np.exp(-density * tile_mm2), -np.expm1(-density * tile_mm2)
    enough = sum(
        math.comb(built, lost) * bad**lost * good ** (built - lost) for lost in range(spare + 1)
    )
    return min(1.0, float(weights @ (enough * np.exp(-density * rest_mm2))))


@cache
def _densities(model: YieldModel) -> tuple[np.ndarray, np.ndarray]:
    """Return densities over their mean [n] and their weights [n], which add to 1.

    Murphy: the triangle from 0 to twice the mean. Negative binomial: the gamma distribution of
    shape CLUSTERING. Both by Gauss and Legendre on panels that halve towards 0.
    """
    if model is YieldModel.POISSON:
        return np.ones(1), np.ones(1)
    most = 2.0 if model is YieldModel.MURPHY else 32.0
    edges = np.concatenate(([0.0], most * 0.5 ** np.arange(_PANELS, -1, -1)))
    nodes, areas = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2
    at = (edges[:-1, None] + half * (1 + nodes)).ravel()
    spread = (half * areas).ravel()
    if model is YieldModel.MURPHY:
        height = np.minimum(at, 2 - at)
    else:
        height = (
            CLUSTERING**CLUSTERING / math.gamma(CLUSTERING)
            * at ** (CLUSTERING - 1) * np.exp(-CLUSTERING * at)
        )  # fmt: skip
    return at, spread * height


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
