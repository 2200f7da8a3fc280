"""Scaling of energy and delay between process nodes.

Two laws. *Measured* (the default): a straight line on log-log axes through the energy of one
operation at 45 nm (Horowitz 2014) and at 7 nm (Jouppi 2021). *Optimistic*: the polynomials in
supply voltage of Stillmaker and Baas (Integration 58, 2017), fitted to simulated inverters, which
promise about five times more than real 7 nm units showed.
In: nodes in nm, voltages in V. Out: factors and energies.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass

from jiriki.cost.errors import CostError

OLD_NM, NEW_NM = 45.0, 7.0  # where operations were measured
LOWEST_V, HIGHEST_V = 0.45, 1.2  # outside, the polynomials were not fitted


@dataclass(frozen=True, slots=True)
class Polynomials:
    """Delay d3 V^3 + d2 V^2 + d1 V + d0 and energy a V^2 + b V + c of one node."""

    d3: float
    d2: float
    d1: float
    d0: float
    a: float
    b: float
    c: float

    def delay(self, volt: float) -> float:
        return ((self.d3 * volt + self.d2) * volt + self.d1) * volt + self.d0

    def energy(self, volt: float) -> float:
        return (self.a * volt + self.b) * volt + self.c


# Node in nm -> polynomials, with the authors' erratum; HP (high performance) below 65 nm.
STILLMAKER = {
    65.0: Polynomials(-53.3, 230.4, -333.9, 178.6, 3.755, -4.398, 1.975),
    45.0: Polynomials(-501.6, 1567, -1619, 566.1, 1.018, -0.3107, 0.1539),
    32.0: Polynomials(-1047, 2982, -2797, 873.5, 0.8367, -0.4341, 0.1701),
    20.0: Polynomials(0, 34.63, -66.37, 41.15, 0.373, -0.1582, 0.04104),
    16.0: Polynomials(0, 24.8, -47.52, 28.87, 0.2958, -0.1241, 0.03024),
    14.0: Polynomials(-40.66, 109.2, -100.6, 35.92, 0.2363, -0.09675, 0.02239),
    10.0: Polynomials(-34.95, 93.65, -85.99, 30.4, 0.2068, -0.09311, 0.02375),
    7.0: Polynomials(-28.58, 76.6, -70.26, 24.69, 0.1776, -0.09097, 0.02447),
}
_NODES = sorted(STILLMAKER)


def energy_factor(node_nm: float, volt: float) -> float:
    """Return the energy factor, interpolated log-log between nodes that the authors give.

    Raises CostError outside 7 to 65 nm and outside the fitted voltages.
    """
    return _between(node_nm, volt, Polynomials.energy)


def delay_factor(node_nm: float, volt: float) -> float:
    """Return the delay factor, as `energy_factor`."""
    return _between(node_nm, volt, Polynomials.delay)


def _between(node_nm: float, volt: float, of) -> float:  # noqa: ANN001
    if not _NODES[0] <= node_nm <= _NODES[-1]:
        raise CostError(
            f"node {node_nm:g} nm is outside {_NODES[0]:g} to {_NODES[-1]:g} nm of the optimistic "
            "scaling; use the default scaling"
        )
    if not LOWEST_V <= volt <= HIGHEST_V:
        raise CostError(
            f"supply of {volt:g} V is outside {LOWEST_V:g} to {HIGHEST_V:g} V of the optimistic "
            "scaling; use the default scaling"
        )
    at = bisect_left(_NODES, node_nm)
    if _NODES[at] == node_nm:
        return of(STILLMAKER[node_nm], volt)
    small, large = _NODES[at - 1], _NODES[at]
    share = math.log(node_nm / small) / math.log(large / small)
    low, high = of(STILLMAKER[small], volt), of(STILLMAKER[large], volt)
    return low ** (1 - share) * high**share


def optimistic(energy_45nm: float, node_nm: float, volt: float, volt_45nm: float = 0.9) -> float:
    """Return an energy measured at 45 nm and `volt_45nm`, scaled by Stillmaker and Baas."""
    return energy_45nm * energy_factor(node_nm, volt) / energy_factor(OLD_NM, volt_45nm)


def measured(energy_45nm: float, energy_7nm: float, node_nm: float) -> float:
    """Return an energy at any node from those at 45 and 7 nm, log-log."""
    share = math.log(OLD_NM / node_nm) / math.log(OLD_NM / NEW_NM)
    return energy_45nm * (energy_7nm / energy_45nm) ** share
