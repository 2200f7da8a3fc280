"""What follows an accumulation on its way out: requantise, activation table, residual add.

In: a conv or matmul node and the nodes fused behind it. Out: an `Epilogue` that says which chain
the vector unit runs on each accumulator tile.
"""

from dataclasses import dataclass

import numpy as np

from jiriki.graph.graph import Node
from jiriki.graph.op import integer, real
from jiriki.isa.words import DType, MicroOp, Quantiser, Src, Window
from jiriki.numerics import Format, Lut8
from jiriki.tiling.builder import Builder, Placed, View
from jiriki.tiling.tile_program import (
    Area,
    Buffer,
    ChainStep,
    Constant,
    Stream,
    TableTile,
    VectorTile,
    flat_window,
)


@dataclass(frozen=True, slots=True)
class Epilogue:
    """The chain behind an accumulator tile and everything it reads."""

    chain: tuple[ChainStep, ...]
    params: Buffer  # DRAM: per output group [ku int32 bias][ku fp32 multiplier]
    out: Placed
    out_dtype: DType
    out_quant: Quantiser | None
    residual: Placed | None
    table: Buffer | None  # DRAM image of a 256-entry table

    @property
    def width(self) -> int:
        return self.out.layout.width


def channel_params(bias: np.ndarray, multiplier: np.ndarray, ku: int) -> bytes:
    """Interleave per channel group: ku int32, then ku fp32; zero beyond the last channel."""
    groups = -(-len(bias) // ku)
    table = np.zeros((groups, 2, ku), np.int32)
    flat = np.zeros(groups * ku, np.int32)
    flat[: len(bias)] = bias
    table[:, 0] = flat.reshape(groups, ku)
    flat[: len(bias)] = multiplier.astype(np.float32).view(np.int32)
    table[:, 1] = flat.reshape(groups, ku)
    return table.tobytes()


def make_epilogue(
    b: Builder, node: Node, fused: tuple[Node, ...], bias: np.ndarray, out: Placed
) -> Epilogue:
    """Build the epilogue of `node` (conv, conv_transpose, matmul) with `fused` lut/qadd behind.

    bias: int32 per output channel, zero-point corrections included.
    """
    attrs = node.attrs
    multiplier = b.graph.constants[node.inputs[3]]
    params = b.constant(f"{node.name}.params", channel_params(bias, multiplier, b.chip.ku))
    kind = str(attrs["out"])
    chain: list[ChainStep] = [ChainStep(MicroOp.IADD, Src.PB)]
    if kind == "i32":
        return Epilogue(tuple(chain), params, out, DType.F32, None, None, None)
    chain += [ChainStep(MicroOp.I2F), ChainStep(MicroOp.FMUL, Src.PS)]
    if kind == "f32":
        return Epilogue(tuple(chain), params, out, DType.F32, None, None, None)
    quant = Quantiser(integer(attrs, "out_zp"), integer(attrs, "lo"), integer(attrs, "hi"))
    residual, table = None, None
    value = node.outputs[0]
    for extra in fused:
        chain.append(ChainStep(MicroOp.QNT, quant))
        if extra.op == "lut":
            table = b.constant(
                f"{extra.name}.table",
                Lut8.from_values(b.graph.constants[extra.inputs[1]]).to_bytes(),
            )
            chain.append(ChainStep(MicroOp.LUT, table))
            quant = Quantiser.saturating(Format.INT8)
        else:
            other, steps = _add_steps(extra, value)
            residual = b.operand(other)
            chain += steps
            quant = Quantiser(0, integer(extra.attrs, "lo"), integer(extra.attrs, "hi"))
        value = extra.outputs[0]
    return Epilogue(tuple(chain), params, out, DType.I8, quant, residual, table)


def _add_steps(node: Node, value: str) -> tuple[str, list[ChainStep]]:
    """Return the other operand of a qadd and the steps that add it to `value`, in qadd's order."""
    ra, rb, fixed = (Constant(real(node.attrs, key)) for key in ("ra", "rb", "fixed"))
    first = node.inputs[0] == value
    mine, theirs = (ra, rb) if first else (rb, ra)
    steps: list[ChainStep] = [ChainStep(MicroOp.FMUL, mine)]
    if first:
        steps.append(ChainStep(MicroOp.FADD, fixed))
    steps += [
        ChainStep(MicroOp.SAVE),
        ChainStep(MicroOp.MOV, Src.IN1),
        ChainStep(MicroOp.FMUL, theirs),
    ]
    if not first:
        steps.append(ChainStep(MicroOp.FADD, fixed))
    steps.append(ChainStep(MicroOp.FADD, Src.T))
    return node.inputs[1] if first else node.inputs[0], steps


@dataclass(frozen=True, slots=True)
class LoadedEpilogue:
    """An epilogue whose parameters (and table) are in the scratchpad."""

    spec: Epilogue
    params: Buffer
    table: Buffer | None


def load_epilogue(b: Builder, spec: Epilogue) -> LoadedEpilogue:
    """Load parameters and table; the table becomes usable."""
    params = b.load_constant(spec.params, 0, spec.params.size)
    table = None
    if spec.table is not None:
        table = b.load_constant(spec.table, 0, spec.table.size)
        b.emit(TableTile(layer=b.layer, table=table, segment=False, reads=(Area(table),)))
    return LoadedEpilogue(spec, params, table)


def finish_tile(
    b: Builder, e: LoadedEpilogue, acc: Buffer, acc_stride: int, g0: int, g1: int, p0: int, p1: int
) -> View:
    """Run the epilogue on accumulators of groups [g0, g1) x pixels [p0, p1) of the output."""
    spec = e.spec
    view = b.target(spec.out, g0, g1, p0, p1)
    p = p1 - p0
    reads = [Area(acc), Area(e.params)]
    in1 = None
    if spec.residual is not None:
        other = b.fetch(spec.residual, g0, g1, p0, p1)
        in1 = other.stream(g0, p0, flat_window(other.plane, p), DType.I8)
        reads.append(other.area(g0, g1, p0, p1))
    chain = tuple(
        ChainStep(step.op, e.table) if step.op is MicroOp.LUT else step for step in spec.chain
    )
    params_offset = g0 * 2 * b.chip.ku * 4
    b.emit(
        VectorTile(
            layer=b.layer, in0=Stream(acc, 0, Window(acc_stride, 0, 1, p, max(1, p)), DType.ACC),
            in1=in1, params=(e.params, params_offset), chain=chain, p=p, groups=g1 - g0,
            out=view.stream(g0, p0, flat_window(view.plane, p), spec.out_dtype),
            out_quant=spec.out_quant, reads=tuple(reads), writes=(view.area(g0, g1, p0, p1),),
        )
    )  # fmt: skip
    return view
