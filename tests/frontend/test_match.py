"""The model of ONNX Runtime's QLinearAdd and QLinearMul, and the search that matches them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from jiriki.frontend import import_onnx
from jiriki.frontend.onnx.ort_requant import (
    QParam,
    match_add,
    match_mul,
    onnxruntime_add,
    onnxruntime_mul,
)
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate

f32 = np.float32


def pairs_model(op: str, params: list[QParam]) -> onnx.ModelProto:
    """Return the model of one kernel on 65536 pairs of uint8 values."""
    constants = {}
    for letter, param in zip("abc", params, strict=True):
        constants[f"{letter}s"] = f32(param.scale)
        constants[f"{letter}z"] = np.uint8(param.raw_zero_point)
    names = ["a", "as", "az", "b", "bs", "bz", "cs", "cz"]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["c"], domain="com.microsoft")],
        "pairs",
        [helper.make_tensor_value_info(n, TensorProto.UINT8, [65536]) for n in "ab"],
        [helper.make_tensor_value_info("c", TensorProto.UINT8, [65536])],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def every_pair() -> dict[str, np.ndarray]:
    a, b = np.indices((256, 256)).reshape(2, -1).astype(np.uint8)
    return {"a": a, "b": b}


def all_pairs(op: str, params: list[QParam]) -> np.ndarray:
    """Run the kernel on every pair of uint8 values; int8 [256, 256]."""
    (c,) = run_plain(pairs_model(op, params), every_pair())
    return (c.astype(np.int16) - 128).astype(np.int8).reshape(256, 256)


def random_params(seed: int) -> list[QParam]:
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.uniform(-5, 0, 3)).astype(f32)
    points = rng.integers(-128, 128, 3)
    return [QParam(float(s), int(z), 128) for s, z in zip(scales, points, strict=True)]


@pytest.mark.parametrize("seed", range(12))
def test_every_pair_of_the_kernel_is_as_modelled(seed):
    params = random_params(seed)
    np.testing.assert_array_equal(onnxruntime_add(*params), all_pairs("QLinearAdd", params))
    np.testing.assert_array_equal(onnxruntime_mul(*params), all_pairs("QLinearMul", params))


@pytest.mark.parametrize("seed", range(40))
def test_parameters_are_found_that_agree_on_every_pair(seed):
    a, b, c = random_params(seed)
    assert match_add(a, b, c, False).differing == 0
    assert match_mul(a, b, c).differing == 0


def test_a_product_half_way_between_two_steps_rounds_as_the_kernel_does():
    """With an odd zero point no scale of a qmul would do: it rounds before it adds."""
    params = [QParam(0.5, 0, 128), QParam(1.0, -3, 128), QParam(1.0, 3, 128)]
    assert match_mul(*params).differing > 0
    graph = import_onnx(pairs_model("QLinearMul", params))
    got = evaluate(graph, every_pair())["c"].astype(np.int16) - 128
    np.testing.assert_array_equal(got.reshape(256, 256), all_pairs("QLinearMul", params))


def test_a_plain_choice_would_not_agree_everywhere():
    """The search is needed: some configurations have pairs on which the plain constants differ."""
    nudged = 0
    for seed in range(40):
        a, b, c = random_params(seed)
        fit = match_add(a, b, c, False)
        nudged += (fit.ra, fit.rb) != (f32(a.scale) / f32(c.scale), f32(b.scale) / f32(c.scale))
        plain = f32(
            c.zero_point - (np.float64(fit.ra) * a.zero_point + np.float64(fit.rb) * b.zero_point)
        )
        nudged += fit.fixed != float(plain)
    assert nudged > 0
