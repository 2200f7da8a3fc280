"""Sweeps on Ray: what is asked of its interface, by a module of the same functions in its place.

Ray itself is no dependency of the tests; the stand-in executes a task when it is waited for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.plan.errors import PlanError
from jiriki.plan.sweep import Row, Task, Workers, candidates, check_workers, parse_vary, sweep
from jiriki.plan.sweep.workers import measure_all
from tests.graph.graphs import conv_graph


class RayError(Exception):
    """As `ray.exceptions.RayError`, the root of its errors."""


class StandIn(ModuleType):
    """The functions of Ray that a sweep calls; the last task that was begun ends first."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__spec__ = ModuleSpec("ray", None)
        self.exceptions = SimpleNamespace(RayError=RayError)
        self.tasks: dict[str, Callable[[], Any]] = {}
        self.most, self.begun, self.calls = 0, 0, list[str]()

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: object) -> None:
        self.calls.append("init")

    def shutdown(self) -> None:
        self.calls.append("shutdown")

    def put(self, value: object) -> object:
        self.calls.append("put")
        return value

    def remote(self, function: Callable[..., Any]) -> SimpleNamespace:
        def begin(*arguments: object) -> str:
            self.begun += 1
            self.tasks[f"task {self.begun}"] = lambda: function(*arguments)
            self.most = max(self.most, len(self.tasks))
            return f"task {self.begun}"

        return SimpleNamespace(remote=begin)

    def wait(self, tasks: list[str], num_returns: int) -> tuple[list[str], list[str]]:
        return tasks[-num_returns:], tasks[:-num_returns]

    def get(self, task: str) -> Any:
        return self.tasks.pop(task)()

    def cancel(self, task: str, force: bool) -> None:
        self.calls.append(f"cancel {task}")


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def a_sweep(folder: Path, workers: Workers, jobs: int | None = None) -> list[Row]:
    task = Task(conv_graph(np.random.default_rng(0)), 1, "14nm", folder)
    chosen = list(candidates(load_chip("nano"), parse_vary(["mu=4,8,5", "banks=2,4"])))
    return sweep(task, chosen, jobs, lambda done: None, workers)


def test_ray_gives_the_rows_of_one_process(ray: StandIn, tmp_path: Path) -> None:
    rows = a_sweep(tmp_path / "ray", Workers.RAY)
    assert rows == a_sweep(tmp_path / "here", Workers.PROCESSES, 1)
    assert ray.calls == ["init", "put", "shutdown"] and (ray.begun, ray.most) == (6, 6)


def test_as_many_chips_are_under_way_as_asked_for(ray: StandIn, tmp_path: Path) -> None:
    a_sweep(tmp_path, Workers.RAY, jobs=2)
    assert (ray.begun, ray.most) == (6, 2)


def test_a_task_that_fails_ends_the_sweep_in_one_line(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise RayError("a trace\nof some lines\nValueError: planted\n")

    monkeypatch.setattr("jiriki.plan.sweep.workers.measure", fail)
    with pytest.raises(PlanError, match=r"failed \(ValueError: planted\); what is done is kept"):
        a_sweep(tmp_path, Workers.RAY, jobs=2)
    assert ray.calls[-3:] == ["cancel task 1", "cancel task 2", "shutdown"]


def test_a_cluster_that_does_not_answer_is_named(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**options: object) -> None:
        raise ConnectionError("ray client\ntimed out")

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.9:6379")
    with pytest.raises(PlanError, match=r"RAY_ADDRESS = '10.0.0.9:6379' leads to no Ray cluster"):
        a_sweep(tmp_path, Workers.RAY)
    assert ray.begun == 0


def test_rows_of_a_machine_with_another_compiler_are_refused(
    ray: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "jiriki.plan.sweep.workers._measure_there", lambda task, candidate: ("other", Row({}))
    )
    with pytest.raises(PlanError, match="install the same on all"):
        a_sweep(tmp_path, Workers.RAY)
    assert list(tmp_path.iterdir()) == []


def test_without_ray_it_is_refused_before_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jiriki.plan.sweep.workers.find_spec", lambda name: None)
    with pytest.raises(PlanError, match="pip install ray"):
        check_workers(Workers.RAY)
    assert check_workers(Workers.PROCESSES) is None


def test_nothing_left_begins_no_worker(tmp_path: Path) -> None:
    task = Task(conv_graph(np.random.default_rng(0)), 1, "14nm", tmp_path)
    assert list(measure_all(task, {}, None, Workers.PROCESSES)) == []
