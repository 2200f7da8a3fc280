"""The builder: fresh names, checked nodes, and a Graph that no source format knows of."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend.lower.per_channel import dequantise_spread, quantise_spread, spread
from jiriki.graph import DType, GraphBuilder, GraphError, Port, evaluate

f32 = np.float32


def start(dtype: DType, external: str, shape: tuple[int, ...]) -> tuple[GraphBuilder, Port]:
    builder = GraphBuilder("net")
    port = Port("x", external, shape, None, 0)
    builder.add_input(port, dtype)
    return builder, port


def test_names_that_are_taken_get_a_number():
    builder, _ = start(DType.F32, "float32", (2,))
    names = [builder.emit("relu", ["x"], {}, "y", "y") for _ in range(3)]
    assert names == ["y", "y.2", "y.3"]


def test_what_the_op_table_refuses_is_not_emitted():
    builder, _ = start(DType.F32, "float32", (2,))
    with pytest.raises(GraphError, match="takes 2 inputs, not 1"):
        builder.emit("add", ["x"], {}, "y", "y")
    assert builder.nodes == []


def test_a_constant_is_a_copy_that_nobody_changes():
    builder, _ = start(DType.F32, "float32", (2,))
    array = np.ones(2, f32)
    name = builder.add_constant("c", array)
    array[0] = 5
    assert builder.constants[name].tolist() == [1, 1]
    assert not builder.constants[name].flags.writeable


def test_an_output_takes_the_name_of_an_inner_tensor():
    builder, x = start(DType.F32, "float32", (2,))
    builder.emit("relu", ["x"], {}, "y", "first")
    inner = builder.move_aside("y")
    builder.emit("neg", [inner], {}, "y", "second")
    graph = builder.build([x], [Port("y", "float32", (2,), None, 0)])
    assert evaluate(graph, {"x": np.array([-1, 3], f32)})["y"].tolist() == [0, -3]


def test_scales_a_channel_are_applied_without_a_source_format():
    """By hand: (x - zp) * scale, and back again to x."""
    builder, x = start(DType.I8, "int8", (3, 2))
    scale = spread(np.array([0.5, 2, 0.25], f32), (3, 2), 0, 0)
    point = spread(np.array([0, 3, -4]), (3, 2), 0, 0)
    wide = dequantise_spread(builder, "x", scale, point, "w", "dequantise")
    y = quantise_spread(builder, wide, scale, point, "int8", "y", "quantise")
    graph = builder.build([x], [Port(y, "int8", (3, 2), None, 0)])
    values = np.array([[-128, 127], [5, 3], [-4, 0]], np.int8)
    np.testing.assert_array_equal(evaluate(graph, {"x": values})[y], values)
