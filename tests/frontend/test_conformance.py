"""A sample of ONNX's own operator cases on the chip; `bench/onnx_nodes.py` runs all of them."""

from __future__ import annotations

import importlib

import pytest

from bench import onnx_nodes

MODULES = (
    "clip", "concat", "conv", "gemm", "hardswish", "layernormalization", "matmul", "maxpool",
    "mul", "relu", "softmax", "transpose",
)  # fmt: skip


def sample() -> list:
    """Return the cases of a dozen operators; importing all of them takes half a minute."""
    nodes = importlib.import_module("onnx.backend.test.case.node")
    for module in MODULES:
        importlib.import_module(f"{nodes.__name__}.{module}")
    operators = {"".join(module.split("_")) for module in MODULES}
    cases = sorted(nodes._NodeTestCases, key=lambda case: case.name)
    return [c for c in cases if c.model.graph.node[0].op_type.lower() in operators]


@pytest.fixture(scope="module")
def verdicts() -> list[onnx_nodes.Verdict]:
    cases = sample()
    onnx_nodes._BY_NAME.update({case.name: case for case in cases})
    return [onnx_nodes.run_named(case.name) for case in cases]


def test_no_case_has_a_wrong_value(verdicts):
    assert [v for v in verdicts if v.kind == onnx_nodes.WRONG] == []


def test_float_cases_pass_and_say_what_had_to_be_stored(verdicts):
    kinds = {v.case: v.kind for v in verdicts}
    assert kinds["test_relu"] == onnx_nodes.PASS
    assert kinds["test_matmul_2d"] == onnx_nodes.PASS  # both operands are inputs
    assert kinds["test_basic_conv_with_padding"] == onnx_nodes.STORED_PASS  # its weights
    plain = [v for v in verdicts if v.plain and not v.expanded]
    assert sum(v.passed for v in plain) >= 0.9 * len(plain)
