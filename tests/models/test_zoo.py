"""Every other model of the zoo, compiled for e256: element by element against ONNX Runtime."""

from __future__ import annotations

import pytest

from tests.models.zoo import compare, compiled

RUNS = 2  # calibration inputs, which are real ones where the weights are
EXACT = ("mobilenetv2", "ppocr-det", "ppocr-cls")


@pytest.mark.full
@pytest.mark.parametrize("name", EXACT)
def test_model_equals_onnx_runtime_in_every_element(name: str) -> None:
    net = compiled(name)
    comparison = compare(net, net.zoo.calibration()[:RUNS])
    assert comparison.elements > 0 and comparison.differing == 0, comparison


@pytest.mark.full
@pytest.mark.parametrize("name", ["resnet50", "ppocr-rec"])
def test_softmax_of_bytes_differs_by_one_step_at_most(name: str) -> None:
    """Decision 0004 bounds it; measured on these inputs: no element differs."""
    net = compiled(name)
    comparison = compare(net, net.zoo.calibration()[:RUNS])
    assert comparison.elements > 0 and comparison.largest_steps <= 1.001, comparison


@pytest.mark.full
def test_magika_is_within_the_tolerance_of_float_outputs() -> None:
    """Its softmax is float to the end; decision 0004: 2e-5 relative."""
    net = compiled("magika")
    comparison = compare(net, net.zoo.calibration()[:RUNS])
    assert net.graph.outputs[0].scale is None
    assert comparison.elements == RUNS * 214 and comparison.largest_steps <= 2e-5, comparison
