"""Sizes of all that a model computes, checked before any memory is taken for it.

In: a model whose inputs are static and whose large weights are detached. Out: the model with the
shapes that can be inferred; ModelFileError when a value, or all constants that would be folded,
exceed `MOST_ELEMENTS`. Shapes are inferred without values; where a size is itself computed from
constants in a way that shape inference does not follow, that small computation alone is run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from jiriki.frontend.errors import ModelFileError

MOST_ELEMENTS = 1 << 27  # 512 MiB of float32: an eighth of the largest DRAM that a tile addresses
MOST_SIZES = 1 << 12  # elements of a tensor that gives sizes, and of what computes it
MOST_ROUNDS = 8  # sizes computed from sizes computed from sizes ...
# Operators whose result is larger than their inputs, and the inputs that say how large.
SIZED_BY: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Range": (0, 1, 2), "Pad": (1, 3),
    "Resize": (1, 2, 3), "Upsample": (1,), "OneHot": (1,), "CenterCropPad": (1,), "Reshape": (1,),
    "Slice": (1, 2, 3, 4), "Col2Im": (1,), "AffineGrid": (1,), "MaxUnpool": (2,),
}  # fmt: skip


def infer_sizes(
    model: onnx.ModelProto, label: str, detached: Collection[str] = ()
) -> onnx.ModelProto:
    """Return the model with inferred shapes. Raises ModelFileError for one that is too large.

    detached: inputs that stand for stored weights.
    """
    _check_splits(model.graph, label)
    inferred = _inferred(model)
    for _ in range(MOST_ROUNDS):
        _check(inferred, label, detached)
        sizes = _computed_sizes(inferred, detached)
        if not sizes:
            break
        with_sizes = onnx.ModelProto()
        with_sizes.CopyFrom(model)
        _store(with_sizes, sizes)
        model, inferred = with_sizes, _inferred(with_sizes)
    _check(inferred, label, detached)
    return inferred


def value_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return the shape of every value of the main graph that has a whole one."""
    graph = model.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = _shape(value)
        if shape is not None:
            shapes[value.name] = shape
    return shapes


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception:  # a malformed model: the checker will say what is wrong with it
        return model


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...] | None:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in tensor.shape.dim):
        return None
    return tuple(dim.dim_value for dim in tensor.shape.dim)


def _check_splits(graph: onnx.GraphProto, label: str) -> None:
    """Refuse a Split into other than its outputs: shape inference would make them all."""
    for node in graph.node:
        parts = next((a.i for a in node.attribute if a.name == "num_outputs"), len(node.output))
        if node.op_type == "Split" and parts != len(node.output):
            raise ModelFileError(
                f"{label}: node {node.name} splits into {parts} but has {len(node.output)} "
                "outputs; export the model again"
            )
        for inner in _graphs(node):
            _check_splits(inner, label)


def _graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _check(model: onnx.ModelProto, label: str, detached: Collection[str]) -> None:
    for name, shape in _all_shapes(model.graph):
        if prod(shape) > MOST_ELEMENTS:
            raise ModelFileError(
                f"{label}: value {name} of shape {list(shape)} has {prod(shape):,} elements, more "
                f"than {MOST_ELEMENTS:,}, the most that is computed; make the model smaller"
            )
    shapes = value_shapes(model)
    folded = sum(prod(shapes.get(name, ())) for name in _constants(model.graph, detached))
    if folded > MOST_ELEMENTS:
        raise ModelFileError(
            f"{label}: its constants are computed from others and have {folded:,} elements, more "
            f"than {MOST_ELEMENTS:,}; make the model smaller"
        )


def _all_shapes(graph: onnx.GraphProto) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield what a graph and the graphs inside it compute."""
    for value in (*graph.value_info, *graph.output):
        shape = _shape(value)
        if shape is not None:
            yield value.name, shape
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield f"attribute {attribute.name} of {node.name}", tuple(attribute.t.dims)
        for inner in _graphs(node):
            yield from _all_shapes(inner)


def _constants(graph: onnx.GraphProto, detached: Collection[str]) -> set[str]:
    """Return the values that nodes compute from nothing but constants."""
    known = {"", *detached, *(tensor.name for tensor in graph.initializer)}
    folded: set[str] = set()
    for node in graph.node:
        if known.issuperset(node.input):
            known.update(node.output)
            folded.update(node.output)
    return folded - {""}


def _computed_sizes(model: onnx.ModelProto, detached: Collection[str]) -> dict[str, np.ndarray]:
    """Return sizes that shape inference missed and that constants alone decide, by name."""
    graph, shapes = model.graph, value_shapes(model)
    constants = _constants(graph, detached)
    producers = {output: node for node in graph.node for output in node.output}
    wanted: set[str] = set()
    for node in graph.node:
        if node.op_type in SIZED_BY and node.output[0] not in shapes:
            names = [node.input[i] for i in SIZED_BY[node.op_type] if i < len(node.input)]
            wanted.update(name for name in names if name in constants)
    closures = {name: _closure(name, producers) for name in sorted(wanted)}
    small = {
        name: nodes
        for name, nodes in closures.items()
        if all(
            prod(shapes.get(o, (MOST_SIZES + 1,))) <= MOST_SIZES for n in nodes for o in n.output
        )
    }
    return _run(model, small)


def _closure(name: str, producers: dict[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Return the nodes that a value is computed by, in order."""
    nodes: list[onnx.NodeProto] = []
    seen: set[str] = set()
    stack = [(name, False)]
    while stack:
        value, done = stack.pop()
        node = producers.get(value)
        if node is None or (value in seen and not done):
            continue
        if done:
            if node not in nodes:
                nodes.append(node)
            continue
        seen.add(value)
        stack.append((value, True))
        stack.extend((source, False) for source in node.input)
    return nodes


def _run(model: onnx.ModelProto, wanted: dict[str, list[onnx.NodeProto]]) -> dict[str, np.ndarray]:
    from jiriki.frontend.onnx.reference import run_plain

    sizes = {}
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, nodes in wanted.items():
        used = {source for node in nodes for source in node.input} & stored.keys()
        inner = {output for node in nodes for output in node.output}
        if not all(s in used | inner or not s for node in nodes for s in node.input):
            continue  # it reads a detached weight
        graph = helper.make_graph(
            nodes, "sizes", [], [onnx.ValueInfoProto(name=name)], [stored[n] for n in sorted(used)]
        )
        alone = helper.make_model(graph, opset_imports=model.opset_import, ir_version=9)
        (sizes[name],) = run_plain(alone, {})
    return sizes


def _store(model: onnx.ModelProto, sizes: dict[str, np.ndarray]) -> None:
    """Store computed sizes as constants, in place of the nodes' outputs."""
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            if name in sizes:
                node.output[index] = f"{name}/computed"
    model.graph.initializer.extend(_initialisers(sizes))
    del model.graph.value_info[:]


def _initialisers(arrays: dict[str, np.ndarray]) -> Iterable[onnx.TensorProto]:
    return (numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items())
