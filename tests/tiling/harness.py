"""Run the planner of one node on the interpreter and return what it computed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from jiriki.chip.catalogue import load_chip
from jiriki.chip.config import ChipConfig
from jiriki.graph.graph import Graph, Node, Port, TensorType
from jiriki.graph.ops import OPS
from jiriki.graph.tensor import DType
from jiriki.tiling.builder import Builder, Placed
from jiriki.tiling.cut import Plan, cut_graph
from jiriki.tiling.layout import layout_of, pack
from jiriki.tiling.planners import PLANNERS
from jiriki.tiling.tile_program import Area, Buffer, Layer, Reserve, Space
from tests.agree.networks import NetworkBuilder
from tests.tiling.interpreter import Interpreter


def make_node(
    op: str, inputs: Mapping[str, np.ndarray], attrs: Mapping[str, object], constants: Sequence[str]
) -> Graph:
    """A graph of one node; inputs named in `constants` are constants of the graph."""
    types = {k: TensorType(v.shape, DType.of(v.dtype)) for k, v in inputs.items()}
    node = Node(op, "n", tuple(inputs), ("y",), dict(attrs), "test")  # type: ignore[arg-type]
    (out,) = OPS[op].check("n", [types[k] for k in inputs], node.attrs)
    ports = tuple(
        Port(k, v.dtype.name, v.shape, None, 0) for k, v in inputs.items() if k not in constants
    )
    held = {k: inputs[k] for k in constants}
    return Graph("g", ports, (), {**types, "y": out}, held, (node,))


def unpack(raw: np.ndarray, placed: Placed, dtype: np.dtype) -> np.ndarray:
    """Read a placed tensor back from the bytes of its buffer."""
    layout = placed.layout
    need = ((layout.groups - 1) * placed.plane + layout.pixels) * layout.group_bytes
    flat = raw[:need].view(dtype)
    at = np.arange(layout.groups)[:, None] * placed.plane + np.arange(layout.pixels)
    blocks = flat.reshape(-1, layout.ku)[at]
    full = blocks.transpose(0, 2, 1).reshape(-1, layout.pixels)[: layout.channels]
    if layout.axis is None:
        return full.reshape(layout.shape)
    others = [n for i, n in enumerate(layout.shape) if i != layout.axis]
    return np.moveaxis(full.reshape([layout.channels, *others]), 0, layout.axis)


def place(b: Builder, name: str, resident: bool) -> Placed:
    layout = layout_of(b.graph.tensors[name], b.chip.ku)
    plane = layout.pixels + 3 if resident and layout.groups > 1 else layout.pixels
    size = ((layout.groups - 1) * plane + layout.pixels) * layout.group_bytes
    space = Space.SCRATCHPAD if resident else Space.DRAM
    buffer = Buffer(name, space, size)
    b.placed[name] = Placed(name, layout, buffer, plane, resident)
    if resident:
        b.emit(Reserve(layer=0, writes=(Area(buffer),)))
    return b.placed[name]


def run_node(
    op: str,
    inputs: Mapping[str, np.ndarray],
    attrs: Mapping[str, object],
    constants: Sequence[str] = (),
    chip: str | ChipConfig = "nano",
    resident: Sequence[str] = (),
    available: int = 1 << 30,
) -> np.ndarray:
    """Plan and interpret one node; fails on shared bytes that no Area declares."""
    config = load_chip(chip) if isinstance(chip, str) else chip
    graph = make_node(op, inputs, attrs, constants)
    b = Builder(config, graph)
    b.layers.append(Layer("n", op, 0))
    b.available = min(available, config.scratchpad_bytes // 2)
    machine = Interpreter(config)
    for name in (k for k in inputs if k not in constants):
        placed = place(b, name, name in resident)
        raw = np.random.default_rng(7).integers(0, 256, placed.buffer.size, np.uint8)
        flat = pack(inputs[name], config.ku)
        noise = _noise_tail(flat, placed)
        at = np.arange(flat.shape[0])[:, None] * placed.plane + np.arange(flat.shape[1])
        raw.reshape(-1, placed.layout.group_bytes)[at] = noise.view(np.uint8).reshape(
            *at.shape, placed.layout.group_bytes
        )
        machine.memory[placed.buffer] = raw
    out = place(b, "y", "y" in resident)
    PLANNERS[op](b, graph.nodes[0])
    machine.run(b.ops)
    conflicts = machine.undeclared_conflicts()
    assert not conflicts, conflicts[:5]
    return unpack(machine.memory[out.buffer], out, graph.tensors["y"].dtype.numpy)


def _noise_tail(flat: np.ndarray, placed: Placed) -> np.ndarray:
    """Put noise into the lanes beyond the last channel: they are arbitrary."""
    flat = flat.copy()
    rest = placed.layout.groups * placed.layout.ku - placed.layout.channels
    if rest:
        noise = np.random.default_rng(3).integers(-100, 100, flat[-1, :, -rest:].shape)
        flat[-1, :, -rest:] = noise.astype(flat.dtype)
    return flat


def reference(op: str, inputs: Mapping[str, np.ndarray], attrs: Mapping[str, object]) -> np.ndarray:
    (out,) = OPS[op].reference(list(inputs.values()), attrs)  # type: ignore[arg-type]
    return np.asarray(out)


def cut_hash() -> str:
    """Return the hash of a cut in which residents of equal size give way to a convolution."""
    chip = load_chip("nano")
    net = NetworkBuilder(0, (1, 16, 32, 32))
    branches = [net.conv("x", 16) for _ in range(4)]
    y = net.conv(net.conv(branches[0], 64, kernel=(3, 3), pads=(1, 1, 1, 1)), 16)
    for branch in branches:
        y = net.add(y, branch)
    program = cut_graph(net.graph(y), chip, Plan(chip.scratchpad_bytes, chip.scratchpad_bytes))
    assert program.meta["not_resident"] != "0"
    return hashlib.sha256(repr((program.ops, program.meta)).encode()).hexdigest()
