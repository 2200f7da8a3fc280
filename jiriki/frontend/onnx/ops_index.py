"""Positions of extremes, and elements at stored positions: ArgMax, ArgMin, TopK, GatherElements.

In: standard ONNX nodes. Out: graph operations of the same meaning. The position of an extreme is
the least (or greatest) of the positions at which the values equal their maximum; TopK takes one
maximum after the other. A row that holds NaN has no position of its own: the last is returned.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.onnx.context import Context, int_attribute, label
from jiriki.frontend.onnx.ops_float import finish, float_input, number, step
from jiriki.frontend.onnx.ops_move import gathered
from jiriki.frontend.onnx.registry import takes
from jiriki.graph import Attr

f32 = np.float32
LARGEST_K = 64  # each of TopK's results is one pass over the row
BYTES = ("int8", "uint8")


def _ordered(context: Context, node: onnx.NodeProto, largest: bool) -> str:
    """Return the input as float32, negated when the least is wanted: then the maximum is first."""
    if context.value(node, 0).dtype in BYTES:
        x = step(context, node, "cast", context.tensor(node, 0), to="f32")
    else:
        x = float_input(context, node)
    return x if largest else step(context, node, "neg", x)


def _positions(context: Context, node: onnx.NodeProto, shape: tuple[int, ...], axis: int) -> str:
    """Return 0, 1, 2 … along the axis, shaped to broadcast."""
    spread = [1] * len(shape)
    spread[axis] = shape[axis]
    places = np.arange(shape[axis], dtype=f32).reshape(spread)
    return context.add_constant(f"{node.output[0]}/positions", places)


def _first_where(
    context: Context, node: onnx.NodeProto, hit: str, positions: str, axis: int, keepdims: int = 1
) -> str:
    """Return the least position at which `hit` is 1; the last where it is 1 nowhere."""
    last = number(context, node, float(context.tensors[positions].shape[axis] - 1))
    candidates = step(context, node, "where", hit, positions, last)
    return step(context, node, "reduce_min", candidates, axes=(axis,), keepdims=keepdims)


@takes("ArgMax", "ArgMin")
def position_of_extreme(context: Context, node: onnx.NodeProto) -> None:
    """Return the first position of the extreme along an axis, or the last."""
    x = _ordered(context, node, node.op_type == "ArgMax")
    shape = context.tensors[x].shape
    axis = int_attribute(node, "axis", 0) % len(shape)
    keepdims = int_attribute(node, "keepdims", 1)
    top = step(context, node, "reduce_max", x, axes=(axis,), keepdims=1)
    hit = step(context, node, "equal", x, top)
    positions = _positions(context, node, shape, axis)
    if int_attribute(node, "select_last_index", 0):
        none = number(context, node, -1.0)
        candidates = step(context, node, "where", hit, positions, none)
        position = step(context, node, "reduce_max", candidates, axes=(axis,), keepdims=keepdims)
        position = step(context, node, "relu", position)
    else:
        position = _first_where(context, node, hit, positions, axis, keepdims)
    finish(context, node, step(context, node, "cast", position, to="i32"), "int64")


@takes("TopK")
def top_k(context: Context, node: onnx.NodeProto) -> None:
    """Return the k largest (or least) values along an axis in order, and their positions."""
    largest = bool(int_attribute(node, "largest", 1))
    dtype = context.value(node, 0).dtype
    if dtype in BYTES:
        raise context.unsupported(node, f"TopK of {dtype} is not taken", "cast to float32 first")
    x = _ordered(context, node, largest)
    shape = context.tensors[x].shape
    axis = int_attribute(node, "axis", -1) % len(shape)
    k = int_attribute(node, "k", 0) if len(node.input) == 1 else int(context.scalar(node, 1))
    if not 1 <= k <= min(LARGEST_K, shape[axis]):
        raise context.unsupported(
            node,
            f"k = {k} is outside 1..{min(LARGEST_K, shape[axis])}",
            f"take at most {LARGEST_K}, and no more than the axis has",
        )
    values, places = _passes(context, node, x, axis, k)
    if not largest:
        values = step(context, node, "neg", values)
    finish(context, node, values)
    if len(node.output) > 1 and node.output[1]:
        whole = context.emit("cast", [places], {"to": "i32"}, node.output[1], label(node))
        context.bind(node, whole, "int64", 1)


def _passes(context: Context, node: onnx.NodeProto, x: str, axis: int, k: int) -> tuple[str, str]:
    """Take the maximum k times; what was taken no longer counts, even where it is -inf."""
    shape = context.tensors[x].shape
    positions = _positions(context, node, shape, axis)
    true, lowest = number(context, node, 1.0), number(context, node, -np.inf)
    open_ = context.add_constant(f"{node.output[0]}/open", np.ones(shape, f32))
    tops, places = [], []
    for _ in range(k):
        top = step(context, node, "reduce_max", x, axes=(axis,), keepdims=1)
        hit = step(context, node, "mul", step(context, node, "equal", x, top), open_)
        place = _first_where(context, node, hit, positions, axis)
        tops.append(top)
        places.append(place)
        if len(tops) < k:
            taken = step(context, node, "equal", positions, place)
            x = step(context, node, "where", taken, lowest, x)
            open_ = step(context, node, "mul", open_, step(context, node, "sub", true, taken))
    join: dict[str, Attr] = {"axis": axis}
    if k == 1:
        return tops[0], places[0]
    return step(context, node, "concat", *tops, **join), step(
        context, node, "concat", *places, **join
    )


@takes("GatherElements")
def gather_elements(context: Context, node: onnx.NodeProto) -> None:
    """Return the elements at stored positions along one axis, each row with its own."""
    x = context.value(node, 0)
    axis = int_attribute(node, "axis", 0) % len(x.shape)
    indices, size = context.constant(node, 1), x.shape[axis]
    outside = [int(i) for i in indices.reshape(-1) if not -size <= i < size]
    if outside:
        raise context.unsupported(
            node, f"index {outside[0]} is outside axis {axis} of {size}", "correct the indices"
        )
    at = np.indices(indices.shape)
    at[axis] = indices % size
    flat = np.ravel_multi_index(tuple(at), x.shape).reshape(-1)
    carrier = context.carrier(node)
    row: dict[str, Attr] = {"shape": (int(np.prod(x.shape)),)}
    tensor = context.emit("reshape", [carrier.tensor], row, node.output[0], label(node))
    tensor = gathered(context, node, tensor, 0, tuple(flat.tolist()))
    shape: dict[str, Attr] = {"shape": indices.shape}
    tensor = context.emit("reshape", [tensor], shape, node.output[0], label(node))
    context.bind_moved(node, carrier, tensor)
