"""What no instruction holds is refused, and the layer is named."""

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.emit import EmitError
from jiriki.frontend import import_onnx, quantise_onnx
from tests.frontend.nets import feeds_of, model, node, weights


def test_a_stride_beyond_its_field_names_the_layer() -> None:
    rng = np.random.default_rng(0)
    conv = node("Conv", "xw", strides=[32, 32])
    net = model([conv], {"x": (1, 3, 96, 96)}, {"w": weights(rng, 8, 3, 32, 32)})
    graph = import_onnx(quantise_onnx(net, feeds_of(net, rng, 2)))
    with pytest.raises(EmitError, match=r"layer y_\w+ \(conv\) needs .*sy = 32 is outside 0\.\.31"):
        compile_graph(graph, load_chip("nano"))
