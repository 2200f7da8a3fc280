"""Windows of convolutions and poolings: ONNX attributes to explicit (y, x) geometry.

In: kernel_shape, strides, pads, auto_pad, dilations, ceil_mode of a 1-D or 2-D node.
Out: `Window` with two spatial axes; a 1-D node gets a height of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from jiriki.frontend.context import Context, int_attribute, label, list_attribute, text_attribute


@dataclass(frozen=True)
class Window:
    """Kernel and its motion over (y, x); pads are top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]


def lift(context: Context, node: onnx.NodeProto, x: str) -> str:
    """Return x [N,C,L] as [N,C,1,L]; x [N,C,H,W] unchanged."""
    shape = context.tensors[x].shape
    if len(shape) == 4:
        return x
    if len(shape) != 3:
        raise context.unsupported(
            node, f"{len(shape) - 2}-D windows are not taken", "use 1-D or 2-D"
        )
    new = (*shape[:2], 1, shape[2])
    return context.emit("reshape", [x], {"shape": new}, f"{x}/2d", label(node))


def lower(context: Context, node: onnx.NodeProto, y: str, rank: int) -> str:
    """Undo `lift` on the result when the ONNX node has rank 3."""
    if rank == 4:
        return y
    shape = context.tensors[y].shape
    return context.emit(
        "reshape", [y], {"shape": (*shape[:2], shape[3])}, node.output[0], label(node)
    )


def read_window(node: onnx.NodeProto, spatial: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Read the window of a conv or pooling over an input of the given spatial sizes."""
    rank = len(spatial)
    strides = list_attribute(node, "strides", [1] * rank)
    dilations = list_attribute(node, "dilations", [1] * rank)
    pads = _read_pads(node, spatial, kernel, strides, dilations)
    if int_attribute(node, "ceil_mode", 0):
        pads = _ceil_pads(spatial, kernel, strides, dilations, pads)
    return make_window(kernel, strides, pads, dilations)


def make_window(
    kernel: tuple[int, ...], strides: list[int], pads: list[int], dilations: list[int]
) -> Window:
    """Build a Window, lifting one spatial axis to two."""
    if len(kernel) == 1:
        kernel, strides, dilations = (1, *kernel), [1, *strides], [1, *dilations]
        pads = [0, pads[0], 0, pads[1]]
    return Window(
        (kernel[0], kernel[1]),
        (strides[0], strides[1]),
        (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]),
    )


def _read_pads(
    node: onnx.NodeProto,
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
) -> list[int]:
    mode = text_attribute(node, "auto_pad", "NOTSET")
    if mode in ("NOTSET", ""):
        return list_attribute(node, "pads", [0] * (2 * len(spatial)))
    if mode == "VALID":
        return [0] * (2 * len(spatial))
    begins, ends = [], []
    for size, k, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
        out = -(-size // stride)
        total = max((out - 1) * stride + (k - 1) * dilation + 1 - size, 0)
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return begins + ends


def _ceil_pads(
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
    pads: list[int],
) -> list[int]:
    """Lengthen the end pads so that flooring gives the ceil_mode size."""
    rank = len(spatial)
    ends = []
    for i in range(rank):
        span = (kernel[i] - 1) * dilations[i] + 1
        out = -(-(spatial[i] + pads[i] + pads[rank + i] - span) // strides[i]) + 1
        if (out - 1) * strides[i] >= spatial[i] + pads[i]:
            out -= 1  # the last window must start inside the input or its left padding
        ends.append(max(pads[rank + i], (out - 1) * strides[i] + span - spatial[i] - pads[i]))
    return pads[:rank] + ends
