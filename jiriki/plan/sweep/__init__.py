"""Sweeps: one network on many chips of other sizes; cycles, area and energy of each."""

from jiriki.plan.sweep.grid import Candidate, candidates, parse_vary, read_grid
from jiriki.plan.sweep.measure import Row, Task, pareto_front, sweep

__all__ = [
    "Candidate",
    "Row",
    "Task",
    "candidates",
    "pareto_front",
    "parse_vary",
    "read_grid",
    "sweep",
]
