"""Expressions over streams, and how they become chains of the vector unit.

In: an expression (a graph of `Ex` nodes; shared nodes are computed once). Out: `Stage`s, each one
chain within the unit's limits (10 micro-ops, 8 constants, 4 quantisers, three streams, one saved
value), later stages reading what earlier ones wrote as fp32 temporaries.

The arithmetic is the chip's: each node is one rounded operation, in the order written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jiriki.isa.words import MicroOp, Quantiser, Src
from jiriki.numerics import SegmentTable
from jiriki.tiling.errors import TileError
from jiriki.tiling.tile_program import PASS, ChainStep, Constant

MAX_OPS, MAX_CONSTANTS, MAX_QUANTS, MAX_STREAMS = 10, 8, 4, 3
BESIDE = (Src.IN1, Src.IN2)  # the streams after the first


@dataclass(frozen=True, slots=True)
class Input:
    """Input stream `index` of an expression."""

    index: int


@dataclass(frozen=True, slots=True)
class Temporary:
    """The fp32 values that an earlier stage wrote."""

    number: int


Contents = SegmentTable | bytes  # of a table; bytes: the image of a 256-entry one
Leaf = Input | Constant | Src  # of Src the channel parameters PB and PS
Read = Leaf | Temporary | Quantiser | Contents  # what a micro-op of a stage may name


@dataclass(frozen=True, eq=False, slots=True)
class Ex:
    """A value: of a micro-op on `args`, or without one a leaf.

    names: the leaf, or the quantiser of QNT, the contents of TBL and LUT.
    """

    op: MicroOp | None
    args: tuple[Ex, ...] = ()
    names: Leaf | Quantiser | Contents | None = None

    def __add__(self, other: Ex | float) -> Ex:
        return Ex(MicroOp.FADD, (self, lift(other)))

    def __sub__(self, other: Ex | float) -> Ex:
        return Ex(MicroOp.FSUB, (self, lift(other)))

    def __rsub__(self, other: float) -> Ex:
        return Ex(MicroOp.FRSB, (self, lift(other)))

    def __mul__(self, other: Ex | float) -> Ex:
        return Ex(MicroOp.FMUL, (self, lift(other)))

    def __neg__(self) -> Ex:
        return Ex(MicroOp.NEG, (self,))

    __radd__, __rmul__ = __add__, __mul__

    @property
    def is_leaf(self) -> bool:
        return self.op is None


def lift(x: Ex | float) -> Ex:
    return x if isinstance(x, Ex) else Ex(None, names=Constant(float(x)))


def source(i: int) -> Ex:
    """Input stream i."""
    return Ex(None, names=Input(i))


PER_CHANNEL_INT, PER_CHANNEL = Ex(None, names=Src.PB), Ex(None, names=Src.PS)


def unary(op: MicroOp, x: Ex, names: Quantiser | Contents | None = None) -> Ex:
    return Ex(op, (x,), names)


def binary(op: MicroOp, a: Ex | float, b: Ex | float) -> Ex:
    return Ex(op, (lift(a), lift(b)))


def maximum(a: Ex | float, b: Ex | float) -> Ex:
    return binary(MicroOp.FMAX, a, b)


def minimum(a: Ex | float, b: Ex | float) -> Ex:
    return binary(MicroOp.FMIN, a, b)


def greater(a: Ex | float, b: Ex | float) -> Ex:
    return binary(MicroOp.GT, a, b)


def at_least(a: Ex | float, b: Ex | float) -> Ex:
    return binary(MicroOp.GE, a, b)


def select(condition: Ex, a: Ex | float, b: Ex | float) -> Ex:
    """Return a where condition is not 0, else b."""
    return Ex(MicroOp.SEL, (condition, lift(a), lift(b)))


def table(x: Ex, contents: Contents) -> Ex:
    """Look x up in a segment table, or (bytes) in a 256-entry int8 table."""
    return Ex(MicroOp.LUT if isinstance(contents, bytes) else MicroOp.TBL, (x,), contents)


# -- stages --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """One micro-op of a stage, its streams and tables not yet in a buffer; MOV also loads."""

    op: MicroOp
    reads: Read | None = None

    @property
    def stream(self) -> Input | Temporary | None:
        """Return the stream that it reads, if any."""
        return self.reads if isinstance(self.reads, Input | Temporary) else None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A TBL or LUT of a stage, its table not yet in a buffer."""

    op: MicroOp
    contents: Contents


@dataclass(frozen=True, slots=True)
class Stage:
    """One chain: its streams in order, its micro-ops, the temporary it writes (-1: the result)."""

    streams: tuple[Input | Temporary, ...]
    chain: tuple[ChainStep | Lookup, ...]
    result: int


def compile_expression(root: Ex) -> list[Stage]:
    """Return the stages that compute root; the last has result -1."""
    return _Compiler(root).stages


class _Needs(Exception):
    """A subexpression must become a temporary first."""

    def __init__(self, node: Ex) -> None:
        super().__init__(str(node.op))
        self.node = node


class _Compiler:
    def __init__(self, root: Ex) -> None:
        self.uses: dict[Ex, int] = {}
        self._count(root)
        self.done: dict[Ex, Temporary] = {}
        self.stages: list[Stage] = []
        self.temps = 0
        self._materialise(root, last=True)

    def _count(self, node: Ex) -> None:
        self.uses[node] = self.uses.get(node, 0) + 1
        if self.uses[node] == 1:
            for arg in node.args:
                self._count(arg)

    def _materialise(self, node: Ex, last: bool = False) -> None:
        while True:
            try:
                steps = self._steps(node, True, top=True)
                parts = _cut(steps)
            except _Needs as needs:
                self._materialise(needs.node)
                continue
            if parts is not None:
                break
            self._materialise(self._largest_part(node))
        carry: Temporary | None = None
        for i, part in enumerate(parts):
            final = i == len(parts) - 1
            number = -1 if final and last else self._new_temp()
            self.stages.append(_stage(part, carry, number))
            carry = Temporary(number)
        assert carry is not None
        self.done[node] = carry

    def _new_temp(self) -> int:
        self.temps += 1
        return self.temps - 1

    def _largest_part(self, node: Ex) -> Ex:
        """Choose the descendant, not yet a temporary, with the most operations of its own."""
        sizes = {x: self._size(x) for x in self._descendants(node)}
        if not sizes:
            raise TileError(
                f"operation {_name(node)} cannot be cut to fit a chain; split it in tiles/"
            )
        half = max(sizes.values())
        return next(x for x, size in sizes.items() if size == half)

    def _descendants(self, node: Ex) -> Iterator[Ex]:
        for arg in node.args:
            if not arg.is_leaf and arg not in self.done:
                yield arg
                yield from self._descendants(arg)

    def _size(self, node: Ex) -> int:
        if node.is_leaf or node in self.done:
            return 0
        return 1 + sum(self._size(a) for a in node.args)

    def _leaf(self, node: Ex) -> Read | None:
        return self.done.get(node, node.names if node.is_leaf else None)

    def _steps(self, node: Ex, may_save: bool, top: bool = False) -> list[Step]:
        """Micro-ops that leave the node in v; the first loads a leaf."""
        leaf = self._leaf(node)
        if leaf is not None and not top:
            return [Step(MicroOp.MOV, leaf)]
        if node.is_leaf:
            assert leaf is not None
            return [Step(MicroOp.MOV, leaf)]
        if self.uses[node] > 1 and not top:
            raise _Needs(node)
        if len(node.args) == 1:
            return [*self._steps(node.args[0], may_save), _unary_step(node)]
        if node.op is MicroOp.SEL:
            return self._select_steps(node, may_save)
        return self._binary_steps(node, may_save)

    def _binary_steps(self, node: Ex, may_save: bool) -> list[Step]:
        a, b = node.args
        leaf_a, leaf_b = self._leaf(a), self._leaf(b)
        op, swapped = _operations(node)
        if a is b:
            return [*self._once(a, may_save, 2), Step(op, Src.V)]
        if leaf_b is not None:
            return [*self._steps(a, may_save), Step(op, leaf_b)]
        if leaf_a is not None and swapped is not None:
            return [*self._steps(b, may_save), Step(swapped, leaf_a)]
        if leaf_a is not None or not may_save:
            raise _Needs(b if leaf_a is not None else node)
        tail = self._path(b, a)
        if tail is not None and swapped is not None and self.uses[a] == 2:
            return [*self._once(a, True, 2), Step(MicroOp.SAVE), *tail, Step(swapped, Src.T)]
        tail = self._path(a, b)
        if tail is not None and self.uses[b] == 2:
            return [*self._once(b, True, 2), Step(MicroOp.SAVE), *tail, Step(op, Src.T)]
        if swapped is not None:
            first = self._steps(a, True)
            return [*first, Step(MicroOp.SAVE), *self._unsaved(b), Step(swapped, Src.T)]
        first = self._steps(b, True)
        return [*first, Step(MicroOp.SAVE), *self._unsaved(a), Step(op, Src.T)]

    def _once(self, node: Ex, may_save: bool, uses: int) -> list[Step]:
        """Steps of a node all of whose uses are served at once."""
        leaf = self._leaf(node)
        if leaf is not None:
            return [Step(MicroOp.MOV, leaf)]
        if self.uses[node] > uses:
            raise _Needs(node)
        return self._steps(node, may_save, top=True)

    def _unsaved(self, node: Ex) -> list[Step]:
        """Steps that leave t alone; the node becomes a temporary if it has none."""
        leaf = self._leaf(node)
        if leaf is not None:
            return [Step(MicroOp.MOV, leaf)]
        try:
            return self._steps(node, False)
        except _Needs as needs:
            shared = self.uses[needs.node] > 1
            raise _Needs(needs.node if shared else node) from None

    def _path(self, node: Ex, start: Ex) -> list[Step] | None:
        """Micro-ops from v = start to v = node that read leaves only; None when there is none."""
        if node is start:
            return []
        if node.is_leaf or node in self.done or self.uses[node] > 1 or node.op is MicroOp.SEL:
            return None
        if len(node.args) == 1:
            head = self._path(node.args[0], start)
            return None if head is None else [*head, _unary_step(node)]
        a, b = node.args
        leaf_a, leaf_b = self._leaf(a), self._leaf(b)
        op, swapped = _operations(node)
        if leaf_b is not None:
            head = self._path(a, start)
            return None if head is None else [*head, Step(op, leaf_b)]
        if leaf_a is not None and swapped is not None:
            head = self._path(b, start)
            return None if head is None else [*head, Step(swapped, leaf_a)]
        return None

    def _select_steps(self, node: Ex, may_save: bool) -> list[Step]:
        condition, a, b = node.args
        other = self._leaf(b)
        if other is None:
            raise _Needs(b)
        if not may_save:
            raise _Needs(node)
        return [
            *self._steps(condition, True),
            Step(MicroOp.SAVE),
            *self._unsaved(a),
            Step(MicroOp.SEL, other),
        ]


def _operations(node: Ex) -> tuple[MicroOp, MicroOp | None]:
    """Return the micro-op of a node, and the one for its operands exchanged."""
    assert node.op is not None, "a leaf has no micro-op"
    return node.op, node.op.exchanged


def _unary_step(node: Ex) -> Step:
    assert node.op is not None, "a leaf has no micro-op"
    return Step(node.op, node.names)


def _name(node: Ex) -> str:
    return "of a leaf" if node.op is None else node.op.name


# -- cutting a list of micro-ops into chains -----------------------------------------------


def _cut(steps: list[Step]) -> list[list[Step]] | None:
    """Cut where no saved value is alive, so that every part fits; None when one part cannot."""
    live = _saved_alive(steps)
    parts, start = [], 0
    while start < len(steps):
        ends = [
            end
            for end in range(len(steps), start, -1)
            if (end == len(steps) or not live[end]) and _fits(steps[start:end], start > 0)
        ]
        if not ends:
            return None
        parts.append(steps[start : ends[0]])
        start = ends[0]
    return parts


def _saved_alive(steps: list[Step]) -> list[bool]:
    """Tell whether the saved value set before step i is read at or after it."""
    alive, live = [False] * (len(steps) + 1), False
    for i in range(len(steps) - 1, -1, -1):
        step = steps[i]
        if step.op is MicroOp.SAVE:
            live = False
        if step.op is MicroOp.SEL or step.reads is Src.T:
            live = True
        alive[i] = live
    return alive


def _fits(part: list[Step], carries: bool) -> bool:
    streams = [step.stream for step in part if step.stream is not None]
    first = _loads_stream(part[0]) is not None
    head = 1 if carries or first else 0
    others = list(dict.fromkeys(streams[1:] if first and not carries else streams))
    ops = len(part) - (1 if first and not carries else 0)
    constants = {step.reads for step in part if isinstance(step.reads, Constant)}
    quants = {step.reads for step in part if isinstance(step.reads, Quantiser)}
    if not head and not others:
        return False  # a chain needs a stream to walk; see `_stage`
    return (
        ops <= MAX_OPS
        and len(others) <= MAX_STREAMS - 1
        and len(constants) <= MAX_CONSTANTS
        and len(quants) <= MAX_QUANTS - 1
    )


def _stage(part: list[Step], carry: Temporary | None, result: int) -> Stage:
    """Name the streams of a part. in0 is the value carried in, or what the part loads first."""
    steps = list(part)
    head = carry
    if carry is None:
        head = _loads_stream(steps[0])
        if head is not None:
            del steps[0]
    others = list(dict.fromkeys(step.stream for step in steps if step.stream is not None))
    if head is None:
        head = others[0]  # starts from a constant: in0 is walked but not used
    names = {stream: BESIDE[i] for i, stream in enumerate(others)}
    chain = tuple(_chain_step(step, names) for step in steps)
    return Stage((head, *others), chain or PASS, result)


def _loads_stream(step: Step) -> Input | Temporary | None:
    """Return the stream that a part begins with by loading it."""
    return step.stream if step.op is MicroOp.MOV else None


def _chain_step(step: Step, names: dict[Input | Temporary, Src]) -> ChainStep | Lookup:
    reads = step.reads
    if isinstance(reads, Input | Temporary):
        return ChainStep(step.op, names[reads])
    if isinstance(reads, SegmentTable | bytes):
        return Lookup(step.op, reads)
    return ChainStep(step.op, reads)


__all__ = [
    "PER_CHANNEL",
    "PER_CHANNEL_INT",
    "Ex",
    "Input",
    "Lookup",
    "Stage",
    "Temporary",
    "at_least",
    "binary",
    "compile_expression",
    "greater",
    "lift",
    "maximum",
    "minimum",
    "select",
    "source",
    "table",
    "unary",
]
