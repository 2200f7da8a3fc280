"""Arithmetic on 8- and 16-bit integers against ONNX Runtime: equal, wrap-around included."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import node

COMPARISONS = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
BYTES, WORDS = ("int8", "uint8"), ("int16", "uint16")
CASES = [
    *((op, dtype) for op in (*COMPARISONS, "Add", "Sub") for dtype in (*BYTES, *WORDS)
      if (op, dtype) != ("Equal", "int8")),
    *((op, dtype) for op in ("Mul", "Max", "Min") for dtype in BYTES),
]  # fmt: skip


def typed_model(op: str, dtype: str, constant: np.ndarray | None = None) -> onnx.ModelProto:
    """Return a model of one node of inputs a and b, or of a and a constant b."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    shapes = {"a": (3, 40), "b": (3, 40)} if constant is None else {"a": (3, 40)}
    result = onnx.TensorProto.BOOL if op in COMPARISONS else kind
    graph = helper.make_graph(
        [node(op, "ab")],
        "net",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", result, (3, 40))],
        [] if constant is None else [numpy_helper.from_array(constant, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def numbers(dtype: str, seed: int) -> np.ndarray:
    """Return numbers of the whole range, its ends among them; every fifth is small."""
    rng = np.random.default_rng(seed)
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, (3, 40), endpoint=True)
    values[:, ::5] = rng.integers(0, 3, (3, 8))
    values[0, :2], values[1, :2] = limits.min, limits.max
    return values.astype(dtype)


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_small_integers_equal_onnxruntime(op, dtype):
    a, b = numbers(dtype, 1), numbers(dtype, 2)
    for net, feeds in (
        (typed_model(op, dtype), {"a": a, "b": b}),
        (typed_model(op, dtype, b), {"a": a}),
    ):
        ours, theirs = evaluate(import_onnx(net), feeds)["y"], reference_outputs(net, feeds)["y"]
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_products_of_words_are_refused():
    with pytest.raises(UnsupportedOperatorError, match="exceed float32's 2\\^24"):
        import_onnx(typed_model("Mul", "int16"))
