"""Every model of the catalogue loads, has the size it claims, and comes with its inputs."""

from __future__ import annotations

from collections import Counter
from functools import cache
from importlib.resources import files

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from jiriki.frontend.zoo import (
    CheckpointError,
    WeightsKind,
    ZooError,
    ZooModel,
    class_names,
    decode,
    list_models,
    load,
    preprocess,
)
from jiriki.frontend.zoo.efficientnet import build_efficientnet_lite0
from jiriki.frontend.zoo.layers import same_padding
from jiriki.frontend.zoo.models import RECIPES
from tests.frontend_zoo.counting import count_macs, run

NAMES = [card.name for card in list_models()]


@cache
def loaded(name: str) -> ZooModel:
    return load(name)


def test_the_zoo_holds_the_promised_models() -> None:
    promised = "efficientnet-lite0 resnet50 mobilenetv2 ppocr-det ppocr-rec ppocr-cls magika digits"
    assert promised.split() == NAMES == list(RECIPES)


def test_unknown_model_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ZooError, match=r"model 'resnet51' is not in the zoo; .* resnet50,"):
        load("resnet51")


@pytest.mark.parametrize("name", NAMES)
def test_macs_of_the_card_are_those_that_onnx_runtime_computes(name: str) -> None:
    model = loaded(name)
    feed = model.calibration()[0]
    assert count_macs(model.onnx_bytes, feed) == model.card.macs


@pytest.mark.parametrize("name", NAMES)
def test_calibration_inputs_fit_and_differ(name: str) -> None:
    model = loaded(name)
    feeds = model.calibration()
    assert all({n: a.shape for n, a in feed.items()} == model.input_shapes for feed in feeds)
    assert len({array.tobytes() for feed in feeds for array in feed.values()}) == len(feeds) >= 4


def test_efficientnet_names_18_of_the_20_photos() -> None:
    model = loaded("efficientnet-lite0")
    photos = model.photos()
    feeds = [model.prepare(photo.data) for photo in photos]
    hits = [
        int(np.argmax(logits)) == photo.label
        for photo, (logits,) in zip(photos, run(model.onnx_bytes, feeds), strict=True)
    ]
    assert Counter(hits) == {True: 18, False: 2}


def test_calibration_holds_none_of_the_labelled_photos() -> None:
    model = loaded("efficientnet-lite0")
    photos = {preprocess(decode(photo.data)).tobytes() for photo in model.photos()}
    assert photos.isdisjoint(feed["image"].tobytes() for feed in model.calibration())


def test_photos_carry_their_class_names() -> None:
    named = {photo.name: photo.class_name for photo in loaded("efficientnet-lite0").photos()}
    assert len(named) == 20
    assert named["imagenet_04_949.jpg"] == "strawberry"
    assert class_names()[0] == "tench"


def test_model_without_photos_says_so() -> None:
    with pytest.raises(ZooError, match="magika has no labelled photos"):
        loaded("magika").photos()


def test_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"tensor _conv_stem.weight must have shape"):
        build_efficientnet_lite0({"_conv_stem.weight": np.zeros((16, 3, 3, 3), np.float32)})


def test_resnet50_is_the_graph_of_the_onnx_package() -> None:
    path = files("onnx").joinpath("backend/test/data/light/light_resnet50.onnx")
    published = onnx.load_model_from_string(path.read_bytes()).graph.node
    expected = [n for n in published if n.op_type != "ConstantOfShape"]
    nodes = onnx.load_model_from_string(loaded("resnet50").onnx_bytes).graph.node
    assert list(nodes) == expected


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
def test_dummy_weights_say_so_and_are_the_same_every_time(name: str) -> None:
    assert loaded(name).card.weights is WeightsKind.DUMMY
    assert load(name).onnx_bytes == loaded(name).onnx_bytes


def test_dummy_resnet50_tells_its_inputs_apart() -> None:
    model = loaded("resnet50")
    (first,), (second,) = run(model.onnx_bytes, model.calibration()[:2])
    assert 0.001 < np.abs(first - second).max() < 1


def test_mobilenetv2_has_the_published_number_of_parameters() -> None:
    graph = onnx.load_model_from_string(loaded("mobilenetv2").onnx_bytes).graph
    parameters = sum(numpy_helper.to_array(t).size for t in graph.initializer if t.dims)
    # 3,504,872 with a gain and a shift for each of 17,056 channels; folding leaves one bias each.
    assert parameters == 3_504_872 - 17_056


@pytest.mark.parametrize(
    ("side", "kernel", "stride", "expected"),
    [(224, 3, 2, (112, 0, 1)), (7, 5, 1, (7, 2, 2)), (28, 5, 2, (14, 1, 2)), (5, 1, 2, (3, 0, 0))],
)
def test_same_padding_puts_the_odd_pixel_last(
    side: int, kernel: int, stride: int, expected: tuple[int, int, int]
) -> None:
    assert same_padding(side, kernel, stride) == expected


def test_preprocessing_centres_on_127() -> None:
    image = Image.new("RGB", (300, 260), (127, 255, 0))
    pixels = preprocess(image)
    assert pixels.shape == (1, 3, 224, 224)
    assert [float(c) for c in pixels[0, :, 100, 100]] == [0.0, 1.0, -0.9921875]


def test_file_that_is_no_picture_is_refused() -> None:
    with pytest.raises(ZooError, match="picture of 4 bytes cannot be decoded"):
        loaded("efficientnet-lite0").prepare(b"text")


def test_magika_names_a_python_file() -> None:
    model = loaded("magika")
    tokens = model.prepare(b"  import os\n")["bytes"][0]
    assert bytes(tokens[:9].astype(np.uint8)) == b"import os"
    assert tokens[9] == 256 and bytes(tokens[-9:].astype(np.uint8)) == b"import os"
