"""Graph to TileProgram: fuse, place, and cut every step with its planner.

In: a Graph, a chip, and how much scratchpad resident tensors may take. Out: a TileProgram.
"""

from dataclasses import dataclass, replace

import numpy as np

from jiriki.chip.config import ChipConfig
from jiriki.graph.graph import Graph, Node
from jiriki.graph.macs import macs_of
from jiriki.graph.op import integer
from jiriki.tiling.builder import Builder, Placed, spread_plane
from jiriki.tiling.errors import TileError
from jiriki.tiling.fuse import (
    Life,
    Step,
    choose_residents,
    find_aliases,
    is_depthwise,
    is_weighted,
    lifetimes,
    make_steps,
)
from jiriki.tiling.layout import layout_of
from jiriki.tiling.matrix.conv import (
    Dense,
    Geometry,
    conv_geometry,
    matmul_geometry,
    pack_weights,
    plan_dense,
    split_weights,
)
from jiriki.tiling.matrix.depthwise import Depthwise, pack_depthwise, plan_depthwise
from jiriki.tiling.matrix.epilogue import make_epilogue
from jiriki.tiling.matrix.grouped import corrected_bias, weight_blocks
from jiriki.tiling.planners import PLANNERS
from jiriki.tiling.requirements import check_requirements
from jiriki.tiling.tile_program import (
    Area,
    Buffer,
    Layer,
    Reserve,
    Space,
    TensorPlace,
    TileProgram,
)
from jiriki.tiling.weave import weave

# How the scratchpad is shared out (set by bench/planner_weights.py).
USED_SHARE = 0.94  # of the bytes that resident tensors leave: the rest is lost between buffers
MARGIN_BYTES = 2048  # alignment of buffers
FIRST_SHARE, SECOND_SHARE = 0.8, 0.12  # of those, for two steps woven together


@dataclass(frozen=True, slots=True)
class Plan:
    """Knobs of the cut: bytes for resident tensors in all, for one, and whether steps stream."""

    resident_bytes: int
    largest_bytes: int
    stream: bool = True


def cut_graph(graph: Graph, chip: ChipConfig, plan: Plan) -> TileProgram:
    """Cut a graph to fit a chip. Raises TileError naming the layer that fits in no way."""
    check_requirements(chip)
    _check_ports(graph, chip)
    steps = make_steps(graph)
    if not plan.stream:
        steps = [part for step in steps for part in _unstream(step)]
    aliases = find_aliases(graph, chip.ku)
    lives = lifetimes(graph, steps, aliases, chip.ku, chip.nu // chip.ku)
    barred: frozenset[str] = frozenset()
    while True:
        resident = choose_residents(
            lives, len(steps), plan.resident_bytes, plan.largest_bytes, barred
        )
        cutter = _Cutter(graph, chip, steps, aliases, lives, resident)
        program = cutter.run()
        if not cutter.tight:
            meta = {"resident_bytes": str(plan.resident_bytes), "not_resident": str(len(barred))}
            return replace(program, meta=meta)
        victims = {t.victim for t in cutter.tight if t.victim is not None}
        stuck = [t for t in cutter.tight if t.victim is None]
        for tight in stuck:
            if tight.step.follow is None:
                raise tight.error
        if stuck:
            split = [t.step for t in stuck]
            steps = [part for s in steps for part in (_unstream(s) if s in split else [s])]
            lives = lifetimes(graph, steps, aliases, chip.ku, chip.nu // chip.ku)
        barred |= victims


def _check_ports(graph: Graph, chip: ChipConfig) -> None:
    """Refuse at once what DRAM cannot hold; cutting it into tiles would take long."""
    names = dict.fromkeys(port.name for port in (*graph.inputs, *graph.outputs))
    sizes = {name: layout_of(graph.tensors[name], chip.ku).bytes for name in names}
    if sum(sizes.values()) > chip.dram_bytes:
        largest = max(sizes, key=lambda name: sizes[name])
        raise TileError(
            f"inputs and outputs take {sum(sizes.values())} bytes of DRAM ({largest} "
            f"{sizes[largest]}), chip {chip.name} has {chip.dram_bytes}; use a chip with more DRAM "
            "or a smaller input"
        )


def _unstream(step: Step) -> list[Step]:
    return [step] if step.follow is None else [Step(step.node, step.fused), step.follow]


@dataclass(frozen=True, slots=True)
class _Tight:
    """A step that found no cut; `victim`: the resident tensor to give up, if there is one."""

    error: TileError
    step: Step
    victim: str | None


class _Cutter:
    """One attempt with a given resident set; what did not fit is left in `tight`."""

    def __init__(
        self,
        graph: Graph,
        chip: ChipConfig,
        steps: list[Step],
        aliases: dict[str, str],
        lives: dict[str, Life],
        resident: frozenset[str],
    ) -> None:
        self.graph, self.chip, self.steps = graph, chip, steps
        self.aliases, self.lives, self.resident = aliases, lives, resident
        self.b = Builder(chip, graph)
        self.tight: list[_Tight] = []
        self.last_start = 0  # position of the last step's first operation
        self.spread = {s.node.inputs[0] for s in steps if is_depthwise(graph, s.node)}

    def run(self) -> TileProgram:
        inputs = tuple(self._place_port(p.name) for p in self.graph.inputs)
        fresh = [p.name for p in self.graph.outputs if p.name not in self.b.placed]
        outputs = [self._place_port(name) for name in fresh]
        for i, step in enumerate(self.steps):
            self._step(i, step)
        places = {p.name: p for p in (*inputs, *outputs)}
        outs = tuple(places[p.name] for p in self.graph.outputs)
        return TileProgram(self.graph.name, tuple(self.b.ops), tuple(self.b.layers), inputs, outs)

    def _step(self, i: int, step: Step) -> None:
        b = self.b
        b.layer = len(b.layers)
        b.layers.append(Layer(step.node.name, step.node.op, macs_of(self.graph, step.node)))
        if step.out in self.aliases:
            source = self.b.operand(step.node.inputs[0])
            layout = layout_of(self.graph.tensors[step.out], self.chip.ku)
            b.placed[step.out] = Placed(
                step.out, layout, source.buffer, source.plane, source.resident
            )
            return
        self._place(step.out)
        living = [  # in order of birth: the order of a set of names differs between processes
            name
            for name, life in self.lives.items()
            if name in self.resident and life.first <= i <= life.last
        ]
        used = sum(self.b.placed[n].buffer.size for n in living)
        b.available = int((self.chip.scratchpad_bytes - used) * USED_SHARE) - MARGIN_BYTES
        share = self._weave_share(i)
        b.available = int(b.available * share)
        start = len(b.ops)
        try:
            if is_weighted(self.graph, step.node):
                plan_weighted(b, step)
            else:
                PLANNERS[step.node.op](b, step.node)
        except TileError as error:
            victim = max(living, key=lambda n: self.lives[n].size, default=None)
            if victim is None and step.follow is None and is_depthwise(self.graph, step.node):
                b.take_ops(start)
                self._plan_as_dense(step)
                self.last_start = start
                return
            if step.follow and self._weight_bytes(step.follow) > self.chip.scratchpad_bytes // 4:
                victim = None  # give up streaming rather than a resident tensor
            self.tight.append(_Tight(error, step, victim))
            return
        if share == SECOND_SHARE:
            second = b.take_ops(start)
            b.ops.extend(weave(b.take_ops(self.last_start), second))
        self.last_start = start

    def _plan_as_dense(self, step: Step) -> None:
        """Plan a depthwise conv that fits in no other way as a grouped one. Raises TileError."""
        for dense in dense_parts(self.b, step):
            plan_dense(self.b, dense)

    def _weave_share(self, i: int) -> float:
        """Return the share of the scratchpad step i gets: less than 1 if woven with a neighbour."""
        if i + 1 < len(self.steps) and self._woven(i + 1):
            return FIRST_SHARE
        return SECOND_SHARE if i > 0 and self._woven(i) else 1.0

    def _woven(self, i: int) -> bool:
        """Return whether step i, a pooling, is woven into the matrix step before it."""
        before, step = self.steps[i - 1], self.steps[i]
        source = step.node.inputs[0]
        return (
            step.node.op in ("maxpool", "qavgpool")
            and before.out == source
            and is_weighted(self.graph, before.node)
            and self.aliases.get(source, source) not in self.resident
        )

    def _weight_bytes(self, step: Step) -> int:
        return self.graph.tensors[step.node.inputs[1]].elements

    def _place_port(self, name: str) -> TensorPlace:
        if name in self.graph.constants:  # an output that no input changes
            return TensorPlace(name, self.b.operand(name).buffer)
        layout = layout_of(self.graph.tensors[name], self.chip.ku)
        buffer = Buffer(name, Space.DRAM, layout.bytes)
        self.b.placed[name] = Placed(name, layout, buffer, layout.pixels, resident=False)
        return TensorPlace(name, buffer)

    def _place(self, name: str) -> None:
        if name in self.b.placed:
            return
        layout = layout_of(self.graph.tensors[name], self.chip.ku)
        if name not in self.resident:
            buffer = Buffer(name, Space.DRAM, layout.bytes)
            self.b.placed[name] = Placed(name, layout, buffer, layout.pixels, resident=False)
            return
        per = self.chip.nu // self.chip.ku
        plane = layout.pixels
        if name in self.spread and layout.groups > 1:
            plane = spread_plane(plane, self.chip)
        groups = -(-layout.groups // per) * per
        size = ((groups - 1) * plane + layout.pixels) * layout.group_bytes
        buffer = Buffer(name, Space.SCRATCHPAD, size)
        self.b.placed[name] = Placed(name, layout, buffer, plane, resident=True)
        self.b.emit(Reserve(layer=self.b.layer, writes=(Area(buffer),)))


# -- convolutions and matrix products with constant weights ---------------------------------


def plan_weighted(b: Builder, step: Step) -> None:
    """Plan a conv or constant matmul with its followers."""
    if is_depthwise(b.graph, step.node) and _depthwise_fits(b, step.node):
        plan_depthwise_step(b, step)
        return
    if step.follow is not None:
        raise TileError(f"layer {step.node.name}: its kernel is too wide to stream")
    for dense in dense_parts(b, step):
        plan_dense(b, dense)


def _depthwise_fits(b: Builder, node: Node) -> bool:
    _, _, kh, kw = b.graph.tensors[node.inputs[1]].shape
    return kh * -(-kw // b.chip.ku) <= b.chip.weight_file_lines


def plan_depthwise_step(b: Builder, step: Step) -> None:
    """Plan a depthwise conv, streamed into its follower when there is one."""
    node, graph, chip = step.node, b.graph, b.chip
    x, zero = b.operand(node.inputs[0]), integer(node.attrs, "x_zp")
    w = graph.constants[node.inputs[1]]
    inner = step.fused[-1].outputs[0] if step.fused else node.outputs[0]
    if step.follow is not None:
        layout = layout_of(graph.tensors[inner], chip.ku)
        b.placed[inner] = Placed(
            inner, layout, Buffer(inner, Space.DRAM, 0), layout.pixels, resident=False
        )
    out = b.placed[inner]
    bias = corrected_bias(graph.constants[node.inputs[2]], w.astype(np.int64), zero)
    weights = b.constant(f"{node.name}.w", pack_depthwise(w, chip.ku, chip.nu))
    epilogue = make_epilogue(b, node, step.fused, bias, out)
    geometry = _geometry(b, node, x)
    depthwise = Depthwise(geometry, x, zero, weights, epilogue)
    if step.follow is None:
        plan_depthwise(b, depthwise)
        return
    own, follow = b.layer, step.follow
    b.layers.append(Layer(follow.node.name, follow.node.op, macs_of(graph, follow.node)))
    (dense,) = dense_parts(b, follow)
    b.layer = own
    plan_depthwise(b, depthwise, dense, follow_layer=len(b.layers) - 1)


def _geometry(b: Builder, node: Node, x: Placed) -> Geometry:
    oh, ow = b.graph.tensors[node.outputs[0]].shape[2:]
    return conv_geometry(node, x, b.graph.tensors[node.inputs[1]].shape, oh, ow)


def dense_parts(b: Builder, step: Step) -> list[Dense]:
    """Return the dense convolutions that make up a conv or matmul step."""
    node, graph, chip = step.node, b.graph, b.chip
    x, out = b.operand(node.inputs[0]), b.placed[step.out]
    if node.op == "matmul":
        matrix = graph.constants[node.inputs[1]].astype(np.int16) - np.int16(
            integer(node.attrs, "b_zp")
        )
        w, zero, group = matrix.T[:, :, None, None], integer(node.attrs, "a_zp"), 1
        geometry = matmul_geometry(x.layout.pixels)
    else:
        w = graph.constants[node.inputs[1]].astype(np.int16) - np.int16(integer(node.attrs, "w_zp"))
        zero, group = integer(node.attrs, "x_zp"), integer(node.attrs, "group")
        geometry = _geometry(b, node, x)
    sample = None
    if geometry.is_sampling() and not x.resident:
        sample = (geometry.sy, geometry.sx)
        geometry = Geometry(geometry.images, *(geometry.oh, geometry.ow) * 2)
    bias = corrected_bias(graph.constants[node.inputs[2]], w, zero)
    epilogue = make_epilogue(b, node, step.fused, bias, out)
    parts = []
    for i, block in enumerate(weight_blocks(w, group, chip.ku)):
        gi, go = -(-block.shape[1] // chip.ku), -(-block.shape[0] // chip.ku)
        packed = tuple(
            b.constant(f"{node.name}.w{i}", pack_weights(part, chip.ku, chip.nu))
            for part in split_weights(block)
        )
        ins, outs = (i * gi, (i + 1) * gi), (i * go, (i + 1) * go)
        parts.append(Dense(geometry, x, zero, *ins, *outs, packed, epilogue, sample))
    return parts
