"""Operations that only move elements: any format in, the same format out, bit-exact."""

from __future__ import annotations

from math import prod

import numpy as np

from jiriki.graph.op import (
    Arrays,
    Attrs,
    Op,
    Types,
    broadcast,
    integer,
    integers,
    need,
    real,
    text,
)
from jiriki.graph.tensor import TensorType

PAD_MODES = ("constant", "reflect", "edge")


def _infer_reshape(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    shape = integers(attrs, "shape")
    need(prod(shape) == x.elements, f"{x} has {x.elements} elements, shape {shape} does not")
    return (TensorType(shape, x.dtype),)


def _infer_transpose(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    perm = integers(attrs, "perm")
    need(sorted(perm) == list(range(len(x.shape))), f"perm {perm} does not permute {x}")
    return (TensorType(tuple(x.shape[p] for p in perm), x.dtype),)


def _slices(shape: tuple[int, ...], attrs: Attrs) -> tuple[slice, ...]:
    """Full-rank slices; starts within the axis, ends may be -1 for 'past the first element'."""
    starts, ends = integers(attrs, "starts"), integers(attrs, "ends")
    steps = integers(attrs, "steps")
    need(len(starts) == len(ends) == len(steps) == len(shape), "slice attributes must be full rank")
    need(0 not in steps, "a step must not be 0")
    return tuple(
        slice(start, None if end < 0 else end, step)
        for start, end, step in zip(starts, ends, steps, strict=True)
    )


def _infer_slice(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    shape = tuple(
        len(range(*part.indices(n)))
        for part, n in zip(_slices(x.shape, attrs), x.shape, strict=True)
    )
    return (TensorType(shape, x.dtype),)


def _infer_concat(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    axis = integer(attrs, "axis")
    first = types[0]
    need(0 <= axis < len(first.shape), f"axis {axis} is outside {first}")
    for other in types:
        need(other.dtype == first.dtype, "all inputs must have one format")
        rest = other.shape[:axis] + other.shape[axis + 1 :]
        need(rest == first.shape[:axis] + first.shape[axis + 1 :], "shapes differ beside axis")
    total = sum(t.shape[axis] for t in types)
    return (TensorType((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype),)


def _pad_widths(shape: tuple[int, ...], attrs: Attrs) -> list[tuple[int, int]]:
    pads, rank = integers(attrs, "pads"), len(shape)
    need(len(pads) == 2 * rank, f"pads must be {2 * rank} numbers: all begins, then all ends")
    need(min(pads, default=0) >= 0, "pads must not be negative; use slice to crop")
    need(text(attrs, "mode") in PAD_MODES, f"mode must be one of {PAD_MODES}")
    return list(zip(pads[:rank], pads[rank:], strict=True))


def _infer_pad(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    widths = _pad_widths(x.shape, attrs)
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, widths, strict=True))
    return (TensorType(shape, x.dtype),)


def _infer_expand(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    shape = integers(attrs, "shape")
    need(broadcast([x.shape, shape]) == shape, f"{x} does not expand to {shape}")
    return (TensorType(shape, x.dtype),)


def _infer_gather(types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
    (x,) = types
    axis, indices = integer(attrs, "axis"), integers(attrs, "indices")
    need(0 <= axis < len(x.shape), f"axis {axis} is outside {x}")
    need(
        all(0 <= i < x.shape[axis] for i in indices),
        f"an index is outside 0..{x.shape[axis] - 1}",
    )
    return (TensorType((*x.shape[:axis], len(indices), *x.shape[axis + 1 :]), x.dtype),)


def _pad(arrays: Arrays, attrs: Attrs) -> tuple[np.ndarray, ...]:
    (x,) = arrays
    widths, mode = _pad_widths(x.shape, attrs), text(attrs, "mode")
    if mode == "constant":
        return (np.pad(x, widths, constant_values=x.dtype.type(real(attrs, "value"))),)
    return (np.pad(x, widths, mode="reflect" if mode == "reflect" else "edge"),)


MOVE_OPS = (
    Op(
        "reshape",
        ("x",),
        {"shape": "ints"},
        _infer_reshape,
        lambda arrays, attrs: (arrays[0].reshape(integers(attrs, "shape")),),
        "the same elements in row-major order under another shape",
    ),
    Op(
        "transpose",
        ("x",),
        {"perm": "ints"},
        _infer_transpose,
        lambda arrays, attrs: (np.transpose(arrays[0], integers(attrs, "perm")),),
        "axis i of the output is axis perm[i] of x",
    ),
    Op(
        "slice",
        ("x",),
        {"starts": "ints", "ends": "ints", "steps": "ints"},
        _infer_slice,
        lambda arrays, attrs: (arrays[0][_slices(arrays[0].shape, attrs)],),
        "x[starts:ends:steps] per axis, full rank; an end of -1 runs off the start",
    ),
    Op(
        "concat",
        ("x",),
        {"axis": "int"},
        _infer_concat,
        lambda arrays, attrs: (np.concatenate(arrays, axis=integer(attrs, "axis")),),
        "inputs one after the other along axis",
        variadic=True,
    ),
    Op(
        "pad",
        ("x",),
        {"pads": "ints", "mode": "str", "value": "float"},
        _infer_pad,
        _pad,
        "pads = all begins, all ends; mode constant (value), reflect or edge",
    ),
    Op(
        "expand",
        ("x",),
        {"shape": "ints"},
        _infer_expand,
        lambda arrays, attrs: (np.broadcast_to(arrays[0], integers(attrs, "shape")),),
        "broadcast to shape",
    ),
    Op(
        "gather",
        ("x",),
        {"axis": "int", "indices": "ints"},
        _infer_gather,
        lambda arrays, attrs: (
            np.take(
                arrays[0],
                np.array(integers(attrs, "indices"), np.int64),
                axis=integer(attrs, "axis"),
            ),
        ),
        "x[..., indices, ...] along axis, constant indices (also nearest resize)",
    ),
)
