"""Numerics room: the one definition of the chip's arithmetic.

Everything here is bit-exact to the gates; the functional simulator calls it on whole arrays.
"""

from jiriki.errors import JirikiError
from jiriki.numerics.accumulate import largest_exact_k
from jiriki.numerics.errors import NumericsError
from jiriki.numerics.formats import (
    BF16_NAN_BITS,
    FP32_NAN_BITS,
    Format,
    FormatSpec,
    bf16_to_fp32,
    fp32_to_bf16,
    pack_int4,
    unpack_int4,
)
from jiriki.numerics.fp32 import (
    CANONICAL_NAN,
    SMALLEST_NORMAL,
    Comparison,
    absolute,
    add,
    clean,
    compare,
    flush,
    fp32_to_int,
    int_to_fp32,
    maximum,
    minimum,
    mul,
    neg,
    select,
    sub,
)
from jiriki.numerics.functions import exp2, log2, recip, rsqrt
from jiriki.numerics.reduce import (
    LANES,
    argmax,
    reduce_max,
    reduce_sum,
    reduce_sum_of_squares,
)
from jiriki.numerics.requant import quantise, requantise
from jiriki.numerics.tables import Lut8, SegmentTable

__all__ = [
    "BF16_NAN_BITS",
    "CANONICAL_NAN",
    "FP32_NAN_BITS",
    "LANES",
    "SMALLEST_NORMAL",
    "Comparison",
    "Format",
    "FormatSpec",
    "JirikiError",
    "Lut8",
    "NumericsError",
    "SegmentTable",
    "absolute",
    "add",
    "argmax",
    "bf16_to_fp32",
    "clean",
    "compare",
    "exp2",
    "flush",
    "fp32_to_bf16",
    "fp32_to_int",
    "int_to_fp32",
    "largest_exact_k",
    "log2",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pack_int4",
    "quantise",
    "recip",
    "reduce_max",
    "reduce_sum",
    "reduce_sum_of_squares",
    "requantise",
    "rsqrt",
    "select",
    "sub",
    "unpack_int4",
]
