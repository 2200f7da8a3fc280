"""Parts of MX against their arithmetic, and what a chip must allow."""

# pyright: reportAttributeAccessIssue=false

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Fragment

from jiriki.chip.catalogue import load_chip
from jiriki.rtl.errors import RtlError
from jiriki.rtl.matrix import MatrixUnit
from jiriki.rtl.matrix.element import Element
from jiriki.rtl.matrix.pixels import FirstPixels
from jiriki.rtl.matrix.records import Shape
from jiriki.rtl.simulate.vectors import Vectors
from tests.rtl.matrix.bench import shaped


def test_an_element_adds_dot_products_and_keeps_the_last_in_its_shadow():
    rng = np.random.default_rng(5)
    n, ku = 4000, 4
    terms, weights = rng.integers(-128, 128, (2, n, ku))
    terms[:8], weights[:8] = -128, -128
    clear, last, used = rng.random((3, n)) < ((0.1,), (0.2,), (0.8,))
    clear[0] = used[0] = True
    at = np.arange(n)
    inputs = {
        "terms": packed(terms), "weights": packed(weights), "multiply": used,
        "add": np.roll(used, 1) & (at > 0), "accumulate": np.roll(used, 2) & (at > 1),
        "clear": np.roll(clear, 2), "last": np.roll(last, 2),
    }  # fmt: skip
    out = Vectors(Element(ku), "element").run(
        {k: v.astype(np.uint8) if v.dtype == bool else v for k, v in inputs.items()}, latency=3
    )
    total, shadow, want = 0, 0, []
    for i in range(n - 3):
        if used[i]:
            total = int(terms[i] @ weights[i]) + (0 if clear[i] else total)
            shadow = total if last[i] else shadow
        want.append(shadow)
    assert out["shadow"].view(np.int32)[: n - 3].tolist() == want


def packed(numbers: np.ndarray) -> np.ndarray:
    """Return rows of 4 int8 as uint32."""
    return np.ascontiguousarray(numbers.astype(np.int8)).view(np.uint32).reshape(-1)


def test_the_first_pixels_are_where_division_puts_them():
    chip = shaped(4, 4, 1, 4)
    rng = np.random.default_rng(6)
    n = 3000
    ow = np.concatenate((np.arange(1, 40), rng.integers(1, 1 << 15, n - 39)))
    sy, sx = rng.integers(0, 32, (2, n))
    py, px = rng.integers(-2048, 2048, (2, n))
    pitch, origin = rng.integers(0, 1 << 13, (2, n))
    inputs = {
        "window__ow": ow.astype(np.uint16), "window__sy": sy.astype(np.uint8),
        "window__sx": sx.astype(np.uint8), "window__py": py.astype(np.uint16),
        "window__px": px.astype(np.uint16), "products__row": (sy * pitch % 8192).astype(np.uint16),
        "origin": origin.astype(np.uint16),
    }  # fmt: skip
    component = FirstPixels(Shape(chip))
    rest = {p.name for p in Vectors(component, "first_pixels").ports if p.is_input} - {*inputs}
    zeros = {name: np.zeros(n, np.uint32) for name in rest}
    out = Vectors(component, "first_pixels").run(inputs | zeros)
    for i in range(4):
        oy, ox = divmod(i, ow)
        assert np.array_equal(out[f"pixels__{i}__ox"], ox)
        assert np.array_equal(out[f"pixels__{i}__iy"], (oy * sy - py) % (1 << 21))
        assert np.array_equal(out[f"pixels__{i}__ix"], (ox * sx - px) % (1 << 21))
        word = (origin + oy * sy * pitch + ox * sx) % 8192
        assert np.array_equal(out[f"pixels__{i}__word"], word)


@pytest.mark.parametrize(("shape", "inline"), [((16, 16, 4, 16), True), ((8, 8, 4, 16), False)])
def test_larger_arrays_elaborate_inline_and_with_elements_of_their_own(shape, inline):
    chip = replace(shaped(*shape), scratchpad_bytes=1 << 18)
    assert Fragment.get(MatrixUnit(chip, inline=inline), None).subfragments


def test_a_latency_that_the_stages_do_not_fit_in_is_refused():
    chip = replace(load_chip("nano"), mx_latency_cycles=6)
    with pytest.raises(RtlError, match="mx_latency_cycles = 6 is less than the 7 stages"):
        Shape(chip)
