"""Expressions over streams, and how they become chains of the vector unit.

In: an expression (a graph of `Ex` nodes; shared nodes are computed once). Out: `Stage`s, each one
chain within the unit's limits (10 micro-ops, 8 constants, 4 quantisers, three streams, one saved
value), later stages reading what earlier ones wrote as fp32 temporaries.

The arithmetic is the chip's: each node is one rounded operation, in the order written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jiriki.numerics import SegmentTable
from jiriki.tiling.errors import TileError

MAX_OPS, MAX_CONSTANTS, MAX_QUANTS, MAX_STREAMS = 10, 8, 4, 3
STREAM_NAMES = ("in1", "in2")
# binary micro-op -> the one that computes the same with v and x exchanged
SWAPPED = {
    "fadd": "fadd", "fmul": "fmul", "fmax": "fmax", "fmin": "fmin", "eq": "eq", "iadd": "iadd",
    "fsub": "frsb", "frsb": "fsub", "gt": None, "ge": None,
}  # fmt: skip


@dataclass(frozen=True, eq=False, slots=True)
class Ex:
    """A value: op "in" (input `value`), "k" (constant), "ps" "pb" (per channel), or a micro-op."""

    op: str
    args: tuple[Ex, ...] = ()
    value: object = None

    def __add__(self, other: Ex | float) -> Ex:
        return Ex("fadd", (self, lift(other)))

    def __sub__(self, other: Ex | float) -> Ex:
        return Ex("fsub", (self, lift(other)))

    def __rsub__(self, other: float) -> Ex:
        return Ex("frsb", (self, lift(other)))

    def __mul__(self, other: Ex | float) -> Ex:
        return Ex("fmul", (self, lift(other)))

    def __neg__(self) -> Ex:
        return Ex("neg", (self,))

    __radd__, __rmul__ = __add__, __mul__

    @property
    def is_leaf(self) -> bool:
        return self.op in ("in", "k", "ps", "pb")


def lift(x: Ex | float) -> Ex:
    return x if isinstance(x, Ex) else Ex("k", value=float(x))


def source(i: int) -> Ex:
    """Input stream i."""
    return Ex("in", value=i)


PER_CHANNEL_INT, PER_CHANNEL = Ex("pb"), Ex("ps")


def unary(op: str, x: Ex, value: object = None) -> Ex:
    return Ex(op, (x,), value)


def binary(op: str, a: Ex | float, b: Ex | float) -> Ex:
    return Ex(op, (lift(a), lift(b)))


def maximum(a: Ex | float, b: Ex | float) -> Ex:
    return binary("fmax", a, b)


def minimum(a: Ex | float, b: Ex | float) -> Ex:
    return binary("fmin", a, b)


def greater(a: Ex | float, b: Ex | float) -> Ex:
    return binary("gt", a, b)


def at_least(a: Ex | float, b: Ex | float) -> Ex:
    return binary("ge", a, b)


def select(condition: Ex, a: Ex | float, b: Ex | float) -> Ex:
    """Return a where condition is not 0, else b."""
    return Ex("sel", (condition, lift(a), lift(b)))


def table(x: Ex, contents: SegmentTable | bytes) -> Ex:
    """Look x up in a segment table, or (bytes) in a 256-entry int8 table."""
    return Ex("lut" if isinstance(contents, bytes) else "tbl", (x,), contents)


# -- stages --------------------------------------------------------------------------------

Step = tuple[str, object]  # ("load", Ref) or (micro-op, operand)


@dataclass(frozen=True, slots=True)
class Ref:
    """Something a chain can read: an input stream, a temporary, a constant, a channel parameter."""

    kind: str  # "in" "temp" "k" "ps" "pb" "v" "t"
    value: object = None

    @property
    def is_stream(self) -> bool:
        return self.kind in ("in", "temp")


V, T = Ref("v"), Ref("t")


@dataclass(frozen=True, slots=True)
class Stage:
    """One chain: its streams in order, its micro-ops, the temporary it writes (-1: the result).

    Operands in `chain`: "v" "t" "in1" "in2" "pb" "ps", ("k", float), ("q", limits), and for
    tables ("table", contents), contents being what `table` was given.
    """

    streams: tuple[Ref, ...]
    chain: tuple[tuple[str, object], ...]
    result: int


def compile_expression(root: Ex) -> list[Stage]:
    """Return the stages that compute root; the last has result -1."""
    return _Compiler(root).stages


class _Needs(Exception):
    """A subexpression must become a temporary first."""

    def __init__(self, node: Ex) -> None:
        super().__init__(node.op)
        self.node = node


class _Compiler:
    def __init__(self, root: Ex) -> None:
        self.uses: dict[Ex, int] = {}
        self._count(root)
        self.done: dict[Ex, Ref] = {}
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
        carry: Ref | None = None
        for i, part in enumerate(parts):
            final = i == len(parts) - 1
            number = -1 if final and last else self._new_temp()
            self.stages.append(_stage(part, carry, number))
            carry = Ref("temp", number)
        assert carry is not None
        self.done[node] = carry

    def _new_temp(self) -> int:
        self.temps += 1
        return self.temps - 1

    def _largest_part(self, node: Ex) -> Ex:
        """Choose the descendant, not yet a temporary, with the most operations of its own."""
        sizes = {x: self._size(x) for x in self._descendants(node)}
        if not sizes:
            raise TileError(f"operation {node.op} cannot be cut to fit a chain; split it in tiles/")
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

    def _leaf(self, node: Ex) -> Ref | None:
        if node in self.done:
            return self.done[node]
        return Ref(node.op, node.value) if node.is_leaf else None

    def _steps(self, node: Ex, may_save: bool, top: bool = False) -> list[Step]:
        """Micro-ops that leave the node in v; the first loads a leaf."""
        leaf = self._leaf(node)
        if leaf is not None and not top:
            return [("load", leaf)]
        if node.is_leaf:
            assert leaf is not None
            return [("load", leaf)]
        if self.uses[node] > 1 and not top:
            raise _Needs(node)
        if len(node.args) == 1:
            return [*self._steps(node.args[0], may_save), _unary_step(node)]
        if node.op == "sel":
            return self._select_steps(node, may_save)
        return self._binary_steps(node, may_save)

    def _binary_steps(self, node: Ex, may_save: bool) -> list[Step]:
        a, b = node.args
        leaf_a, leaf_b = self._leaf(a), self._leaf(b)
        swapped = SWAPPED[node.op]
        if a is b:
            return [*self._once(a, may_save, 2), (node.op, V)]
        if leaf_b is not None:
            return [*self._steps(a, may_save), (node.op, leaf_b)]
        if leaf_a is not None and swapped is not None:
            return [*self._steps(b, may_save), (swapped, leaf_a)]
        if leaf_a is not None or not may_save:
            raise _Needs(b if leaf_a is not None else node)
        tail = self._path(b, a)
        if tail is not None and swapped is not None and self.uses[a] == 2:
            return [*self._once(a, True, 2), ("save", None), *tail, (swapped, T)]
        tail = self._path(a, b)
        if tail is not None and self.uses[b] == 2:
            return [*self._once(b, True, 2), ("save", None), *tail, (node.op, T)]
        if swapped is not None:
            first = self._steps(a, True)
            return [*first, ("save", None), *self._unsaved(b), (swapped, T)]
        first = self._steps(b, True)
        return [*first, ("save", None), *self._unsaved(a), (node.op, T)]

    def _once(self, node: Ex, may_save: bool, uses: int) -> list[Step]:
        """Steps of a node all of whose uses are served at once."""
        leaf = self._leaf(node)
        if leaf is not None:
            return [("load", leaf)]
        if self.uses[node] > uses:
            raise _Needs(node)
        return self._steps(node, may_save, top=True)

    def _unsaved(self, node: Ex) -> list[Step]:
        """Steps that leave t alone; the node becomes a temporary if it has none."""
        leaf = self._leaf(node)
        if leaf is not None:
            return [("load", leaf)]
        try:
            return self._steps(node, False)
        except _Needs as needs:
            shared = self.uses[needs.node] > 1
            raise _Needs(needs.node if shared else node) from None

    def _path(self, node: Ex, start: Ex) -> list[Step] | None:
        """Micro-ops from v = start to v = node that read leaves only; None when there is none."""
        if node is start:
            return []
        if node.is_leaf or node in self.done or self.uses[node] > 1 or node.op == "sel":
            return None
        if len(node.args) == 1:
            head = self._path(node.args[0], start)
            return None if head is None else [*head, _unary_step(node)]
        a, b = node.args
        leaf_a, leaf_b = self._leaf(a), self._leaf(b)
        swapped = SWAPPED[node.op]
        if leaf_b is not None:
            head = self._path(a, start)
            return None if head is None else [*head, (node.op, leaf_b)]
        if leaf_a is not None and swapped is not None:
            head = self._path(b, start)
            return None if head is None else [*head, (swapped, leaf_a)]
        return None

    def _select_steps(self, node: Ex, may_save: bool) -> list[Step]:
        condition, a, b = node.args
        other = self._leaf(b)
        if other is None:
            raise _Needs(b)
        if not may_save:
            raise _Needs(node)
        return [*self._steps(condition, True), ("save", None), *self._unsaved(a), ("sel", other)]


def _unary_step(node: Ex) -> Step:
    if node.op in ("lut", "tbl"):
        return node.op, Ref("table", node.value)
    return node.op, Ref("q", node.value) if node.op == "qnt" else None


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
    """Whether the saved value set before step i is read at or after it."""
    alive, live = [False] * (len(steps) + 1), False
    for i in range(len(steps) - 1, -1, -1):
        op, operand = steps[i]
        if op == "save":
            live = False
        if op == "sel" or operand is T:
            live = True
        alive[i] = live
    return alive


def _fits(part: list[Step], carries: bool) -> bool:
    streams = [operand for _, operand in part if isinstance(operand, Ref) and operand.is_stream]
    first = part[0][0] == "load" and isinstance(part[0][1], Ref) and part[0][1].is_stream
    head = 1 if carries or first else 0
    others = list(dict.fromkeys(streams[1:] if first and not carries else streams))
    ops = len(part) - (1 if first and not carries else 0)
    constants = {o.value for _, o in part if isinstance(o, Ref) and o.kind == "k"}
    quants = {o.value for _, o in part if isinstance(o, Ref) and o.kind == "q"}
    if not head and not others:
        return False  # a chain needs a stream to walk; see `_stage`
    return (
        ops <= MAX_OPS
        and len(others) <= MAX_STREAMS - 1
        and len(constants) <= MAX_CONSTANTS
        and len(quants) <= MAX_QUANTS - 1
    )


def _stage(part: list[Step], carry: Ref | None, result: int) -> Stage:
    """Name the streams of a part. in0 is the value carried in, or what the part loads first."""
    steps = list(part)
    if carry is None and _loads_stream(steps[0]):
        head = steps.pop(0)[1]
    else:
        head = carry
    rest = [o for _, o in steps if isinstance(o, Ref) and o.is_stream]
    others = list(dict.fromkeys(rest))
    if head is None:
        head = others[0]  # starts from a constant: in0 is walked but not used
    assert isinstance(head, Ref)
    names = {ref: STREAM_NAMES[i] for i, ref in enumerate(others)}
    chain = []
    for op, operand in steps:
        name = "mov" if op == "load" else op
        chain.append((name, _operand(operand, names)))
    return Stage((head, *others), tuple(chain) or (("mov", "v"),), result)


def _loads_stream(step: Step) -> bool:
    return step[0] == "load" and isinstance(step[1], Ref) and step[1].is_stream


def _operand(operand: object, names: dict[Ref, str]) -> object:
    if not isinstance(operand, Ref):
        return None
    if operand.is_stream:
        return names[operand]
    if operand.kind in ("v", "t", "pb", "ps"):
        return operand.kind
    return operand.kind, operand.value


__all__ = [
    "PER_CHANNEL",
    "PER_CHANNEL_INT",
    "Ex",
    "Ref",
    "Stage",
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
