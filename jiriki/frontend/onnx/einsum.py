"""Rewrite Einsum into transpositions, sums and matrix products, so that it can be quantised.

In: a model with inferred shapes. Out: the same model, or an equal one without the Einsum nodes
that have such a form. One operand after the other joins the product: labels that nothing else
reads are summed first, labels in both and kept are batches, labels in both and not kept are what
the product sums. A diagonal (one label twice in one operand) stays for the import to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jiriki.frontend.onnx.context import text_attribute

AXES_INPUT_OPSET = 13  # from here ReduceSum takes its axes as an input


@dataclass(frozen=True)
class Term:
    """A tensor and the label of each of its axes."""

    tensor: str
    labels: tuple[str, ...]


def expand_einsums(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its Einsum nodes rewritten, those with a diagonal excepted."""
    if not any(node.op_type == "Einsum" for node in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shapes, opset = _shapes(model), _opset(model)
    nodes = list(copy.graph.node)
    del copy.graph.node[:]
    for node in nodes:
        known = all(name in shapes for name in node.input)
        terms = _parsed(node, shapes) if node.op_type == "Einsum" and known else None
        if terms is None:
            copy.graph.node.append(node)
            continue
        writer = _Writer(node, opset, dict(shapes))
        writer.write(*terms)
        copy.graph.node.extend(writer.nodes)
        copy.graph.initializer.extend(writer.constants)
    return copy


def _opset(model: onnx.ModelProto) -> int:
    return next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the static shapes that the model states or that inference wrote into it."""
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape") and all(d.HasField("dim_value") for d in kind.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in kind.shape.dim)
    return shapes


def _parsed(
    node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Term], tuple[str, ...]] | None:
    """Return the operands with their labels and the labels of the result; None for a diagonal."""
    equation = text_attribute(node, "equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    texts = left.split(",")
    ranks = [len(shapes[name]) for name in node.input]
    if len(texts) != len(ranks):
        return None
    rest = [rank - len(t.replace("...", "")) for t, rank in zip(texts, ranks, strict=True)]
    if any(n < 0 or (n and "..." not in t) for n, t in zip(rest, texts, strict=True)):
        return None
    operands = [_labels(text, n) for text, n in zip(texts, rest, strict=True)]
    if any(len(set(labels)) < len(labels) for labels in operands):
        return None
    named = [label for labels in operands for label in labels if len(label) == 1]
    once = "".join(sorted(label for label in set(named) if named.count(label) == 1))
    most = max(rest) if any("..." in text for text in texts) else 0
    result = _labels(right if arrow else f"...{once}", most)
    terms = [Term(name, labels) for name, labels in zip(node.input, operands, strict=True)]
    return terms, result


def _labels(text: str, rest: int) -> tuple[str, ...]:
    """Return one label an axis; those of an ellipsis are counted from its right."""
    before, _, after = text.partition("...")
    inner = [f"...{rest - i}" for i in range(rest)] if "..." in text else []
    return (*before, *inner, *after)


@dataclass
class _Writer:
    """The nodes and constants that take the place of one Einsum."""

    node: onnx.NodeProto
    opset: int
    shapes: dict[str, tuple[int, ...]]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def write(self, terms: Sequence[Term], result: tuple[str, ...]) -> None:
        """Write the nodes of the whole product, the last of which gives the Einsum's output."""
        total, *others = terms
        for index, other in enumerate(others):
            later = {label for term in others[index + 1 :] for label in term.labels}
            total = self._join(total, other, {*result, *later})
        total = self._ordered(self._summed(total, set(result)), result)
        self._append("Identity", [total.tensor], self.node.output[0])

    def _join(self, a: Term, b: Term, remaining: set[str]) -> Term:
        """Multiply two terms and sum over the labels that both have, but those that remain."""
        a_labels, b_labels = set(a.labels), set(b.labels)
        a, b = self._summed(a, remaining | b_labels), self._summed(b, remaining | a_labels)
        both = [label for label in a.labels if label in b.labels]
        batch = [label for label in both if label in remaining]
        inner = [label for label in both if label not in remaining]
        rows = [label for label in a.labels if label not in both]
        columns = [label for label in b.labels if label not in both]
        left = self._folded(a, batch, rows, inner)
        right = self._folded(b, batch, inner, columns)
        groups = ([self._both(a, b, label) for label in group] for group in (batch, rows, columns))
        many, high, wide = groups
        folded = (*many, int(np.prod(high)), int(np.prod(wide)))
        product = self._emit("MatMul" if inner else "Mul", [left, right], folded)
        labels = (*batch, *rows, *columns)
        return Term(self._shaped(product, (*many, *high, *wide)), labels)

    def _both(self, a: Term, b: Term, label: str) -> int:
        """Return the size of a label in the product: a batch of 1 is repeated."""
        return max(self._size(term, label) for term in (a, b) if label in term.labels)

    def _folded(self, term: Term, batch: list[str], *groups: list[str]) -> str:
        """Return the term as [*batch, size of one group, size of the other]."""
        turned = self._ordered(term, (*batch, *groups[0], *groups[1]))
        sizes = [int(np.prod([self._size(term, x) for x in group])) for group in groups]
        shape = (*(self._size(term, label) for label in batch), *sizes)
        return self._shaped(turned.tensor, shape)

    def _size(self, term: Term, label: str) -> int:
        return self.shapes[term.tensor][term.labels.index(label)]

    def _summed(self, term: Term, remaining: set[str]) -> Term:
        """Sum over the labels that do not remain."""
        axes = [i for i, label in enumerate(term.labels) if label not in remaining]
        if not axes:
            return term
        shape = tuple(n for i, n in enumerate(self.shapes[term.tensor]) if i not in axes)
        if self.opset >= AXES_INPUT_OPSET:
            inputs = [term.tensor, self._stored(axes)]
            tensor = self._emit("ReduceSum", inputs, shape, keepdims=0)
        else:
            tensor = self._emit("ReduceSum", [term.tensor], shape, axes=axes, keepdims=0)
        return Term(tensor, tuple(label for label in term.labels if label in remaining))

    def _ordered(self, term: Term, labels: tuple[str, ...]) -> Term:
        """Transpose the term's axes into the order of the labels."""
        perm = [term.labels.index(label) for label in labels]
        if perm == list(range(len(perm))):
            return term
        shape = tuple(self.shapes[term.tensor][i] for i in perm)
        return Term(self._emit("Transpose", [term.tensor], shape, perm=perm), labels)

    def _shaped(self, tensor: str, shape: tuple[int, ...]) -> str:
        if self.shapes[tensor] == shape:
            return tensor
        return self._emit("Reshape", [tensor, self._stored(list(shape))], shape)

    def _stored(self, values: list[int]) -> str:
        name = f"{self.node.output[0]}/einsum{len(self.nodes)}/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def _emit(
        self, op: str, inputs: list[str], shape: tuple[int, ...], **attributes: int | list[int]
    ) -> str:
        output = f"{self.node.output[0]}/einsum{len(self.nodes)}"
        self._append(op, inputs, output, **attributes)
        self.shapes[output] = shape
        return output

    def _append(
        self, op: str, inputs: list[str], output: str, **attributes: int | list[int]
    ) -> None:
        name = f"{self.node.name or self.node.output[0]}/{op}{len(self.nodes)}"
        node = helper.make_node(op, inputs, [output], name)
        node.attribute.extend(helper.make_attribute(key, v) for key, v in attributes.items())
        self.nodes.append(node)
