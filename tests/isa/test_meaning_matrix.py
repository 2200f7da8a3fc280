"""MX operations against int64 sums over single multiplications, on every chip of the catalogue."""

from itertools import product

import numpy as np
import pytest

from jiriki.chip.catalogue import load_chip
from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.operations import execute
from jiriki.isa.words import Window

CHIPS = ("nano", "e256", "vta256", "os256")
OLD = 1000  # what the accumulators hold before


def machine(name: str, fill: int | None = None) -> Machine:
    m = Machine(load_chip(name), np.zeros(16, np.uint8))
    m.sp[:] = np.random.default_rng(1).integers(0, 256, m.sp.size, dtype=np.uint8)
    if fill is not None:
        m.sp.view(np.int8)[:] = fill
    m.acc[:] = OLD
    return m


def word(m: Machine, address: int) -> np.ndarray:
    ku = m.chip.ku
    return m.sp.view(np.int8)[address * ku : (address + 1) * ku].astype(np.int64)


def weight(m: Machine, line_byte: int, column: int, w4: bool) -> np.ndarray:
    """Return the ku weights of one column of a line that starts at a byte."""
    ku, out = m.chip.ku, []
    for c in range(ku):
        at = column * ku + c
        if not w4:
            out.append(int(m.sp.view(np.int8)[line_byte + at]))
            continue
        nibble = int(m.sp[line_byte + at // 2]) >> (4 * (at % 2)) & 15
        out.append(nibble - 16 if nibble > 7 else nibble)
    return np.array(out, np.int64)


def at(m: Machine, row: int, stride: int, n: int, p: int) -> int:
    """Return the accumulator of channel n and pixel p, from the sentence in `matrix.py`."""
    ku, beat = m.chip.ku, m.chip.beat_pixels
    return int(m.acc[row + (n // ku) * stride + p // beat, (p % beat) * ku + n % ku])


def check(m: Machine, op, want: np.ndarray) -> None:
    """Compare [p, n] results, the zeros of the register tile, and that nothing else changed."""
    start = OLD if op.accumulate else 0
    p, n = want.shape
    touched = -(-p // m.chip.mu) * m.chip.mu
    untouched = m.acc.copy()
    for q, c in product(range(touched), range(n)):
        value = start + (int(want[q, c]) if q < p else 0)
        assert at(m, op.acc, op.acc_stride, c, q) == value, (q, c)
        ku, beat = m.chip.ku, m.chip.beat_pixels
        untouched[op.acc + (c // ku) * op.acc_stride + q // beat, (q % beat) * ku + c % ku] = OLD
    assert (untouched == OLD).all()


def rows(m: Machine, p: int) -> int:
    return -(-p // m.chip.mu) * m.chip.mu // m.chip.beat_pixels


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("w4", [False, True])
@pytest.mark.parametrize("accumulate", [False, True])
def test_gemm_sums_products_over_k(name, w4, accumulate):
    m = machine(name)
    nu, ku = m.chip.nu, m.chip.ku
    rows_a, steps, tiles = 11, 5, 2
    kstride, nstride = nu + 3, 90
    op = GemmOp(
        700, rows_a, steps, 3000, tiles, 7, accumulate, w4, 40, kstride, nstride,
        rows(m, rows_a) + 1,
    )  # fmt: skip

    execute(op, m)

    want = np.zeros((rows_a, tiles * nu), np.int64)
    for r, n, s in product(range(rows_a), range(tiles * nu), range(steps)):
        line = (3000 + (n // nu) * nstride + s * kstride) * ku
        want[r, n] += (word(m, 700 + s * 40 + r) * weight(m, line, n % nu, w4)).sum()
    check(m, op, want)


WINDOWS = {
    "padded": Window(64, 8, 6, 7, 7, -3, 1, 1, 1, 1, 1, 1, 3, 3),
    "strided": Window(64, 8, 8, 8, 4, 5, 2, 2, 1, 1, 1, 0, 3, 2),
    "dilated": Window(64, 8, 7, 8, 5, 0, 1, 1, 3, 2, 2, 1, 2, 3),
    "rows skipped": Window(64, 8, 8, 8, 4, 0, 2, 2, 1, 1, -1, -1, 1, 1),
}


def pixel_word(m: Machine, w: Window, base: int, g: int, ky: int, kx: int, q: int) -> np.ndarray:
    iy = q // w.ow * w.sy + ky * w.dy - w.py
    ix = q % w.ow * w.sx + kx * w.dx - w.px
    if 0 <= iy < w.h and 0 <= ix < w.w:
        return word(m, base + g * w.plane + iy * w.pitch + ix)
    return np.full(m.chip.ku, w.fill, np.int64)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_conv_reads_through_its_window(name, window):
    m = machine(name)
    nu, ku = m.chip.nu, m.chip.ku
    p, groups, tiles = 13, 3, 2
    w4 = window.sy == 2
    op = ConvOp(500, window, p, groups, 1200, tiles, 8, rows(m, p), False, w4)

    execute(op, m)

    line = nu * ku // (2 if w4 else 1)
    want = np.zeros((p, tiles * nu), np.int64)
    for q, n in product(range(p), range(tiles * nu)):
        taps = product(range(window.kh), range(window.kw), range(groups))
        for step, (ky, kx, g) in enumerate(taps):
            byte = 1200 * ku + ((n // nu) * op.steps + step) * line
            a = pixel_word(m, window, 500, g, ky, kx, q)
            want[q, n] += (a * weight(m, byte, n % nu, w4)).sum()
    check(m, op, want)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_dw_multiplies_each_channel_by_its_own_kernel(name, window):
    m = machine(name)
    nu, ku = m.chip.nu, m.chip.ku
    p, tiles, line = 13, 2, 1
    chunks = -(-window.kw // ku)
    lines = tiles * window.kh * chunks
    if line + lines > m.chip.weight_file_lines:
        tiles, lines = 1, window.kh * chunks
    execute(LdwOp(2000, line + lines), m)
    op = DwOp(500, window, p, tiles, 3, rows(m, p), True, line)

    execute(op, m)

    want = np.zeros((p, tiles * nu), np.int64)
    for q, n in product(range(p), range(tiles * nu)):
        for ky, kx in product(range(window.kh), range(window.kw)):
            at_line = line + (n // nu) * window.kh * chunks + ky * chunks + kx // ku
            w = word(m, 2000 + at_line * nu + n % nu)[kx % ku]
            a = pixel_word(m, window, 500, n // ku, ky, kx, q)[n % ku]
            want[q, n] += a * w
    check(m, op, want)


@pytest.mark.parametrize("name", CHIPS)
def test_gemv_multiplies_the_row_in_the_register_file(name):
    m = machine(name)
    nu = m.chip.nu
    steps, tiles = nu + 2, 3
    execute(LdwOp(100, 2), m)
    op = GemvOp(800, steps, tiles, 5, 2, False, False)

    execute(op, m)

    for n in range(tiles * nu):
        want = sum(
            int((word(m, 100 + s) * word(m, 800 + ((n // nu) * steps + s) * nu + n % nu)).sum())
            for s in range(steps)
        )
        assert at(m, 5, 2, n, 0) == want
    assert all(at(m, 5, 2, n, 1) == 0 for n in range(tiles * nu) if m.chip.beat_pixels > 1)


def test_a_sum_of_the_greatest_products_is_exact_and_then_wraps():
    m = machine("e256", fill=-128)
    steps = 2000  # 8000 products of 2^14: 2^27 < sum, far beyond float32's 2^24
    op = GemmOp(0, 8, steps, 20, 1, 0, False, False, 8, 8, 8, 2)

    execute(op, m)
    first = int(m.acc[0, 0])
    m.acc[:] = 2**31 - 1
    execute(GemmOp(0, 8, steps, 20, 1, 0, True, False, 8, 8, 8, 2), m)

    assert first == 4 * steps * 2**14
    assert int(m.acc[0, 0]) == first + 2**31 - 1 - 2**32


def test_odd_sums_beyond_float32_stay_exact():
    m = machine("e256", fill=127)
    op = GemmOp(0, 8, 1999, 20, 1, 0, False, False, 8, 8, 8, 2)

    execute(op, m)

    assert int(m.acc[0, 0]) == 4 * 1999 * 127 * 127


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (GemmOp(65530, 8, 1, 0, 1, 0, False, False, 8, 8, 8, 2), "lie outside"),
        (GemmOp(0, 8, 1, 65530, 1, 0, False, False, 8, 8, 8, 2), "lie outside"),
        (GemmOp(0, 8, 1, 0, 1, 1022, False, False, 8, 8, 8, 2), "accumulator rows 1022..1025"),
        (GemmOp(0, 8, 1, 0, 1, 0, False, False, 8, 8, 8, 1), "acc_stride = 1"),
        (LdwOp(0, 65), "register file lines 0..64"),
    ],
)
def test_a_reach_beyond_a_memory_is_refused(op, message):
    with pytest.raises(IsaError, match=message):
        execute(op, machine("e256"))
