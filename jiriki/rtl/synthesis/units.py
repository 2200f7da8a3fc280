"""List the parts of a tile: every distinct component, how to build it, how often it is there.

In: a chip. Out: `Part`s. Parts inside a part (`apart`) are left out of it as black boxes and are
parts of their own, so that sums count nothing twice. The memories of the scratchpad are black boxes
too; their bits are in `scratchpad_memory`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from amaranth.back import rtlil
from amaranth.hdl import Signal, Value
from amaranth.lib import wiring

from jiriki.chip import ChipConfig
from jiriki.rtl.control.counters import UnitCounter
from jiriki.rtl.control.front import Front
from jiriki.rtl.control.mailbox import Mailbox
from jiriki.rtl.control.semaphores import Semaphores
from jiriki.rtl.control.sequencer import UNITS, Sequencer
from jiriki.rtl.dma.load import LoadUnit
from jiriki.rtl.dma.port import DramPort
from jiriki.rtl.dma.store import StoreUnit
from jiriki.rtl.matrix import array, decode, drain, element, issue, operands, records, walk
from jiriki.rtl.memory.scratchpad import Scratchpad
from jiriki.rtl.vector import alu, alu_stage, chain, context, function_lane, function_stage, output
from jiriki.rtl.vector import decode as vx_decode
from jiriki.rtl.vector import issue as vx_issue
from jiriki.rtl.vector import operands as vx_operands
from jiriki.rtl.vector import records as vx_records
from jiriki.rtl.vector import reduce as vx_reduce
from jiriki.rtl.vector import walk as vx_walk

TOP = "top"
PORTS_READ, PORTS_WRITE = 8, 2  # of the scratchpad, as in `tile.py`


@dataclass(frozen=True)
class Part:
    """One component of a tile."""

    name: str  # such as mx.element
    what: str
    instances: int
    build: Callable[[], wiring.Component]
    apart: tuple[str, ...] = ()  # patterns of module names inside that are parts of their own
    wires: Callable[[], list[Signal]] = field(default=list)  # ports besides the signature

    def rtlil(self) -> str:
        """Return the component in yosys' own language; its module is `top`."""
        component = self.build()
        members = [value for _, _, value in component.signature.flatten(component)]
        ports = [Value.cast(value) for value in (*members, *self.wires())]
        ports = [port for port in ports if isinstance(port, Signal)]  # not what is constant
        return rtlil.convert(component, name=TOP, ports=ports, emit_src=False)


@dataclass(frozen=True)
class Memory:
    """Equal memories: SRAM macros on a chip, block or LUT memory on an FPGA."""

    part: str
    words: int
    bits: int  # of a word
    reads: int  # ports
    writes: int
    clocked: bool  # the read is registered; else the word comes in the cycle of the address
    rom: bool
    instances: int

    @property
    def total_bits(self) -> int:
        return self.words * self.bits * self.instances


def parts(chip: ChipConfig) -> list[Part]:
    """Return the components of a chip's tile, in the order of the table."""
    return [*_matrix(chip), *_vector(chip), *_movement(chip), *_control(chip)]


def scratchpad_memory(chip: ChipConfig) -> Memory:
    """Return the memories of the scratchpad (`verilog/jiriki_bank.v`)."""
    rows = chip.bank_words // chip.columns
    each = chip.banks * chip.columns
    return Memory("scratchpad", rows, 8 * chip.ku, 1, 1, True, False, each)


def _matrix(chip: ChipConfig) -> list[Part]:
    shape = records.Shape(chip)
    elements = shape.rows * chip.nu
    dot = lambda: element.Element(chip.ku, rests=shape.pairs > 1)  # noqa: E731
    whole = lambda: array.DotArray(shape, inline=False)  # noqa: E731
    return [
        Part("mx.element", f"dot product of {chip.ku} int8 terms, sum, shadow", elements, dot),
        Part("mx.array", "operand choice and control of the array", 1, whole, ("top.e*",)),
        Part("mx.operands", "crossbars, weight register file", 1, lambda: operands.Operands(shape)),
        Part("mx.drain", "accumulator drain and its adders", 1, lambda: drain.Drain(shape)),
        Part("mx.walk", "address generator: the nest of steps", 1, lambda: walk.Walk(shape)),
        Part("mx.issue", "levels on both ports", 1, lambda: issue.Issue(shape)),
        Part("mx.decode", "instructions, windows", 1, lambda: decode.Decode(shape)),
    ]


def _vector(chip: ChipConfig) -> list[Part]:
    shape = vx_records.Shape(chip)
    alus, functions = chip.vx_stages.count("A"), chip.vx_stages.count("F")
    contexts = context.Contexts(shape)
    signals = lambda: list(contexts.signals)  # noqa: E731
    lane = lambda: alu.Alu(shape.channel, vx_records.GROUP_BITS)  # noqa: E731
    return [
        Part("vx.alu_lane", "fp32 ALU of a lane, three cycles", alus * shape.lanes, lane),
        Part("vx.alu_stage", "an A stage without its lanes", alus,
             lambda: alu_stage.AluStage(shape), ("top.lane*",)),
        Part("vx.function_lane", "quadratic of a segment, four cycles", functions * shape.lanes,
             function_lane.FunctionLane),
        Part("vx.function_stage", "an F stage without its lanes", functions,
             lambda: function_stage.FunctionStage(shape), ("top.lane*",)),
        Part("vx.steering", "which beat is where", 1,
             lambda: chain.Steering(shape, contexts), wires=signals),
        Part("vx.reduce_lane", "fp32 adder of a reduction", shape.lanes, lane),
        Part("vx.reduce", "reduction without its adders", 1,
             lambda: vx_reduce.VectorReduce(shape), ("top.adder*",)),
        Part("vx.operands", "words to fp32 values", 1, lambda: vx_operands.Operands(shape)),
        Part("vx.walk", "address generators of the streams", 1, lambda: vx_walk.Walk(shape)),
        Part("vx.issue", "levels on three ports", 1, lambda: vx_issue.Issue(shape)),
        Part("vx.output", "results to words, writes", 1,
             lambda: output.VectorOutput(shape, contexts), wires=signals),
        Part("vx.decode", "instructions, contexts", 1,
             lambda: vx_decode.Decode(shape, contexts), wires=signals),
    ]  # fmt: skip


def _movement(chip: ChipConfig) -> list[Part]:
    arbiter = lambda: Scratchpad(chip, PORTS_READ, PORTS_WRITE)  # noqa: E731
    return [
        Part("load", "LD: bursts, gather, chunks", 1, lambda: LoadUnit(chip)),
        Part("store", "ST: chunks, bursts", 1, lambda: StoreUnit(chip)),
        Part("port", "AXI4 master", 1, lambda: DramPort(chip)),
        Part("scratchpad", "arbiter and crossbar, without memories", 1, arbiter),
    ]


def _control(chip: ChipConfig) -> list[Part]:
    contexts = chip.vx_contexts
    return [
        Part("sequencer", "fetch buffer, loops, address registers", 1, lambda: Sequencer(chip)),
        Part("front", "queue and completions of LD, ST, MX", len(UNITS) - 1, lambda: Front(chip)),
        Part("vx_front", "the same of VX", 1, lambda: Front(chip, contexts)),
        Part("semaphores", "tokens", 1, lambda: Semaphores(chip, len(UNITS))),
        Part("mailbox", "AXI4-Lite registers", 1, lambda: Mailbox(chip)),
        Part("counter", "performance counters of a unit", len(UNITS), UnitCounter),
    ]
