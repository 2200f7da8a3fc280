"""Solving a fleet: HiGHS through SciPy, what its constraints are worth, why there is no fleet.

A small fleet is solved in one step. A large one in two: first which chips enter the fleet at all,
with divisible lots (its optimum bounds every fleet's cost from below); then whole lots with the
entries fixed, which may not be the best ones once lots are whole. Where no whole lots fit them, the
next best entries are tried. The gap that a `Solution` states is between its cost and that bound.

In: a `Problem`. Out: a `Solution` and how far from the optimum it may be; `Worth` of constraints
from the duals of the linear relaxation (entries as decided, lots divisible); or, where no fleet
meets all constraints, an `InfeasibleError` with a smallest set that cannot hold together, found by
dropping one after the other, and how far each would have to give way alone.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import coo_array, csr_array

from jiriki.plan.errors import InfeasibleError, PlanError
from jiriki.plan.fleet.milp import AT_LEAST, AT_MOST, EQUAL, Problem, Row

GAP = 2e-3  # of the cost, between the fleet and the best one possible
TIME_LIMIT_S = 60.0  # of each step
ONE_STEP_COLUMNS = 300  # at most, of a fleet that is solved in one step
_OPTIMAL, _INFEASIBLE = 0, 2  # as scipy.optimize.milp reports
_TOLERANCE = 1e-7


@dataclass(frozen=True, slots=True)
class Solution:
    """A fleet: the value of every column."""

    values: np.ndarray  # [columns]
    cost: float  # million USD, the constant included
    gap: float  # share of the cost by which a better fleet may exist


@dataclass(frozen=True, slots=True)
class Worth:
    """What relaxing each row, or lowering each column's cost, would save: duals of one month.

    A dual is the saving of a small change of that row alone. What a limit saves that gives way in
    all its months is `saving`: the months share what they save, so that it is no sum of duals.
    """

    cost: float  # million USD of the relaxation
    rows: np.ndarray  # [rows] million USD a unit of the row's limit, not negative
    columns: np.ndarray  # [columns] reduced cost, million USD a unit


def solve(problem: Problem, gap: float = GAP) -> Solution:
    """Find a fleet. Raises InfeasibleError where there is none, PlanError when time runs out.

    gap: share of the cost at which each step may stop.
    """
    bound, tried = None, []
    steps = bool(problem.entered) and len(problem.cost) > ONE_STEP_COLUMNS
    while True:
        lower, upper = list(problem.lower), list(problem.upper)
        if steps:
            first = _entries(problem, tried, gap / 10)
            if first.status == _INFEASIBLE:
                break
            bound = float(_known(first).mip_dual_bound) if bound is None else bound
            tried.append({column: round(first.x[column]) for column in problem.entered.values()})
            for column, value in tried[-1].items():
                lower[column] = upper[column] = value
        second = _milp(problem, problem.rows, problem.whole, lower, upper, gap)
        if second.status != _INFEASIBLE:
            return _solution(problem, _known(second), bound)
        if not steps:
            break
    raise InfeasibleError(why_infeasible(problem))


def _entries(problem: Problem, tried: list[dict[int, int]], gap: float) -> Any:  # noqa: ANN401
    """Decide which chips enter, lots divisible, other than as tried: no whole lots fitted those."""
    rows = list(problem.rows)
    for entries in tried:
        # at least one entry differs
        terms = {column: 1.0 - 2.0 * value for column, value in entries.items()}
        rows.append(Row(terms, AT_LEAST, 1.0 - sum(entries.values())))
    whole = [column in problem.entered.values() for column in range(len(problem.cost))]
    return _milp(problem, rows, whole, problem.lower, problem.upper, gap)


def _solution(problem: Problem, result: Any, bound: float | None) -> Solution:  # noqa: ANN401
    cost = float(result.fun)
    away = cost - (float(result.mip_dual_bound) if bound is None else bound)
    share = max(0.0, away) / max(abs(cost + problem.constant), 1e-12)
    values = np.where(problem.whole, np.round(result.x), result.x)
    return Solution(values, cost + problem.constant, share)


def _known(result: Any) -> Any:  # noqa: ANN401
    if result.x is None:
        raise PlanError(
            f"no fleet was found within {TIME_LIMIT_S:g} s ({result.message}); plan fewer months, "
            "supplies or services"
        )
    return result


def _milp(
    problem: Problem, rows: list[Row], whole: list[bool], lower: list[float], upper: list[float],
    gap: float,
) -> Any:  # noqa: ANN401  # fmt: skip
    low: Any = np.array(lower)
    high: Any = np.array(upper)
    least: Any = [-np.inf if row.sense == AT_MOST else row.limit for row in rows]
    most: Any = [np.inf if row.sense == AT_LEAST else row.limit for row in rows]
    return milp(
        np.array(problem.cost),
        integrality=np.array(whole, dtype=int),
        bounds=Bounds(low, high),
        constraints=LinearConstraint(_matrix(rows, len(problem.cost)), least, most),
        options={"mip_rel_gap": gap, "time_limit": TIME_LIMIT_S},
    )


def _matrix(rows: Iterable[Row], columns: int) -> csr_array:
    places, names, numbers = [], [], []
    count = 0
    for place, row in enumerate(rows):
        names += row.terms.keys()
        numbers += row.terms.values()
        places += [place] * len(row.terms)
        count = place + 1
    return coo_array((numbers, (places, names)), shape=(count, columns)).tocsr()


# -- linear relaxations ----------------------------------------------------------------------------


def worth(problem: Problem, solution: Solution) -> Worth:
    """Return duals and reduced costs of the relaxation with entries as decided."""
    result = _relaxed(problem, problem.rows, solution)
    duals = np.zeros(len(problem.rows))
    equal = [i for i, row in enumerate(problem.rows) if row.sense == EQUAL]
    other = [i for i, row in enumerate(problem.rows) if row.sense != EQUAL]
    duals[equal] = np.abs(result.eqlin.marginals)
    duals[other] = -result.ineqlin.marginals
    reduced = result.lower.marginals + result.upper.marginals
    return Worth(float(result.fun), np.maximum(duals, 0.0), reduced)


def saving(problem: Problem, solution: Solution, value: Worth, group: int) -> float:
    """Return the million USD that one unit more of a limit saves, given in all its months.

    Entries are as decided and lots are divisible. The problem is solved again.
    """
    rows = [
        replace(row, limit=row.limit + (1.0 if row.sense == AT_MOST else -1.0))
        if row.group == group
        else row
        for row in problem.rows
    ]
    return max(0.0, value.cost - float(_relaxed(problem, rows, solution).fun))


def _relaxed(problem: Problem, rows: list[Row], solution: Solution) -> Any:  # noqa: ANN401
    """Solve with divisible lots and the entries of a solution."""
    upper, lower = list(problem.upper), list(problem.lower)
    for column in problem.entered.values():
        upper[column] = lower[column] = solution.values[column]
    result = _linear(rows, problem.cost, lower, upper)
    if result.status != _OPTIMAL:
        raise PlanError(f"the relaxation of a solved fleet failed: {result.message}")
    return result


def _linear(rows: list[Row], cost: list[float], lower: list[float], upper: list[float]) -> Any:  # noqa: ANN401
    """Solve with every column divisible. AT_LEAST rows are negated."""
    columns = len(cost)
    equal = [row for row in rows if row.sense == EQUAL]
    other = [row for row in rows if row.sense != EQUAL]
    signs = np.array([1.0 if row.sense == AT_MOST else -1.0 for row in other])
    left = _matrix(other, columns).multiply(signs[:, None]).tocsr() if other else None
    return linprog(
        cost,
        A_ub=left,
        b_ub=signs * [row.limit for row in other] if other else None,
        A_eq=_matrix(equal, columns) if equal else None,
        b_eq=[row.limit for row in equal] if equal else None,
        bounds=np.array([lower, upper]).T,
        method="highs",
    )


# -- why there is none -----------------------------------------------------------------------------


def why_infeasible(problem: Problem) -> str:
    """Name constraints that cannot hold together, and what each alone would have to become."""
    every = set(range(len(problem.groups)))
    if _feasible(problem, every):
        return (
            "no fleet of whole lots meets all constraints, though one of divisible lots does; "
            "lower the lot of a supply"
        )
    conflict = set(every)
    for group in _by_patience(problem):
        if not _feasible(problem, conflict - {group}):
            conflict.discard(group)
    names = [problem.groups[group].text for group in sorted(conflict)]
    ways = [way for group in sorted(conflict) if (way := _way_out(problem, every, group))]
    text = f"no fleet meets all constraints; these cannot hold together: {'; '.join(names)}"
    return f"{text}. Any one of these would do: {'; '.join(ways)}" if ways else text


_PATIENCE = ("foundry", "supply", "budget", "room", "policy", "power", "serve")


def _by_patience(problem: Problem) -> list[int]:
    """Return groups in the order in which to try without them: what nobody decides comes last."""
    places = range(len(problem.groups))
    return sorted(places, key=lambda g: (_PATIENCE.index(problem.groups[g].kind), g))


def _feasible(problem: Problem, groups: Collection[int]) -> bool:
    """Say whether a divisible fleet meets the rows of these groups and those of no group."""
    rows = [row for row in problem.rows if row.group is None or row.group in groups]
    nothing = [0.0] * len(problem.cost)
    return _linear(rows, nothing, problem.lower, problem.upper).status != _INFEASIBLE


def _way_out(problem: Problem, groups: Collection[int], relaxed: int) -> str | None:
    """Say how far one group alone would have to give way; None where that is no way out."""
    give = len(problem.cost)
    rows = []
    for row in problem.rows:
        if row.group == relaxed:
            sign = -1.0 if row.sense == AT_MOST else 1.0
            rows.append(Row({**row.terms, give: sign}, row.sense, row.limit))
        elif row.group is None or row.group in groups:
            rows.append(row)
    cost = [0.0] * give + [1.0]
    result = _linear(rows, cost, [*problem.lower, 0.0], [*problem.upper, np.inf])
    if result.status != _OPTIMAL or result.x[give] < _TOLERANCE:
        return None
    return _way_text(problem, relaxed, float(result.x[give]))


def _way_text(problem: Problem, relaxed: int, by: float) -> str:
    group = problem.groups[relaxed]
    limits = {row.limit for row in problem.rows if row.group == relaxed}
    sense = next(row.sense for row in problem.rows if row.group == relaxed)
    if group.kind == "serve":
        asked = 100 - max(limits)
        return f"serve {_down(asked - by)} % of {group.of} instead of {asked:.4g} %"
    if len(limits) > 1:
        verb = "raise" if sense == AT_MOST else "lower"
        return f"{verb} {group.kind} {group.of}".strip() + f" by {_up(by)} {group.unit}"
    now = next(iter(limits))
    if sense == AT_MOST:
        return f"raise {group.text} to {_up(now + by)} {group.unit}"
    return f"lower {group.text} to {_down(now - by)} {group.unit}"


def _up(value: float) -> str:
    """Return four figures, rounded up, so that what is told is enough."""
    step = 10.0 ** (math.floor(math.log10(value)) - 3)
    return _plain(math.ceil(value / step - _TOLERANCE) * step)


def _down(value: float) -> str:
    """Return tenths, rounded down."""
    return _plain(max(0.0, math.floor(value * 10 + _TOLERANCE) / 10))


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
