"""Windows of convolutions and poolings as explicit geometry, with no source format in them.

In: kernel, stride, padding and dilation of each spatial axis. Out: a `Span` per axis, and from them
a `Window` over (y, x) with, for three axes, the span of its depth; one axis gets a height of 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

POINT = (1, 1, 0, 0, 1)  # kernel, stride, before, after, dilation of an axis with no window


@dataclass(frozen=True)
class Span:
    """A window's extent and motion along one axis of `size` elements.

    `after` includes the padding that ceil_mode adds; `counted` is the part that the model named,
    which is what count_include_pad counts.
    """

    size: int
    kernel: int
    stride: int
    before: int
    after: int
    dilation: int
    counted: int

    @property
    def reach(self) -> int:
        """Elements from the window's first tap to its last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """Positions of the window."""
        return (self.size + self.before + self.after - self.reach) // self.stride + 1

    def taps(self) -> list[list[int]]:
        """Return, for each output and tap, where it reads; beyond 0..size-1 is padding."""
        starts = range(-self.before, -self.before + self.outputs * self.stride, self.stride)
        return [[start + k * self.dilation for k in range(self.kernel)] for start in starts]


@dataclass(frozen=True)
class Window:
    """Kernel and its motion over (y, x); pads are top, left, bottom, right; a 3-D one has depth.

    `counted` are the pads without what ceil_mode added.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    counted: tuple[int, int, int, int]
    depth: Span | None = None


def padded_same(span: Span, upper: bool) -> Span:
    """Pad so that the outputs are size / stride, rounded up."""
    outputs = -(-span.size // span.stride)
    total = max((outputs - 1) * span.stride + span.reach - span.size, 0)
    small, large = total // 2, total - total // 2
    before, after = (small, large) if upper else (large, small)
    return replace(span, before=before, after=after, counted=after)


def ceiled(span: Span) -> Span:
    """Lengthen the end pad so that flooring gives the ceil_mode size."""
    padded = span.size + span.before
    outputs = -(-(padded + span.after - span.reach) // span.stride) + 1
    if (outputs - 1) * span.stride >= padded:
        outputs -= 1  # the last window must start inside the input or its left padding
    after = max(span.after, (outputs - 1) * span.stride + span.reach - padded)
    return replace(span, after=after)


def make_window(spans: Sequence[Span]) -> Window:
    """Join the spans of 1 to 3 axes; a 1-D window gets a height of 1."""
    assert 1 <= len(spans) <= 3, f"a window over {len(spans)} axes"
    depth = spans[0] if len(spans) == 3 else None
    y, x = spans[-2:] if len(spans) > 1 else (Span(1, *POINT, 0), spans[0])
    return Window(
        (y.kernel, x.kernel),
        (y.stride, x.stride),
        (y.before, x.before, y.after, x.after),
        (y.dilation, x.dilation),
        (y.before, x.before, y.counted, x.counted),
        depth,
    )
