"""Who measures the chips of a sweep: this process, several, or the tasks of a Ray cluster.

In: what is measured, candidates by number. Out: numbers and rows, in the order they are done.
Ray (https://docs.ray.io) is no dependency: it is imported only where it is asked for.
"""

import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from enum import StrEnum
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from types import ModuleType

from jiriki.files import sources_hash
from jiriki.plan.errors import PlanError
from jiriki.plan.sweep.grid import Candidate
from jiriki.plan.sweep.measure import Row, Task, measure

# What a row depends on: the rooms that compile, time and estimate, and what these rest on.
ROOMS = (
    "chip", "compiler.py", "cost", "emit", "graph", "isa", "numerics", "plan/sweep", "products",
    "program", "sim", "tiling",
)  # fmt: skip


class Workers(StrEnum):
    """Where chips are measured."""

    PROCESSES = "processes"
    RAY = "ray"


def measure_all(
    task: Task, left: Mapping[int, Candidate], jobs: int | None, workers: Workers
) -> Iterator[tuple[int, Row]]:
    """Yield every candidate's row as soon as it is there, `jobs` at once at most."""
    if workers is Workers.RAY:
        return _on_ray(task, left, jobs)
    number = min(jobs or os.cpu_count() or 1, len(left))
    if number <= 1:
        return ((i, measure(task, candidate)) for i, candidate in left.items())
    return _in_processes(task, left, number)


def _in_processes(
    task: Task, left: Mapping[int, Candidate], number: int
) -> Iterator[tuple[int, Row]]:
    fresh = get_context("spawn")  # a fork would copy the threads that show the progress
    with ProcessPoolExecutor(number, fresh, _begin, (task,)) as pool:
        futures = {pool.submit(_measure_here, candidate): i for i, candidate in left.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


_here: list[Task] = []  # of a process of the pool: the graph is handed over once


def _begin(task: Task) -> None:
    _here[:] = [task]


def _measure_here(candidate: Candidate) -> Row:
    return measure(_here[0], candidate)


def check_workers(workers: Workers) -> None:
    """Refuse workers that this Python does not have. Raises PlanError."""
    if workers is Workers.RAY and find_spec("ray") is None:
        raise PlanError(
            "workers = ray needs the package ray, which is not installed; install with: "
            "python -m pip install ray, or leave --workers out"
        )


def _on_ray(
    task: Task, left: Mapping[int, Candidate], jobs: int | None
) -> Iterator[tuple[int, Row]]:
    """Measure in tasks of the cluster of RAY_ADDRESS, or of one that is begun on this machine."""
    check_workers(Workers.RAY)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Jiriki reports to nobody
    ray = import_module("ray")
    is_ours = not ray.is_initialized()
    if is_ours:
        _join(ray)
    try:
        yield from _ray_rows(ray, task, left, jobs or len(left))
    except ray.exceptions.RayError as error:
        reason = str(error).strip().rpartition("\n")[2]  # above it stands the trace of the task
        raise PlanError(
            f"a Ray task of the sweep failed ({reason}); what is done is kept: mend the cluster "
            "and sweep again"
        ) from error
    finally:
        if is_ours:
            ray.shutdown()


def _join(ray: ModuleType) -> None:
    try:
        ray.init(log_to_driver=False, logging_level="error", include_dashboard=False)
    except (ConnectionError, ValueError) as error:
        raise PlanError(
            f"RAY_ADDRESS = {os.environ.get('RAY_ADDRESS', '')!r} leads to no Ray cluster "
            f"({' '.join(str(error).split())}); begin it, or unset RAY_ADDRESS to use this machine"
        ) from error


def _ray_rows(
    ray: ModuleType, task: Task, left: Mapping[int, Candidate], most: int
) -> Iterator[tuple[int, Row]]:
    """Keep at most so many tasks under way; yield their rows as they end."""
    shared, there = ray.put(task), ray.remote(_measure_there)  # the graph is handed over once
    waiting, under_way = iter(left.items()), {}
    try:
        while True:
            while len(under_way) < most and (item := next(waiting, None)):
                under_way[there.remote(shared, item[1])] = item[0]
            if not under_way:
                return
            for done in ray.wait(list(under_way), num_returns=1)[0]:
                sources, row = ray.get(done)
                if sources != sources_hash(ROOMS):
                    raise PlanError(
                        "a machine of the Ray cluster has other sources of Jiriki than this one; "
                        "install the same on all, or leave --workers out"
                    )
                yield under_way.pop(done), row
    finally:
        for task_left in under_way:
            ray.cancel(task_left, force=True)


def _measure_there(task: Task, candidate: Candidate) -> tuple[str, Row]:
    """Return the row and the sources that made it: another machine may have others."""
    return sources_hash(ROOMS), measure(task, candidate)
