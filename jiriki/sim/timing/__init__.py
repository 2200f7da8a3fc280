"""The timing simulator: `TimingEngine(chip).run(program)` gives cycles without values."""

from jiriki.sim.timing.engine import TimingEngine

__all__ = ["TimingEngine"]
