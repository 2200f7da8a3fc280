"""Grouping: which graph nodes become one piece of work, and which tensors stay in the scratchpad.

In: a Graph. Out: `Step`s in order (a node, what is fused behind it, and the dense convolution it
streams into), tensors that are other tensors' bytes (aliases), and the resident set.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jiriki.graph.graph import Graph, Node
from jiriki.graph.op import integer
from jiriki.tiling.layout import channel_axis, layout_of, pack


@dataclass(frozen=True, slots=True)
class Step:
    """One node with its fused followers; `follow` is the step streamed into, if any."""

    node: Node
    fused: tuple[Node, ...] = ()
    follow: "Step | None" = None

    @property
    def nodes(self) -> tuple[Node, ...]:
        rest = self.follow.nodes if self.follow else ()
        return (self.node, *self.fused, *rest)

    @property
    def out(self) -> str:
        """The tensor the step leaves behind."""
        return self.nodes[-1].outputs[0]

    @property
    def inner(self) -> frozenset[str]:
        """Tensors that exist only inside the step."""
        return frozenset(t for n in self.nodes for t in n.outputs) - {self.out}

    @property
    def inputs(self) -> tuple[str, ...]:
        internal = {t for n in self.nodes for t in n.outputs}
        return tuple(dict.fromkeys(t for n in self.nodes for t in n.inputs if t not in internal))


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Return whether the matrix unit's depthwise mode computes this conv."""
    if node.op != "conv" or integer(node.attrs, "w_zp") != 0:
        return False
    outputs, per_group, _, _ = graph.tensors[node.inputs[1]].shape
    return per_group == 1 and node.attrs["group"] == outputs and outputs > 1


def is_weighted(graph: Graph, node: Node) -> bool:
    """Return whether the node is a conv, or a matmul by a constant matrix on channel-last rows."""
    if node.op == "conv":
        return True
    if node.op != "matmul" or node.inputs[1] not in graph.constants:
        return False
    a, w = graph.tensors[node.inputs[0]].shape, graph.tensors[node.inputs[1]].shape
    return len(w) == 2 and channel_axis(a) == len(a) - 1


def make_steps(graph: Graph) -> list[Step]:
    """Group the nodes; the order of steps respects every dependency."""
    uses = _uses(graph)
    at = {n.outputs[0]: i for i, n in enumerate(graph.nodes)}
    taken: set[str] = set()
    steps: list[Step] = []
    for i, node in enumerate(graph.nodes):
        if node.outputs[0] in taken:
            continue
        step = Step(node, _followers(graph, node, i, uses, at, taken))
        step = _stream(graph, step, uses, at, taken)
        taken.update(n.outputs[0] for n in step.nodes)
        steps.append(step)
    return steps


def _uses(graph: Graph) -> dict[str, list[Node]]:
    uses: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            uses.setdefault(name, []).append(node)
    return uses


def _sole_user(graph: Graph, tensor: str, uses: Mapping[str, list[Node]]) -> Node | None:
    users = uses.get(tensor, [])
    if len(users) != 1 or any(p.name == tensor for p in graph.outputs):
        return None
    return users[0]


def _followers(
    graph: Graph,
    node: Node,
    position: int,
    uses: Mapping[str, list[Node]],
    at: Mapping[str, int],
    taken: set[str],
) -> tuple[Node, ...]:
    """Return the lut or qadd that can run in the node's epilogue."""
    if not is_weighted(graph, node) or node.attrs["out"] != "i8":
        return ()
    value = node.outputs[0]
    user = _sole_user(graph, value, uses)
    if user is None or user.outputs[0] in taken:
        return ()
    if user.op == "lut":
        return (user,)
    if user.op == "qadd":
        other = user.inputs[1] if user.inputs[0] == value else user.inputs[0]
        ready = other != value and at.get(other, -1) < position
        same = graph.tensors[other].shape == graph.tensors[value].shape
        if ready and same:
            return (user,)
    return ()


def _stream(
    graph: Graph,
    step: Step,
    uses: Mapping[str, list[Node]],
    at: Mapping[str, int],
    taken: set[str],
) -> Step:
    """Let a depthwise step stream into the 1x1 convolution that alone reads it."""
    if not is_depthwise(graph, step.node) or any(n.op == "qadd" for n in step.fused):
        return step
    user = _sole_user(graph, step.out, uses)
    if user is None or not _is_pointwise(graph, user) or user.outputs[0] in taken:
        return step
    behind = _followers(graph, user, at[user.outputs[0]], uses, at, taken)
    between = range(at[step.node.outputs[0]], at[user.outputs[0]])
    made_between = {graph.nodes[i].outputs[0] for i in between}
    reads = {t for n in (user, *behind) for t in n.inputs}
    inner = {t for n in step.nodes for t in n.outputs}
    if (reads - inner - {user.outputs[0]}) & made_between:
        return step  # something it also needs is computed in between
    return Step(step.node, step.fused, Step(user, behind))


def _is_pointwise(graph: Graph, node: Node) -> bool:
    if node.op != "conv" or node.attrs["group"] != 1:
        return False
    kernel = graph.tensors[node.inputs[1]].shape[2:]
    return kernel == (1, 1) and node.attrs["strides"] == (1, 1) and not any(node.attrs["pads"])  # type: ignore[arg-type]


def find_aliases(graph: Graph, ku: int) -> dict[str, str]:
    """Return tensor -> tensor for reshapes (and transposes) that leave the blocked bytes alone."""
    aliases: dict[str, str] = {}
    outputs = {p.name for p in graph.outputs}
    for node in graph.nodes:
        if node.op not in ("reshape", "transpose") or node.outputs[0] in outputs:
            continue
        source, target = node.inputs[0], node.outputs[0]
        if source not in graph.constants and _same_bytes(graph, node, ku):
            aliases[target] = aliases.get(source, source)
    return aliases


def _same_bytes(graph: Graph, node: Node, ku: int) -> bool:
    before, after = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    old, new = layout_of(before, ku), layout_of(after, ku)
    if (old.groups, old.pixels, old.channels) != (new.groups, new.pixels, new.channels):
        return False
    index = np.arange(before.elements, dtype=np.int32).reshape(before.shape)
    moved = index
    if node.op == "transpose":
        moved = index.transpose(node.attrs["perm"])  # type: ignore[arg-type]
    return np.array_equal(pack(index, ku), pack(moved.reshape(after.shape), ku))


@dataclass(frozen=True, slots=True)
class Life:
    """A tensor's bytes (aliases joined) and the steps [first, last] between which it lives."""

    size: int
    first: int
    last: int


def lifetimes(
    graph: Graph, steps: list[Step], aliases: Mapping[str, str], ku: int, per: int
) -> dict[str, Life]:
    """Return the lives of the tensors between steps; inputs and outputs of the graph excluded."""
    fixed = {p.name for p in (*graph.inputs, *graph.outputs)}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for i, step in enumerate(steps):
        root = aliases.get(step.out, step.out)
        first.setdefault(root, i)
        last[root] = max(last.get(root, i), i)
        for name in step.inputs:
            root = aliases.get(name, name)
            last[root] = i
    lives = {}
    for root, start in first.items():
        if root in fixed or root in graph.constants:
            continue
        layout = layout_of(graph.tensors[root], ku)
        groups = -(-layout.groups // per) * per
        lives[root] = Life(groups * layout.plane_bytes, start, last[root])
    return lives


def choose_residents(
    lives: Mapping[str, Life], steps: int, budget: int, largest: int, barred: frozenset[str]
) -> frozenset[str]:
    """Choose tensors to keep in the scratchpad: short lives first, never above `budget` bytes."""
    load = np.zeros(steps, np.int64)
    chosen = set()
    order = sorted(lives.items(), key=lambda item: (item[1].last - item[1].first, item[1].size))
    for name, life in order:
        span = slice(life.first, life.last + 1)
        if name in barred or life.size > largest or load[span].max() + life.size > budget:
            continue
        load[span] += life.size
        chosen.add(name)
    return frozenset(chosen)
