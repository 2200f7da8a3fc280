"""Every graph operation has a shape rule, a reference, a source mapping, a planner, a table row."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from jiriki.frontend import supported_operators
from jiriki.graph.ops import OPS
from jiriki.tiling.planners import PLANNERS

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "reference" / "operators.md"
WEIGHTED = {"conv", "matmul"}  # planned by the matrix unit's own planners (tiling.fuse.is_weighted)


@pytest.mark.parametrize("name", OPS)
def test_operation_has_shape_rule_and_reference(name: str) -> None:
    op = OPS[name]
    assert op.name == name and op.summary
    assert callable(op.infer) and callable(op.reference)


@pytest.mark.parametrize("name", OPS)
def test_operation_has_a_planner(name: str) -> None:
    assert name in PLANNERS or name in WEIGHTED


def test_planners_plan_only_operations_that_exist() -> None:
    assert set(PLANNERS) - set(OPS) == set()


@pytest.mark.parametrize("name", OPS)
def test_operation_comes_from_some_source(name: str) -> None:
    """Some module of frontend/ writes the operation by name."""
    assert name in _strings_of_frontend()


def _strings_of_frontend() -> set[str]:
    nodes = [
        node
        for path in (ROOT / "jiriki" / "frontend").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    ]
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


@pytest.mark.parametrize("name", supported_operators())
def test_operator_has_a_conformance_row(name: str) -> None:
    rows = TABLE.read_text("utf-8")
    assert name.rsplit(".", 1)[-1] in rows
