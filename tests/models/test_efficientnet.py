"""EfficientNet-Lite0 with its trained weights: ONNX Runtime's every element, right labels."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import reference_session
from jiriki.program.check import check
from tests.models.zoo import CHIP, compare, compiled

NAME = "efficientnet-lite0"
CLEAR = (0, 4, 9)  # photos whose float model is right


def test_the_program_passes_the_checker() -> None:
    check(compiled(NAME).program, CHIP)


def test_three_photos_are_classified_bit_for_bit_as_onnx_runtime_does() -> None:
    net = compiled(NAME)
    photos = [net.zoo.photos()[index] for index in CLEAR]
    comparison = compare(net, [net.zoo.prepare(photo.data) for photo in photos])
    assert (comparison.elements, comparison.differing) == (3 * 1000, 0)
    assert [int(np.argmax(y)) for y in comparison.outputs] == [photo.label for photo in photos]


@pytest.mark.full
def test_top_class_agrees_with_the_float_model_on_the_labelled_photos() -> None:
    net = compiled(NAME)
    feeds = [net.zoo.prepare(photo.data) for photo in net.zoo.photos()]
    session = reference_session(net.original)
    expected = [int(np.argmax(np.asarray(session.run(None, dict(f))[0]))) for f in feeds]
    comparison = compare(net, feeds)
    assert (comparison.elements, comparison.differing) == (20 * 1000, 0)
    got = [int(np.argmax(y)) for y in comparison.outputs]
    assert sum(a == b for a, b in zip(got, expected, strict=True)) >= 18
