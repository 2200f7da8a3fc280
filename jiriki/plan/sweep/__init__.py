"""Sweeps: one network on many chips of other sizes; cycles, area and energy of each."""

from jiriki.plan.sweep.grid import Candidate, candidates, parse_vary, read_grid
from jiriki.plan.sweep.measure import Row, Task, pareto_front
from jiriki.plan.sweep.rows import sweep
from jiriki.plan.sweep.workers import Workers, check_workers

__all__ = [
    "Candidate",
    "Row",
    "Task",
    "Workers",
    "candidates",
    "check_workers",
    "pareto_front",
    "parse_vary",
    "read_grid",
    "sweep",
]
