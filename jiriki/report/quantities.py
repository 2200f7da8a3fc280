"""Numbers for people: SI inside the house, short units only here.

In: a number. Out: text of about three figures.
"""

_UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))
_SMALL = (("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12))
_TIMES = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9))


def count(value: float) -> str:
    """Return a count: 1234567 -> `1.23 M`."""
    return f"{value:,.0f}" if abs(value) < 1e3 else _scaled(value)


def data(value: float) -> str:
    """Return bytes, in powers of ten: 1234567 -> `1.23 MB`."""
    return f"{value:,.0f} B" if abs(value) < 1e3 else f"{_scaled(value)}B"


def rate(value: float) -> str:
    """Return a frequency: 1e9 -> `1 GHz`."""
    return f"{value:g} Hz" if abs(value) < 1e3 else f"{_scaled(value)}Hz"


def seconds(value: float) -> str:
    """Return a time in the unit that keeps it readable: 0.00123 -> `1.23 ms`."""
    unit, size = next((pair for pair in _TIMES if value >= pair[1]), _TIMES[-1])
    return f"{_figures(value / size)} {unit}"


def joules(value: float) -> str:
    """Return an energy: 0.00123 -> `1.23 mJ`."""
    return f"{_small(value)}J"


def watts(value: float) -> str:
    """Return a power: 0.123 -> `123 mW`."""
    return f"{_small(value)}W"


def spread(low: str, base: str, high: str) -> str:
    """Return an estimate with its range."""
    return f"{base} ({low} to {high})"


def _small(value: float) -> str:
    unit, size = next((pair for pair in _SMALL if value >= pair[1]), _SMALL[-1])
    return f"{_figures(value / size)} {unit}"


def percent(share: float) -> str:
    """Return a share of one with one decimal: 0.5 -> `50.0 %`."""
    return f"{100 * share:.1f} %"


def change(share: float, decimals: int = 0) -> str:
    """Return a change by a share of one with its sign, none where it rounds to nothing."""
    text = f"{100 * share:+.{decimals}f}"
    return f"{text if float(text) else text.lstrip('+-')}%"


def _scaled(value: float) -> str:
    unit, size = next(pair for pair in _UNITS if abs(value) >= pair[1])
    return f"{_figures(value / size)} {unit}"


def _figures(value: float) -> str:
    """Return three figures without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
