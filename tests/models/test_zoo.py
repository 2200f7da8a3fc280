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
    found = compare(net, net.zoo.calibration()[:RUNS])
    assert found.elements > 0 and found.differing == 0, found


@pytest.mark.full
def test_resnet50_differs_by_one_step_of_its_softmax_at_most() -> None:
    """Its last operator is a softmax of bytes, which decision 0004 bounds at one step."""
    net = compiled("resnet50")
    found = compare(net, net.zoo.calibration()[:RUNS])
    assert found.elements == RUNS * 1000
    assert found.largest_steps <= 1.001
