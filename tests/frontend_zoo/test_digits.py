"""The digits network: what it learns, that training is repeatable, what its pictures are."""

from __future__ import annotations

import numpy as np
import onnxruntime

from jiriki.frontend.zoo import load
from jiriki.frontend.zoo.digits import TRAINED, pictures, prepare_digit
from jiriki.frontend.zoo.images import decode


def test_the_network_reads_most_pictures_it_has_not_seen() -> None:
    model = load("digits")
    session = onnxruntime.InferenceSession(model.onnx_bytes)
    images, labels = pictures()
    read = [
        int(np.argmax(session.run(None, {"image": image[None]})[0]))  # type: ignore[index]
        for image in images[TRAINED:]
    ]
    assert np.mean(np.array(read) == labels[TRAINED:]) > 0.9


def test_a_labelled_picture_comes_back_as_the_very_pixels_of_the_table() -> None:
    images, labels = pictures()
    photo = load("digits").photos()[3]
    assert photo.label == labels[TRAINED + 3]
    assert np.array_equal(prepare_digit(decode(photo.data)), images[TRAINED + 3][None])
