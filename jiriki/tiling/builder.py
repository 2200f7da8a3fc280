"""Builder: what every planner uses to cut one operation into tile operations.

A tensor is *placed* either resident in the scratchpad for its whole life, or in DRAM, from where
`fetch` brings blocks and to which `deliver` sends them. Planners see only `View`s of the
scratchpad and need not know which.
"""

from dataclasses import dataclass, field

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.graph.graph import Graph
from jiriki.isa.words import DType, Window
from jiriki.tiling.errors import TileError
from jiriki.tiling.layout import Layout, layout_of, pack
from jiriki.tiling.tile_program import Area, Buffer, Layer, Move, Space, Stream, TileOp

MAX_RUN = 65_535 // 64 * 64  # bytes of one DMA run, 16 bits


@dataclass(frozen=True, slots=True)
class Placed:
    """A tensor with its place: `plane` element groups from one channel group to the next."""

    name: str
    layout: Layout
    buffer: Buffer
    plane: int
    resident: bool

    def area(self, g0: int, g1: int, p0: int, p1: int) -> Area:
        return Area(self.buffer, g0, g1, p0, p1)


@dataclass(frozen=True, slots=True)
class View:
    """A block of a tensor in the scratchpad: groups [g0, g1) x pixels [p0, p1)."""

    buffer: Buffer
    offset: int  # byte offset of (g0, p0) in the buffer
    plane: int  # element groups between channel groups
    group_bytes: int
    g0: int
    g1: int
    p0: int
    p1: int
    tensor: Placed
    whole: bool  # the buffer holds just this block
    pitch: int = 0  # element groups from one row to the next where rows are spaced out

    def at(self, g: int, p: int) -> int:
        """Byte offset of group g, pixel p of the tensor."""
        return self.offset + ((g - self.g0) * self.plane + p - self.p0) * self.group_bytes

    def area(self, g0: int, g1: int, p0: int, p1: int) -> Area:
        """The area of the buffer that holds this part of the tensor."""
        return Area(self.buffer, g0, g1, p0, p1)

    def stream(self, g: int, p: int, window: Window, dtype: DType, splat: bool = False) -> Stream:
        return Stream(self.buffer, self.at(g, p), window, dtype, splat)


@dataclass
class Builder:
    """State while a graph is cut: operations so far, placements, constants."""

    chip: ChipConfig
    graph: Graph
    ops: list[TileOp] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    layer: int = 0  # index of the layer that operations emitted now belong to
    placed: dict[str, Placed] = field(default_factory=dict)
    available: int = 0  # scratchpad bytes the current operation may plan with
    constants: dict[bytes, Buffer] = field(default_factory=dict)

    def emit(self, op: TileOp) -> None:
        self.ops.append(op)

    def operand(self, name: str) -> Placed:
        """Return a tensor's place; a graph constant is put in DRAM in blocked form on first use."""
        if name not in self.placed:
            array = self.graph.constants[name]
            layout = layout_of(self.graph.tensors[name], self.chip.ku)
            buffer = self.constant(name, pack(array, self.chip.ku))
            self.placed[name] = Placed(name, layout, buffer, layout.pixels, resident=False)
        return self.placed[name]

    def take_ops(self, start: int) -> list[TileOp]:
        """Remove and return the operations emitted since position `start`."""
        taken = self.ops[start:]
        del self.ops[start:]
        return taken

    def scratch(self, name: str, size: int, high: bool = False) -> Buffer:
        """Make a scratchpad buffer of `size` bytes; TileError when it could never fit."""
        if size > self.chip.scratchpad_bytes:
            raise TileError(
                f"layer {self.layers[self.layer].name}: a block of {size} bytes ({name}) exceeds "
                f"the scratchpad of chip {self.chip.name}, {self.chip.scratchpad_bytes} bytes; "
                "choose a chip with a larger scratchpad"
            )
        return Buffer(name, Space.SCRATCHPAD, size, high)

    def accumulators(self, rows: int) -> Buffer:
        return Buffer("acc", Space.ACC, rows)

    def constant(self, name: str, data: np.ndarray | bytes) -> Buffer:
        """Put constant bytes in DRAM once, however often they are asked for."""
        raw = data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
        if raw not in self.constants:
            self.constants[raw] = Buffer(name, Space.DRAM, len(raw), data=raw)
        return self.constants[raw]

    def load_constant(self, constant: Buffer, offset: int, size: int, high: bool = False) -> Buffer:
        """Load `size` bytes of a DRAM constant into a scratchpad buffer of their own."""
        target = self.scratch(constant.name, size, high)
        count, run = _split_run(size)
        self.emit(
            Move(
                layer=self.layer, load=True, dram=constant, dram_offset=offset, sp=target, run=run,
                dims=((count, run, run),) if count > 1 else (), writes=(Area(target),),
            )
        )  # fmt: skip
        return target

    def fetch(
        self, tensor: Placed, g0: int, g1: int, p0: int, p1: int, spread: bool = False
    ) -> View:
        """Return a scratchpad view of groups [g0, g1) x pixels [p0, p1), loading if in DRAM.

        spread: leave space between channel groups so that neighbours sit in different columns
        (for depthwise reads).
        """
        if tensor.resident:
            return _inside(tensor, g0, g1, p0, p1)
        view = self._new_view(tensor, g0, g1, p0, p1, spread)
        self._move(view, load=True)
        return view

    def fetch_rows(
        self, tensor: Placed, g0: int, g1: int, p0: int, p1: int, pitch: int, spread: bool = False
    ) -> View:
        """Like `fetch` for whole rows, `pitch` element groups apart in the scratchpad.

        A resident tensor, or a pitch equal to the row's length, gives what `fetch` gives.
        """
        columns, width = tensor.layout.columns, tensor.layout.group_bytes
        if tensor.resident or pitch == columns:
            return self.fetch(tensor, g0, g1, p0, p1, spread)
        rows = (p1 - p0) // columns
        plane = rows * pitch
        if spread and g1 - g0 > 1:
            plane = spread_plane(plane, self.chip)
        planes = g1 - g0
        if spread:
            per = self.chip.nu // self.chip.ku
            planes = -(-planes // per) * per
        buffer = self.scratch(tensor.name, planes * plane * width)
        view = View(buffer, 0, plane, width, g0, g1, p0, p1, tensor, True, pitch)
        dims = (
            (rows, columns * width, pitch * width),
            (g1 - g0, tensor.plane * width, plane * width),
        )
        self.emit(
            Move(
                layer=self.layer, load=True, dram=tensor.buffer,
                dram_offset=(g0 * tensor.plane + p0) * width, sp=buffer, run=columns * width,
                dims=dims, reads=(tensor.area(g0, g1, p0, p1),),
                writes=(view.area(g0, g1, p0, p1),),
            )
        )  # fmt: skip
        return view

    def fetch_sampled(
        self, tensor: Placed, g0: int, g1: int, image: int, rows: tuple[int, int],
        size: tuple[int, int], steps: tuple[int, int],
    ) -> View:  # fmt: skip
        """Load every steps[0]-th row and steps[1]-th column: rows [a, b) of size[0] x size[1].

        The view's pixels are those of the sampled image. The tensor lies in DRAM.
        """
        width, columns = tensor.layout.group_bytes, tensor.layout.columns
        height = tensor.layout.shape[-2]
        p0, p1 = ((image * size[0] + r) * size[1] for r in rows)
        first = (image * height + rows[0] * steps[0]) * columns
        last = (image * height + (rows[1] - 1) * steps[0]) * columns + columns
        view = self._new_view(tensor, g0, g1, p0, p1, False)
        row = size[1] * width
        dims = (
            (size[1], steps[1] * width, width),
            (rows[1] - rows[0], steps[0] * columns * width, row),
            (g1 - g0, tensor.plane * width, view.plane * width),
        )
        self.emit(
            Move(
                layer=self.layer, load=True, dram=tensor.buffer,
                dram_offset=(g0 * tensor.plane + first) * width, sp=view.buffer, run=width,
                dims=dims, reads=(tensor.area(g0, g1, first, last),),
                writes=(view.area(g0, g1, p0, p1),),
            )
        )  # fmt: skip
        return view

    def fetch_columns(
        self, tensor: Placed, g0: int, g1: int, rows: tuple[int, int], columns: tuple[int, int]
    ) -> View:
        """Load columns [a, b) of rows [a, b), counted through all images, densely.

        The view's pixels are those of the part. The tensor lies in DRAM.
        """
        width, across = tensor.layout.group_bytes, tensor.layout.columns
        count, wide = rows[1] - rows[0], columns[1] - columns[0]
        first = rows[0] * across + columns[0]
        last = (rows[1] - 1) * across + columns[1]
        view = self._new_view(tensor, g0, g1, 0, count * wide, False)
        pieces, run = _split_run(wide * width)
        dims = (
            (pieces, run, run),
            (count, across * width, wide * width),
            (g1 - g0, tensor.plane * width, view.plane * width),
        )
        self.emit(
            Move(
                layer=self.layer, load=True, dram=tensor.buffer,
                dram_offset=(g0 * tensor.plane + first) * width, sp=view.buffer, run=run,
                dims=dims, reads=(tensor.area(g0, g1, first, last),),
                writes=(view.area(g0, g1, 0, count * wide),),
            )
        )  # fmt: skip
        return view

    def target(self, tensor: Placed, g0: int, g1: int, p0: int, p1: int) -> View:
        """Return where to write groups [g0, g1) x pixels [p0, p1); `deliver` it afterwards."""
        if tensor.resident:
            return _inside(tensor, g0, g1, p0, p1)
        return self._new_view(tensor, g0, g1, p0, p1, False)

    def deliver(self, view: View) -> None:
        """Store a finished target view to DRAM, unless the tensor is resident."""
        if view.whole:
            self._move(view, load=False)

    def _new_view(self, tensor: Placed, g0: int, g1: int, p0: int, p1: int, spread: bool) -> View:
        width = tensor.layout.group_bytes
        plane = p1 - p0
        if spread and g1 - g0 > 1:
            plane = spread_plane(plane, self.chip)
        planes = g1 - g0 - 1
        if spread:  # a depthwise tile reads whole tiles of channels
            per = self.chip.nu // self.chip.ku
            planes = -(-(g1 - g0) // per) * per - 1
        buffer = self.scratch(tensor.name, (planes * plane + p1 - p0) * width)
        return View(buffer, 0, plane, width, g0, g1, p0, p1, tensor, True)

    def _move(self, view: View, load: bool) -> None:
        tensor, width = view.tensor, view.group_bytes
        run, planes = (view.p1 - view.p0) * width, view.g1 - view.g0
        dims: list[tuple[int, int, int]] = []
        if view.plane == tensor.plane == view.p1 - view.p0 and planes > 1:
            run, planes = run * planes, 1
        count, run = _split_run(run)
        if count > 1:
            dims.append((count, run, run))
        if planes > 1:
            dims.append((planes, tensor.plane * width, view.plane * width))
        inside = tensor.area(view.g0, view.g1, view.p0, view.p1)
        here = view.area(view.g0, view.g1, view.p0, view.p1)
        self.emit(
            Move(
                layer=self.layer, load=load, dram=tensor.buffer,
                dram_offset=(view.g0 * tensor.plane + view.p0) * width, sp=view.buffer, run=run,
                dims=tuple(dims), reads=(inside,) if load else (here,),
                writes=(here,) if load else (inside,),
            )
        )  # fmt: skip


def _inside(tensor: Placed, g0: int, g1: int, p0: int, p1: int) -> View:
    """Return the view of a part of a resident tensor, where it lies."""
    width = tensor.layout.group_bytes
    offset = (g0 * tensor.plane + p0) * width
    return View(tensor.buffer, offset, tensor.plane, width, g0, g1, p0, p1, tensor, False)


def spread_plane(pixels: int, chip: ChipConfig) -> int:
    """Round up so that the next channel group starts half the columns further on."""
    half = chip.columns // 2
    return pixels + (half - pixels) % chip.columns


def row_pitch(columns: int, out_columns: int, stride: int, chip: ChipConfig) -> int:
    """Choose the row pitch at which mu pixels that wrap to the next row meet no column twice.

    Needed where output rows are no whole number of register tiles: the walk goes on in the columns
    where it left off when stride * pitch = stride * out_columns modulo the scratchpad's columns.
    """
    if stride == 1 or chip.columns % stride or out_columns % chip.mu == 0:
        return columns
    pitch = columns + (out_columns - columns) % (chip.columns // stride)
    return pitch if 2 * pitch <= 3 * columns + 8 else columns  # not worth the room otherwise


def _split_run(size: int) -> tuple[int, int]:
    """Return (count, run) with count * run = size and run within the DMA's field."""
    count = -(-size // MAX_RUN)
    while size % count:
        count += 1
    return count, size // count
