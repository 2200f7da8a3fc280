"""`Range`: low, base and high of an estimate, and how ranges combine.

Sums add their ends, as if all terms erred the same way. Products and quotients treat their factors
as independent: the logarithms of the spreads add in quadrature. So a range is honest about what a
sum shares (one node, one calibration) without growing absurd over a chain of factors.
In: figures. Out: figures, `derived`.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jiriki.products.errors import FactError
from jiriki.products.figure import Figure


@dataclass(frozen=True, slots=True)
class Range:
    """low <= base <= high, none negative; all three 0, or none."""

    low: float
    base: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.base <= self.high < math.inf:
            raise FactError(
                f"range {self.low} / {self.base} / {self.high} does not ascend from 0; order it"
            )
        if self.low == 0 < self.high:
            raise FactError(f"range 0 / {self.base} / {self.high}: give a low end above 0")

    @classmethod
    def exact(cls, value: float) -> "Range":
        return cls(value, value, value)

    @classmethod
    def of(cls, figure: Figure) -> "Range":
        """Return the range of a figure."""
        return cls(figure.low, figure.base, figure.high)

    @classmethod
    def total(cls, parts: "Iterable[Range]") -> "Range":
        """Return the sum of ranges, ends with ends."""
        total = ZERO
        for part in parts:
            total = total + part
        return total

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.base + other.base, self.high + other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        if not isinstance(other, Range):
            return Range(self.low * other, self.base * other, self.high * other)
        if not self.base or not other.base:
            return ZERO
        down = math.hypot(math.log(self.base / self.low), math.log(other.base / other.low))
        up = math.hypot(math.log(self.high / self.base), math.log(other.high / other.base))
        base = self.base * other.base
        return Range(base * math.exp(-down), base, base * math.exp(up))

    __rmul__ = __mul__

    def __truediv__(self, other: "Range | float") -> "Range":
        if not isinstance(other, Range):
            return self * (1 / other)
        return self * Range(1 / other.high, 1 / other.base, 1 / other.low)

    def through(self, function: Callable[[float], float]) -> "Range":
        """Return the range of a monotonic function of this one."""
        ends = sorted((function(self.low), function(self.high)))
        base = function(self.base)
        return Range(min(ends[0], base), base, max(ends[1], base))

    def figure(self, unit: str, why: str, date: str, unverified: bool = False) -> Figure:
        """Return the range as a derived figure."""
        return Figure(self.low, self.base, self.high, unit, f"derived: {why}", date, unverified)


ZERO = Range(0.0, 0.0, 0.0)


def vary(function: Callable[..., float], *inputs: Range) -> Range:
    """Return the range of a positive function of independent inputs.

    Each input is moved to its ends alone; the logarithms of what that does add in quadrature.
    """
    bases = [value.base for value in inputs]
    base = function(*bases)
    if base <= 0:
        raise FactError(f"estimate of {base} cannot carry a range; make its inputs positive")
    down = up = 0.0
    for place, value in enumerate(inputs):
        moved = []
        for end in (value.low, value.high):
            moved.append(function(*bases[:place], end, *bases[place + 1 :]) / base)
        down += math.log(min(*moved, 1.0)) ** 2
        up += math.log(max(*moved, 1.0)) ** 2
    return Range(base * math.exp(-math.sqrt(down)), base, base * math.exp(math.sqrt(up)))
