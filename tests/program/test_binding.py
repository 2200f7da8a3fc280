"""Host arrays become the blocked form element by element as the Binding's sentence says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiriki.program import Binding, ProgramError
from jiriki.program.binding import binding_bytes, pack, unpack


@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    ku=st.sampled_from([1, 4, 16]),
    axis=st.none() | st.integers(0, 3),
    dtype=st.sampled_from(["int8", "int16", "int32", "float32"]),
)
def test_every_element_lies_where_the_blocked_form_puts_it(shape, ku, axis, dtype):
    axis = None if axis is None else axis % len(shape)
    binding = Binding("x", 0, tuple(shape), axis, dtype, dtype)
    x = np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)

    data = pack(binding, x, ku)

    assert data.size == binding_bytes(binding, ku)
    blocked = data.view(dtype)
    others = [n for i, n in enumerate(shape) if i != axis]
    seen = np.zeros(blocked.size, bool)
    for place in np.ndindex(*shape):
        channel = 0 if axis is None else place[axis]
        at = 0
        for i, n in zip([p for i, p in enumerate(place) if i != axis], others, strict=True):
            at = at * n + i
        at = ((channel // ku) * int(np.prod(others)) + at) * ku + channel % ku
        assert blocked[at] == x[place]
        seen[at] = True
    assert not blocked[~seen].any()
    assert np.array_equal(unpack(binding, data, ku), x)


def test_quantising_at_the_boundary_rounds_half_to_even_and_saturates():
    binding = Binding("x", 0, (8,), 0, "int8", "float32", 0.5, 3)
    x = np.array([0.25, 0.75, -0.25, 100.0, -100.0, np.inf, -np.inf, 1.0], np.float32)

    data = pack(binding, x, 4)

    assert data.view(np.int8).tolist() == [3, 5, 3, 127, -128, 127, -128, 5]
    back = unpack(binding, data, 4)
    assert back.tolist() == [0, 1, 0, 62, -65.5, 62, -65.5, 1]
    assert back.dtype == np.float32


def test_quantising_divides_in_float32():
    # 0.15 / 0.1 is 1.5 in float32 and 1.4999999 in float64 of the same numbers
    scale, x = 0.1, np.float32(0.25)
    binding = Binding("x", 0, (1,), 0, "int8", "float32", scale, 0)

    q = int(pack(binding, np.array([x]), 4).view(np.int8)[0])

    assert q == int(np.rint(np.float32(x) / np.float32(scale)))


def test_uint8_becomes_int8_by_subtracting_the_zero_point():
    binding = Binding("x", 0, (3,), 0, "int8", "uint8", None, 128)
    x = np.array([0, 128, 255], np.uint8)

    data = pack(binding, x, 4)

    assert data.view(np.int8).tolist() == [-128, 0, 127, 0]
    assert unpack(binding, data, 4).tolist() == [0, 128, 255]


def test_a_wrong_shape_or_type_is_refused():
    binding = Binding("image", 0, (1, 3), 1, "int8", "float32", 0.5, 0)

    with pytest.raises(ProgramError, match=r"image: shape \(3, 1\) is not \(1, 3\)"):
        pack(binding, np.zeros((3, 1), np.float32), 4)
    with pytest.raises(ProgramError, match="image: type float64 is not float32"):
        pack(binding, np.zeros((1, 3)), 4)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**40])
def test_integers_beyond_int32_are_refused(value):
    binding = Binding("x", 0, (3,), None, "int32", "int64")
    with pytest.raises(ProgramError, match=f"{value} exceeds int32"):
        pack(binding, np.array([1, -2, value]), 4)
