"""The NumPy references against slow, plain arithmetic written from the definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from jiriki.graph import OPS
from tests.graph.graphs import CONV

f32 = np.float32


def plain_conv(x, w, bias, attrs):
    """Sum (x - x_zp) * (w - w_zp) + bias element by element, in Python integers."""
    (sy, sx), (dy, dx) = attrs["strides"], attrs["dilations"]
    top, left, bottom, right = attrs["pads"]
    batch, _, height, width = x.shape
    outs, per_group, kh, kw = w.shape
    oh = (height + top + bottom - (kh - 1) * dy - 1) // sy + 1
    ow = (width + left + right - (kw - 1) * dx - 1) // sx + 1
    out = np.zeros((batch, outs, oh, ow), np.int64)
    each = outs // attrs["group"]
    for n, o, i, j in product(range(batch), range(outs), range(oh), range(ow)):
        first = o // each * per_group
        total = int(bias[o])
        for c, ky, kx in product(range(per_group), range(kh), range(kw)):
            y, z = i * sy - top + ky * dy, j * sx - left + kx * dx
            if 0 <= y < height and 0 <= z < width:
                a = int(x[n, first + c, y, z]) - attrs["x_zp"]
                total += a * (int(w[o, c, ky, kx]) - attrs["w_zp"])
        out[n, o, i, j] = total
    return out


@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("extra", [{}, {"strides": (2, 1), "pads": (1, 0, 2, 1)}, {"w_zp": -9}])
def test_conv_accumulates_exactly(group, extra):
    rng = np.random.default_rng(group)
    attrs = {**CONV, "group": group, "x_zp": 7, "out": "i32", **extra}
    x = rng.integers(-128, 128, (2, 4, 6, 5)).astype(np.int8)
    w = rng.integers(-128, 128, (8, 4 // group, 3, 2)).astype(np.int8)
    bias = rng.integers(-9999, 9999, 8).astype(np.int32)
    (got,) = OPS["conv"].reference([x, w, bias, np.ones(8, f32)], attrs)
    np.testing.assert_array_equal(got, plain_conv(x, w, bias, attrs))


@pytest.mark.parametrize("group", [1, 2])
def test_conv_transpose_is_the_adjoint_of_conv(group):
    """<conv(x), y> = <x, conv_transpose(y)> for every x and y, in exact integers."""
    rng = np.random.default_rng(5)
    attrs = {**CONV, "group": group, "out": "i32", "strides": (2, 1), "pads": (1, 0, 1, 1)}
    x = rng.integers(-128, 128, (1, 4, 7, 6)).astype(np.int8)
    w = rng.integers(-128, 128, (6, 4 // group, 3, 3)).astype(np.int8)
    forward = plain_conv(x, w, np.zeros(6, int), attrs)
    y = rng.integers(-128, 128, forward.shape).astype(np.int8)
    operands = [y, w, np.zeros(4, np.int32), np.ones(4, f32)]
    (back,) = OPS["conv_transpose"].reference(operands, {**attrs, "output_padding": (0, 0)})
    assert int((forward * y).sum()) == int((x.astype(np.int64) * back).sum())


def test_matmul_is_exact_where_float32_would_round():
    k = 4096
    a, b = np.full((1, k), 127, np.int8), np.full((k, 1), 127, np.int8)
    a[0, 0] = 126  # an odd sum beyond 2^24
    attrs = {"a_zp": 0, "b_zp": 0, "out_zp": 0, "lo": -128, "hi": 127, "out": "i32"}
    (got,) = OPS["matmul"].reference([a, b, np.zeros(1, np.int32), np.ones(1, f32)], attrs)
    assert got.item() == 127 * 127 * (k - 1) + 126 * 127


def test_requantise_rounds_half_to_even_and_clamps():
    attrs = {"a_zp": 0, "b_zp": 0, "out_zp": 3, "lo": 0, "hi": 100, "out": "i8"}
    a = np.array([[1], [3], [5], [-9], [120]], np.int8)
    operands = [a, np.ones((1, 1), np.int8), np.zeros(1, np.int32), np.array([0.5], f32)]
    (got,) = OPS["matmul"].reference(operands, attrs)
    assert got.reshape(-1).tolist() == [3, 5, 5, 0, 63]


def test_max_pool_ignores_padding():
    attrs = {"kernel": (3, 3), "strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}
    x = np.full((1, 1, 3, 3), -128, np.int8)
    assert (OPS["maxpool"].reference([x], attrs)[0] == -128).all()
    negative = np.full((1, 1, 3, 3), -5, f32)
    assert (OPS["maxpool"].reference([negative], attrs)[0] == -5).all()


def test_average_pool_counts_padding_only_when_told():
    attrs = {"kernel": (2, 2), "strides": (1, 1), "pads": (1, 1, 0, 0), "dilations": (1, 1)}
    x = np.full((1, 1, 2, 2), 8, f32)
    (inside,) = OPS["avgpool"].reference([x], {**attrs, "counted": (0, 0, 0, 0)})
    (counted,) = OPS["avgpool"].reference([x], {**attrs, "counted": (1, 1, 0, 0)})
    assert inside.reshape(-1).tolist() == [8, 8, 8, 8]
    assert counted.reshape(-1).tolist() == [2, 4, 4, 8]


def test_average_pool_counts_only_the_padding_it_is_told():
    attrs = {"kernel": (1, 2), "strides": (1, 2), "pads": (0, 1, 0, 2), "dilations": (1, 2)}
    x = np.full((1, 1, 1, 4), 6, f32)
    (got,) = OPS["avgpool"].reference([x], {**attrs, "counted": (0, 1, 0, 0)})
    assert got.reshape(-1).tolist() == [3, 6, 6]  # reads -1 1, 1 3, 3 5: 5 is not counted


def test_cast_rounds_to_even_and_saturates():
    x = np.array([0.5, 1.5, -2.5, 1e9, -1e9, np.nan], f32)
    (got,) = OPS["cast"].reference([x], {"to": "i8"})
    assert got.tolist() == [0, 2, -2, 127, -128, 0]


def test_subnormal_results_are_flushed():
    tiny = np.array([1e-30], f32)
    (got,) = OPS["mul"].reference([tiny, np.array([1e-10], f32)], {})
    assert got.item() == 0.0


def test_slice_runs_backwards_off_the_start():
    attrs = {"starts": (3,), "ends": (-1,), "steps": (-2,)}
    (got,) = OPS["slice"].reference([np.arange(5, dtype=np.int8)], attrs)
    assert got.tolist() == [3, 1]


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operation_is_described(name):
    op = OPS[name]
    assert op.summary and op.inputs
    assert set(op.constant) <= set(op.inputs)
