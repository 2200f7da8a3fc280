"""fp32 as the chip computes it.

Concept: IEEE single precision with three simplifications. (1) A subnormal input counts as zero of
its sign. (2) A subnormal result becomes zero of its sign; the result looked at is the IEEE result
*after* rounding at subnormal precision, so an exact value of at least 2^-126 - 2^-150 still gives
2^-126. (Gates: the normalised exponent is -127 and the 24 kept significand bits are all ones ->
2^-126, else zero.) (3) Every NaN result is 0x7FC00000. There is no fused multiply-add, so NumPy
float32 plus this clean-up is the exact meaning.
In: float32 arrays (broadcast like NumPy) or Python numbers. Out: new float32 arrays.

Work goes in cache-sized blocks; a block whose inputs and outputs hold no subnormal and no NaN
(both are looked for, not assumed) skips the clean-up, which would then be the identity.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.numerics.errors import NumericsError
from jiriki.numerics.formats import FP32_NAN_BITS, Format

F32 = NDArray[np.float32]

SMALLEST_NORMAL = np.float32(2.0**-126)
CANONICAL_NAN = np.array([FP32_NAN_BITS], dtype=np.uint32).view(np.float32)[0]

_BLOCK_ELEMENTS = 1 << 14
_SIGN = np.uint32(0x80000000)


class Comparison(Enum):
    """The relation a compare tests; with a NaN operand only NE holds."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"


_RELATIONS: dict[Comparison, np.ufunc] = {
    Comparison.EQ: np.equal,
    Comparison.NE: np.not_equal,
    Comparison.LT: np.less,
    Comparison.LE: np.less_equal,
    Comparison.GT: np.greater,
    Comparison.GE: np.greater_equal,
}


def as_fp32(x: ArrayLike) -> F32:
    """Return `x` as a float32 array; Python numbers round to nearest even.

    Raises NumericsError for an array of any other type: conversions are explicit on this chip.
    """
    if isinstance(x, bool | int | float):
        return np.asarray(x, dtype=np.float32)
    array = np.asarray(x)
    if array.dtype != np.float32:
        raise NumericsError(f"fp32 operand is {array.dtype}, not float32; convert it explicitly")
    return array


def is_subnormal(x: F32) -> NDArray[np.bool_]:
    """Tell which elements are subnormal (non-zero and below 2^-126 in magnitude)."""
    subnormal = np.abs(x) < SMALLEST_NORMAL
    subnormal &= x != 0
    return subnormal


def clean_block(block: F32) -> F32:
    """Flush subnormals and canonicalise NaNs of a block; the same object when nothing is to do.

    Two cheap looks come first: |block| has no element below 2^-126 (and no NaN); or, zeros being
    common, twice the bits minus one, which sends zero to the top and subnormals to the bottom.
    """
    if block.size == 0:
        return block
    smallest = np.abs(block).min()  # NaN when the block holds one
    if smallest >= SMALLEST_NORMAL:
        return block
    keys = block.view(np.uint32) << np.uint32(1)
    keys = np.subtract(keys, np.uint32(1))
    if keys.min() < 0x00FFFFFF:
        block = np.where(is_subnormal(block), np.copysign(np.float32(0), block), block)
    if np.isnan(smallest):
        block = np.where(np.isnan(block), CANONICAL_NAN, block)
    return block


def blockwise(
    operation: Callable[..., NDArray[Any]], dtype: type, *operands: ArrayLike
) -> NDArray[Any]:
    """Broadcast operands, apply `operation` to cleaned blocks, and clean float results.

    `operation` is element-wise, takes as many float32 blocks as there are operands (they
    broadcast; a number stays a number) and returns one block, converted to `dtype`.
    """
    arrays = [as_fp32(x) for x in operands]
    with np.errstate(all="ignore"):
        if max(array.size for array in arrays) <= _BLOCK_ELEMENTS // 16:
            return _apply(operation, dtype, [clean_block(array) for array in arrays])
        numbers = {i: clean_block(a) for i, a in enumerate(arrays) if a.ndim == 0}
        iterator = _iterate([a for a in arrays if a.ndim], dtype)
        with iterator:
            for *blocks, out in iterator:  # pyright: ignore[reportGeneralTypeIssues]
                rest = iter([clean_block(block) for block in blocks])
                every = [numbers[i] if i in numbers else next(rest) for i in range(len(arrays))]
                out[...] = _apply(operation, dtype, every)
            return iterator.operands[-1]


def _apply(operation: Callable[..., NDArray[Any]], dtype: type, blocks: list[F32]) -> NDArray[Any]:
    result = np.asarray(operation(*blocks))
    if dtype is np.float32 and result.dtype == np.float32:
        return np.asarray(clean_block(result))
    return result.astype(dtype)


def _iterate(arrays: list[F32], dtype: type) -> np.nditer:
    return np.nditer(
        [*arrays, None],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly"]] * len(arrays) + [["writeonly", "allocate"]],  # type: ignore[arg-type]
        op_dtypes=[np.float32] * len(arrays) + [dtype],
        order="C",
        buffersize=_BLOCK_ELEMENTS,
    )


def clean(x: ArrayLike) -> F32:
    """Return `x` with subnormals as signed zero and every NaN canonical (what a load does)."""
    return blockwise(np.copy, np.float32, x)


def flush(x: ArrayLike) -> F32:
    """Return `x` with subnormals replaced by zero of the same sign; NaN bits are kept."""
    array = as_fp32(x)
    return np.where(is_subnormal(array), np.copysign(np.float32(0), array), array)


def add(a: ArrayLike, b: ArrayLike) -> F32:
    """Add, rounding to nearest even."""
    return blockwise(np.add, np.float32, a, b)


def sub(a: ArrayLike, b: ArrayLike) -> F32:
    """Subtract `b` from `a`, rounding to nearest even."""
    return blockwise(np.subtract, np.float32, a, b)


def mul(a: ArrayLike, b: ArrayLike) -> F32:
    """Multiply, rounding to nearest even."""
    return blockwise(np.multiply, np.float32, a, b)


def _order_zeros(
    result: F32, a: F32, b: F32, combine: Callable[[Any, Any], NDArray[np.uint32]]
) -> F32:
    """Give zero results the sign that `combine` makes of the operands' signs."""
    if result.size == 0:
        return result
    minus_zero = np.iinfo(np.int32).min  # the bits of -0.0: present when the least int32 is
    if a.view(np.int32).min() != minus_zero and b.view(np.int32).min() != minus_zero:
        return result
    bits = combine(a.view(np.uint32), b.view(np.uint32)) & _SIGN
    return np.where(result == 0, bits, result.view(np.uint32)).view(np.float32)


def maximum(a: ArrayLike, b: ArrayLike) -> F32:
    """Return the larger element; a NaN operand gives NaN, and -0 counts as less than +0."""

    def block(x: F32, y: F32) -> F32:
        return _order_zeros(np.maximum(x, y), x, y, np.bitwise_and)

    return blockwise(block, np.float32, a, b)


def minimum(a: ArrayLike, b: ArrayLike) -> F32:
    """Return the smaller element; a NaN operand gives NaN, and -0 counts as less than +0."""

    def block(x: F32, y: F32) -> F32:
        return _order_zeros(np.minimum(x, y), x, y, np.bitwise_or)

    return blockwise(block, np.float32, a, b)


def compare(a: ArrayLike, b: ArrayLike, relation: Comparison) -> F32:
    """Return 1.0 where `a relation b` holds, else +0.0; -0 equals +0, NaN only satisfies NE."""
    return blockwise(_RELATIONS[relation], np.float32, a, b)


def select(condition: ArrayLike, a: ArrayLike, b: ArrayLike) -> F32:
    """Return `a` where `condition` is not zero (a NaN is not zero, a subnormal is), else `b`."""
    return blockwise(lambda c, x, y: np.where(c != 0, x, y), np.float32, condition, a, b)


def neg(x: ArrayLike) -> F32:
    """Flip the sign; NaN stays the canonical NaN."""
    return blockwise(np.negative, np.float32, x)


def absolute(x: ArrayLike) -> F32:
    """Clear the sign; NaN stays the canonical NaN."""
    return blockwise(np.abs, np.float32, x)


def int_to_fp32(x: NDArray[Any]) -> F32:
    """Convert int8, int16 or int32 to fp32, rounding to nearest even."""
    array = np.asarray(x)
    if array.dtype not in (np.int8, np.int16, np.int32):
        raise NumericsError(f"int_to_fp32.x is {array.dtype}; the chip converts int8, int16, int32")
    return array.astype(np.float32)


def fp32_to_int(x: ArrayLike, target: Format) -> NDArray[Any]:
    """Round half to even and saturate to an integer format; NaN gives 0.

    Returns an array of `target.dtype`. Raises NumericsError when target is not an integer format.
    """
    if target.is_float:
        raise NumericsError(f"fp32_to_int.target = {target.value} is not an integer format")
    return blockwise(lambda block: round_block(block, target), target.dtype.type, x)


def round_block(block: F32, target: Format) -> NDArray[Any]:
    """Do fp32_to_int on one block at once."""
    rounded = np.rint(block)
    if rounded.size and np.isnan(rounded.min()):
        rounded = np.where(np.isnan(rounded), np.float32(0), rounded)
    if target is not Format.INT32:
        clipped = np.clip(rounded, np.float32(target.min), np.float32(target.max))
        return clipped.astype(target.dtype)
    # 2^31 - 1 is no fp32: clip at the largest fp32 below 2^31, then saturate what reached 2^31.
    out = np.clip(rounded, np.float32(-(2.0**31)), np.float32(2147483520)).astype(np.int32)
    high = rounded >= np.float32(2.0**31)
    return np.where(high, np.int32(target.max), out) if high.any() else out
