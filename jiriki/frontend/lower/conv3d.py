"""Convolutions over depth as convolutions over (y, x): the taps along depth become channels.

In: x [N,C,D,H,W] and, for each output depth, which slices of x its taps read. Out: one image per
output depth, [N*D',taps*C,H,W], whose channels are those slices behind one another, and weights to
match. One accumulator then sums all taps, so the result is exact and is requantised once.
"""

from __future__ import annotations

import numpy as np

from jiriki.frontend.lower.window import Span
from jiriki.graph import Attr, GraphBuilder

Taps = list[list[int]]  # per output depth, the slice that each tap reads; outside 0..D-1: padding


def transposed_taps(span: Span, extra: int) -> Taps:
    """Return which slices a transposed convolution sums into each output depth.

    extra: output_padding.
    """
    outputs = span.stride * (span.size - 1) + extra + span.reach - span.before - span.after
    return [
        [_source(span, out + span.before - tap * span.dilation) for tap in range(span.kernel)]
        for out in range(outputs)
    ]


def _source(span: Span, position: int) -> int:
    """Return the slice whose product lands on a position, or -1 when there is none."""
    return position // span.stride if position % span.stride == 0 else -1


def stack_slices(
    builder: GraphBuilder, x: str, taps: Taps, fill: int, group: int, output: str, source: str
) -> str:
    """Return x [N,C,D,H,W] as [N*D',taps*C,H,W], channels in the order [group][tap][C/group].

    fill: what padding holds; taps: of one output depth at least.
    """
    batch, channels, depth, *plane = builder.tensors[x].shape
    base = f"{output}/slices"
    y = builder.emit("transpose", [x], {"perm": (0, 2, 1, 3, 4)}, base, source)
    flat = [tap if 0 <= tap < depth else depth for row in taps for tap in row]
    if depth in flat:
        pads = (0, 0, 0, 0, 0, 0, 1, 0, 0, 0)
        attrs: dict[str, Attr] = {"pads": pads, "mode": "constant", "value": float(fill)}
        y = builder.emit("pad", [y], attrs, base, source)
    if flat != list(range(depth)):
        y = builder.emit("gather", [y], {"axis": 1, "indices": tuple(flat)}, base, source)
    images, count = batch * len(taps), len(taps[0])
    if group > 1 and count > 1:
        inner = (images, count, group, channels // group, plane[0] * plane[1])
        y = builder.emit("reshape", [y], {"shape": inner}, base, source)
        y = builder.emit("transpose", [y], {"perm": (0, 2, 1, 3, 4)}, base, source)
    shape = (images, count * channels, *plane)
    return builder.emit("reshape", [y], {"shape": shape}, base, source)


def unstack_slices(builder: GraphBuilder, y: str, batch: int, output: str, source: str) -> str:
    """Return images [N*D',O,H,W] as [N,O,D',H,W]."""
    images, *rest = builder.tensors[y].shape
    attrs: dict[str, Attr] = {"shape": (batch, images // batch, *rest)}
    y = builder.emit("reshape", [y], attrs, output, source)
    return builder.emit("transpose", [y], {"perm": (0, 2, 1, 3, 4)}, output, source)


def stack_weights(w: np.ndarray) -> np.ndarray:
    """Return conv weights [O,C/group,kd,kh,kw] as [O,kd*C/group,kh,kw]."""
    outputs, per_group, depth, *plane = w.shape
    return w.transpose(0, 2, 1, 3, 4).reshape(outputs, depth * per_group, *plane)


def stack_transposed_weights(w: np.ndarray, group: int) -> np.ndarray:
    """Return conv_transpose weights [C,O/group,kd,kh,kw] as [kd*C,O/group,kh,kw], by group."""
    channels, outputs, depth, *plane = w.shape
    blocks = w.reshape(group, channels // group, outputs, depth, *plane)
    return blocks.transpose(0, 3, 1, 2, 4, 5).reshape(depth * channels, outputs, *plane)
