"""TileProgram to Program: order, addresses, waits, instructions, and the data image.

In: a TileProgram and the chip. Out: a Program, the document that every engine runs.
"""

from jiriki.chip.config import ChipConfig
from jiriki.emit.errors import EmitError
from jiriki.emit.schedule import Schedule, schedule, unit_of
from jiriki.emit.select import Selector
from jiriki.emit.sync import Tokens, synchronise
from jiriki.graph.graph import Graph, Port
from jiriki.isa.control import Fence, Halt, Sig, Wait
from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Instruction, Sync, Unit
from jiriki.program import Binding, Entry, Note, Program, ProgramError, Segment
from jiriki.tiling.layout import channel_axis
from jiriki.tiling.tile_program import Buffer, Space, TensorPlace, TileOp, TileProgram

DRAM_ALIGN = 64


def emit(tiles: TileProgram, graph: Graph, chip: ChipConfig, lookahead: int = 400) -> Program:
    """Turn a TileProgram into a Program.

    Raises OutOfMemory when buffers do not fit together, EmitError when an instruction has no room
    for a number of a layer, ProgramError when the DRAM image exceeds the chip's DRAM.
    """
    plan = schedule(tiles.ops, chip, lookahead)
    dram_bytes = _place_dram(tiles, plan, chip)
    tokens = synchronise(plan, chip)
    selector = Selector(chip, plan.address)
    for op, unit, token in zip(plan.order, plan.units, tokens, strict=True):
        try:
            _emit_one(selector, op, unit, token)
        except IsaError as error:
            layer = tiles.layers[op.layer]
            raise EmitError(
                f"layer {layer.name} ({layer.op}) needs a number that no instruction holds: {error}"
            ) from error
    selector.out.append(Halt.new())
    return Program(
        name=tiles.name,
        chip=chip.name,
        chip_hash=chip.content_hash(),
        instructions=tuple(selector.out),
        segments=_segments(plan),
        dram_bytes=dram_bytes,
        entries=(
            Entry(
                tuple(_binding(p, graph.inputs, graph, plan) for p in tiles.inputs),
                tuple(_binding(p, graph.outputs, graph, plan) for p in tiles.outputs),
            ),
        ),
        notes=tuple(Note(layer.name, layer.op, layer.macs) for layer in tiles.layers),
        meta={**tiles.meta, "lookahead": str(lookahead)},
    )


def _emit_one(selector: Selector, op: TileOp, unit: Unit, token: Tokens) -> None:
    if token.fence:
        selector.out.append(Fence.new(note=op.layer))
    start = len(selector.out)
    own = selector.select(op)
    waits = [Sync(s, 1) for s in token.waits]
    signals = [Sync(s, 1) for s in token.signals]
    extra: list[Instruction] = [Wait.new(unit, wait=sync, note=op.layer) for sync in waits[1:]]
    selector.out[len(selector.out) - 1 : len(selector.out) - 1] = extra
    own.wait = waits[0] if waits else None
    own.signal = signals[0] if signals else None
    selector.out += [Sig.new(unit, signal=sync, note=op.layer) for sync in signals[1:]]
    assert unit_of(op) is unit and len(selector.out) > start, "every operation emits on its unit"


def _place_dram(tiles: TileProgram, plan: Schedule, chip: ChipConfig) -> int:
    """Give every DRAM buffer an address; return the extent of the image."""
    named = [place.buffer for place in (*tiles.inputs, *tiles.outputs)]
    used = [a.buffer for op in tiles.ops for a in op.reads + op.writes]
    moved = [getattr(op, "dram", None) for op in tiles.ops]
    end = 0
    for buffer in dict.fromkeys([*named, *used, *(b for b in moved if b is not None)]):
        if buffer.space is Space.DRAM and buffer not in plan.address:
            plan.address[buffer] = end
            end += -(-buffer.size // DRAM_ALIGN) * DRAM_ALIGN
    if end > chip.dram_bytes:
        raise ProgramError(
            f"program {tiles.name}: the DRAM image of {end} bytes exceeds chip {chip.name}'s "
            f"{chip.dram_bytes} bytes; use a chip with more DRAM or a smaller model"
        )
    return max(end, DRAM_ALIGN)


def _segments(plan: Schedule) -> tuple[Segment, ...]:
    constants = [(a, b) for b, a in plan.address.items() if b.data is not None]
    return tuple(Segment(address, _data(b)) for address, b in sorted(constants, key=_first))


def _first(pair: tuple[int, Buffer]) -> int:
    return pair[0]


def _data(buffer: Buffer) -> bytes:
    assert buffer.data is not None, f"{buffer.name} has contents"
    return buffer.data


def _binding(place: TensorPlace, ports: tuple[Port, ...], graph: Graph, plan: Schedule) -> Binding:
    port = next(p for p in ports if p.name == place.name)
    type_ = graph.tensors[place.name]
    return Binding(
        name=port.name,
        address=plan.address[place.buffer],
        shape=type_.shape,
        axis=channel_axis(type_.shape),
        dtype=type_.dtype.numpy.name,
        external=port.external,
        scale=port.scale,
        zero_point=port.zero_point,
    )
