"""Meaning of the matrix unit: GEMM, CONV, DW, GEMV and LDW (`matrix.py` states it).

In: a resolved operation and the machine. Out: accumulators (or the register file) changed.

Exactness. An int8 product is at most 2^14 in magnitude, so any partial sum of 1024 products is an
integer of at most 2^24, which float32 holds exactly: a float32 matrix product over at most 1024
terms is exact in whatever order, fused or not, BLAS adds them. Longer sums add such pieces in
int32, modulo 2^32 as the accumulators do.
"""

import numpy as np
from numpy.typing import NDArray

from jiriki.isa.errors import IsaError
from jiriki.isa.machine import Machine
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.walk import conv_walk, repeat_lanes, stream_walk
from jiriki.isa.words import Window

EXACT_TERMS = 1024


def execute_gemm(op: GemmOp, machine: Machine) -> None:
    """C[m, n] = sum over k of A[m, k] * B[k, n]."""
    ku = machine.chip.ku
    words = machine.sp_view(op.a * ku, (op.m, op.steps), (ku, op.a_plane * ku), f"V{ku}")
    a = _as_float(words, op.m, op.steps * ku)
    b = _weights(machine, op.b, op.steps, op.n_tiles, op.b_kstride, op.b_nstride, op.w4)
    _accumulate(machine, _product(a, b), op.acc, op.acc_stride, op.accumulate)


def execute_conv(op: ConvOp, machine: Machine) -> None:
    """Convolve by implicit im2col."""
    chip = machine.chip
    walk = conv_walk(op.window, op.p, op.groups)
    words = _gather(machine, op.a, walk.offsets, walk.last)
    if walk.outside is not None:
        words.reshape(-1)[walk.outside] = _fill_word(op.window, chip.ku)
    a = _as_float(words, op.p, op.steps * chip.ku)
    line = chip.nu // 2 if op.w4 else chip.nu
    b = _weights(machine, op.b, op.steps, op.n_tiles, line, op.steps * line, op.w4)
    _accumulate(machine, _product(a, b), op.acc, op.acc_stride, op.accumulate)


def execute_ldw(op: LdwOp, machine: Machine) -> None:
    """Load the register file."""
    chip = machine.chip
    _check_lines(machine, 0, op.lines)
    shape = (op.lines, chip.nu, chip.ku)
    strides = (chip.nu * chip.ku, chip.ku, 1)
    machine.weights[: op.lines] = machine.sp_view(op.b * chip.ku, shape, strides, np.int8)


def execute_dw(op: DwOp, machine: Machine) -> None:
    """Convolve each channel with its own kernel, tap after tap in int32."""
    chip, window = machine.chip, op.window
    groups = op.tiles * chip.nu // chip.ku
    taps = _dw_weights(op, machine, groups)
    total = np.zeros((groups, op.p, chip.ku), np.int32)
    for ky in range(window.kh):
        for kx in range(window.kw):
            walk = stream_walk(window, op.p, groups, ky, kx)
            words = _gather(machine, op.a, walk.offsets, walk.last)
            if walk.outside is not None:
                words.reshape(-1)[walk.outside] = _fill_word(window, chip.ku)
            x = words.view(np.int8).reshape(groups, op.p * chip.ku)
            w = repeat_lanes(taps[ky, kx], op.p)
            total += np.multiply(x, w, dtype=np.int16).reshape(total.shape)
    out = total.transpose(1, 0, 2).reshape(op.p, groups * chip.ku)
    _accumulate(machine, out, op.acc, op.acc_stride, op.accumulate)


def execute_gemv(op: GemvOp, machine: Machine) -> None:
    """Multiply the row in the register file by a matrix; other pixels of the rows become 0."""
    chip = machine.chip
    _check_lines(machine, 0, -(-op.steps // chip.nu))
    row = machine.weights.reshape(-1)[: op.steps * chip.ku].astype(np.float32)
    line = chip.nu // 2 if op.w4 else chip.nu
    b = _weights(machine, op.b, op.steps, op.n_tiles, line, op.steps * line, op.w4)
    _accumulate(machine, _product(row[None], b), op.acc, op.acc_stride, op.accumulate, tile=1)


def _gather(machine: Machine, base: int, offsets: NDArray[np.int64], last: int) -> NDArray[np.void]:
    """Return the words at base + offsets. Raises IsaError when the last lies outside."""
    ku = machine.chip.ku
    count = machine.chip.scratchpad_words - base
    if last >= count:
        raise IsaError(
            f"scratchpad words {base}..{base + last} pass the last, "
            f"{machine.chip.scratchpad_words - 1}; correct the address or the window"
        )
    return machine.sp_view(base * ku, (count,), (ku,), f"V{ku}").take(offsets)


def _fill_word(window: Window, ku: int) -> np.void:
    return np.full(ku, window.fill, np.int8).view(f"V{ku}")[0]


def _as_float(words: NDArray[np.void], rows: int, terms: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(words).view(np.int8).reshape(rows, terms).astype(np.float32)


def _weights(
    machine: Machine, b: int, steps: int, n_tiles: int, kstride: int, nstride: int, w4: bool
) -> NDArray[np.float32]:
    """Return B as [n_tiles * nu, steps * ku] float32."""
    ku, nu = machine.chip.ku, machine.chip.nu
    line = nu * ku // 2 if w4 else nu * ku
    lines = machine.sp_view(
        b * ku, (n_tiles, steps, line), (nstride * ku, kstride * ku, 1), np.int8
    )
    if w4:
        halves = np.stack(((lines << 4) >> 4, lines >> 4), axis=-1)
        lines = halves.reshape(n_tiles, steps, nu * ku)
    words = np.ascontiguousarray(lines).view(f"V{ku}")  # [n_tiles, steps, nu]
    return _as_float(words.transpose(0, 2, 1), n_tiles * nu, steps * ku)


def _product(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return a [p, k] times b [n, k] transposed, exactly: [p, n] int32."""
    k = a.shape[1]
    total = (a[:, :EXACT_TERMS] @ b[:, :EXACT_TERMS].T).astype(np.int32)
    for at in range(EXACT_TERMS, k, EXACT_TERMS):
        piece = a[:, at : at + EXACT_TERMS] @ b[:, at : at + EXACT_TERMS].T
        total += piece.astype(np.int32)
    return total


def _accumulate(
    machine: Machine,
    result: NDArray[np.int32],
    row: int,
    stride: int,
    accumulate: bool,
    tile: int | None = None,
) -> None:
    """Put [p, n] into accumulator rows; pixels up to a whole register tile become (add) 0."""
    chip = machine.chip
    tile = chip.mu if tile is None else tile
    p, n = result.shape
    pixels = -(-p // tile) * tile
    rows = -(-pixels // chip.beat_pixels)
    groups = n // chip.ku
    if groups > 1 and stride < rows:
        raise IsaError(
            f"acc_stride = {stride} is less than the {rows} rows of a channel group, so groups "
            "overwrite each other; enlarge it"
        )
    target = machine.acc_view(row, groups, stride, rows)
    full = rows * chip.beat_pixels
    if full > p:
        result = np.concatenate((result, np.zeros((full - p, n), np.int32)))
    if accumulate:
        target += result.reshape(rows, chip.beat_pixels, groups, chip.ku).transpose(2, 0, 1, 3)
        return
    item = f"V{4 * chip.ku}"
    words = np.ascontiguousarray(result).view(item).reshape(rows, chip.beat_pixels, groups)
    target.view(item)[..., 0] = words.transpose(2, 0, 1)


def _dw_weights(op: DwOp, machine: Machine, groups: int) -> NDArray[np.int8]:
    """Return the kernels as [kh, kw, groups, ku] int8."""
    chip, window = machine.chip, op.window
    lines = op.tiles * op.steps(chip.ku)
    _check_lines(machine, op.line, lines)
    chunks = op.chunks(chip.ku)
    w = machine.weights[op.line : op.line + lines]
    w = w.reshape(op.tiles, window.kh, chunks, chip.nu, chip.ku).transpose(1, 2, 4, 0, 3)
    taps = w.reshape(window.kh, chunks * chip.ku, op.tiles * chip.nu)[:, : window.kw]
    return np.ascontiguousarray(taps).reshape(window.kh, window.kw, groups, chip.ku)


def _check_lines(machine: Machine, first: int, count: int) -> None:
    held = machine.chip.weight_file_lines
    if first + count > held:
        raise IsaError(
            f"register file lines {first}..{first + count - 1} pass the chip's {held}; split the "
            "channels"
        )
