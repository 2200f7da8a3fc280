"""A model's name into its graph and the inputs that calibrate it.

Concept: one `Recipe` per model of the catalogue: how its graph is built, how a file becomes its
input, which inputs calibrate it and what its output means. `load` is what the rest of the house
calls.
In: a name. Out: a `ZooModel`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
import onnx

from jiriki.frontend.zoo import images
from jiriki.frontend.zoo.catalogue import ModelCard, WeightsKind, catalogue, model_card
from jiriki.frontend.zoo.checkpoint import read_pth
from jiriki.frontend.zoo.digits import (
    build_digits,
    calibration_digits,
    digit_names,
    labelled_digits,
    prepare_digit,
)
from jiriki.frontend.zoo.efficientnet import build_efficientnet_lite0
from jiriki.frontend.zoo.errors import ZooError
from jiriki.frontend.zoo.images import Photo
from jiriki.frontend.zoo.meaning import Meaning, find_boxes, read_line, top_labels
from jiriki.frontend.zoo.mobilenet import build_mobilenetv2
from jiriki.frontend.zoo.packages import open_package
from jiriki.frontend.zoo.published import parse_onnx, with_dummy_weights, with_fixed_inputs

Feed = dict[str, np.ndarray]

NOISE_SEED = 7
NOISE_FEEDS = 4
MAGIKA_END_BYTES = 1024
MAGIKA_BLOCK_BYTES = 4096
MAGIKA_PADDING = 256
MAGIKA_FILES = 64
MAGIKA_CONFIG = "magika/models/standard_v3_3/config.min.json"
DIRECTIONS = ("upright", "upside down")  # label_list of config.yaml: 0 and 180 degrees


@dataclass(frozen=True)
class Recipe:
    """How one model is built, fed, calibrated and read."""

    build: Callable[[ModelCard], onnx.ModelProto]
    prepare: Callable[[ModelCard, bytes], np.ndarray]
    samples: Callable[[ModelCard], Iterable[np.ndarray]]
    meaning: Callable[[ModelCard, np.ndarray], Meaning]
    photos: Callable[[], tuple[Photo, ...]] = images.labelled_photos  # if the card has any
    classes: Callable[[], tuple[str, ...]] = images.class_names


@dataclass(frozen=True)
class ZooModel:
    """A model ready to compile: fixed input shapes, float, as ONNX bytes."""

    card: ModelCard
    onnx_bytes: bytes

    @property
    def input_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each input by name."""
        return self.card.inputs

    def prepare(self, data: bytes) -> Feed:
        """Turn a file (a picture; any file for magika) into the model's input."""
        return _feed(self.card, RECIPES[self.card.name].prepare(self.card, data))

    def calibration(self) -> tuple[Feed, ...]:
        """Return inputs to calibrate on: real ones, or seeded noise for dummy weights."""
        samples = RECIPES[self.card.name].samples(self.card)
        return tuple(_feed(self.card, sample) for sample in samples)

    def photos(self) -> tuple[Photo, ...]:
        """Return the labelled photos; none of them is used in calibration."""
        if not self.card.has_photos:
            raise ZooError(
                f"model {self.card.name} has no labelled photos; "
                f"choose one of {', '.join(c.name for c in _cards_with_photos())}"
            )
        return RECIPES[self.card.name].photos()

    def meaning(self, outputs: Mapping[str, np.ndarray]) -> Meaning:
        """Return what the model's output means: labels, text or boxes."""
        (output,) = outputs.values()
        return RECIPES[self.card.name].meaning(self.card, output)

    def class_names(self) -> tuple[str, ...]:
        """Return the names of the classes of a model with photos, by class index."""
        return RECIPES[self.card.name].classes()


def load(name: str) -> ZooModel:
    """Return a model by name, fetching its package on first use."""
    card = model_card(name)
    return ZooModel(card, RECIPES[name].build(card).SerializeToString(deterministic=True))


def _cards_with_photos() -> list[ModelCard]:
    return [card for card in catalogue().models.values() if card.has_photos]


def _feed(card: ModelCard, array: np.ndarray) -> Feed:
    (name,) = card.inputs
    assert array.shape == card.inputs[name], f"{card.name}.{name}: prepared {array.shape}"
    return {name: array}


def _source(card: ModelCard) -> bytes:
    assert card.package and card.member, f"{card.name} has no package to read"
    return open_package(card.package).read(card.member)


def _build_efficientnet(card: ModelCard) -> onnx.ModelProto:
    return build_efficientnet_lite0(read_pth(_source(card), card.name))


def _build_digits(card: ModelCard) -> onnx.ModelProto:
    del card
    return build_digits()


def _build_mobilenet(card: ModelCard) -> onnx.ModelProto:
    del card
    return build_mobilenetv2()


def _build_published(card: ModelCard) -> onnx.ModelProto:
    model = with_fixed_inputs(parse_onnx(_source(card), card.name), card.inputs)
    return with_dummy_weights(model) if card.weights is WeightsKind.DUMMY else model


def _prepare_photo(card: ModelCard, data: bytes) -> np.ndarray:
    del card
    return images.preprocess(images.decode(data))


def _prepare_digit(card: ModelCard, data: bytes) -> np.ndarray:
    del card
    return prepare_digit(images.decode(data))


def _prepare_page(card: ModelCard, data: bytes) -> np.ndarray:
    return images.preprocess_page(images.decode(data), *_height_width(card))


def _prepare_line(card: ModelCard, data: bytes) -> np.ndarray:
    return images.preprocess_line(images.decode(data), *_height_width(card))


def _prepare_bytes(card: ModelCard, data: bytes) -> np.ndarray:
    """Take both ends of a file without outer white space, padded: [1, 2048] int32."""
    del card
    begin = data[:MAGIKA_BLOCK_BYTES].lstrip()[:MAGIKA_END_BYTES]
    end = data[-MAGIKA_BLOCK_BYTES:].rstrip()[-MAGIKA_END_BYTES:]
    if len(data) <= MAGIKA_BLOCK_BYTES:
        begin, end = data.strip()[:MAGIKA_END_BYTES], data.strip()[-MAGIKA_END_BYTES:]
    tokens = np.full((1, 2 * MAGIKA_END_BYTES), MAGIKA_PADDING, np.int32)
    tokens[0, : len(begin)] = np.frombuffer(begin, np.uint8)
    tokens[0, tokens.size - len(end) :] = np.frombuffer(end, np.uint8)
    return tokens


def _height_width(card: ModelCard) -> tuple[int, int]:
    ((_, _, height, width),) = card.inputs.values()
    return height, width


def _photo_samples(card: ModelCard) -> Iterable[np.ndarray]:
    del card
    return map(images.preprocess, images.calibration_photos())


def _digit_samples(card: ModelCard) -> Iterable[np.ndarray]:
    del card
    return calibration_digits()


def _page_samples(card: ModelCard) -> Iterable[np.ndarray]:
    size = _height_width(card)
    pages = [*images.source_pages(), *islice(images.source_photos(), 6)]
    return (images.preprocess_page(page, *size) for page in pages)


def _line_samples(card: ModelCard) -> Iterable[np.ndarray]:
    size = _height_width(card)
    return (images.preprocess_line(line, *size) for line in images.text_lines())


def _turned_line_samples(card: ModelCard) -> Iterable[np.ndarray]:
    size = _height_width(card)
    for line in images.text_lines():
        yield images.preprocess_line(line, *size)
        yield images.preprocess_line(line.rotate(180), *size)


def _noise_samples(card: ModelCard) -> Iterable[np.ndarray]:
    random = np.random.default_rng(NOISE_SEED)
    (shape,) = card.inputs.values()
    return (random.standard_normal(shape, np.float32) for _ in range(NOISE_FEEDS))


def _file_samples(card: ModelCard) -> Iterable[np.ndarray]:
    """Read files of the scikit-image wheel: every other type once, then Python sources."""
    archive = open_package(catalogue().packages["scikit-image"])
    by_type = {name.rsplit(".", 1)[-1]: name for name in reversed(archive.names())}
    chosen = dict.fromkeys([*by_type.values(), *archive.names()])
    contents = dict.fromkeys(archive.read(name) for name in islice(chosen, 2 * MAGIKA_FILES))
    return (_prepare_bytes(card, data) for data in islice(filter(None, contents), MAGIKA_FILES))


def _photo_labels(card: ModelCard, scores: np.ndarray) -> Meaning:
    del card
    return top_labels(scores, images.class_names())


def _digit_labels(card: ModelCard, scores: np.ndarray) -> Meaning:
    del card
    return top_labels(scores, digit_names())


def _type_labels(card: ModelCard, scores: np.ndarray) -> Meaning:
    assert card.package, f"{card.name} comes from a package"
    config = json.loads(open_package(card.package).read(MAGIKA_CONFIG))
    return top_labels(scores, config["target_labels_space"])


def _direction_labels(card: ModelCard, scores: np.ndarray) -> Meaning:
    del card
    return top_labels(scores, DIRECTIONS)


def _text(card: ModelCard, probabilities: np.ndarray) -> Meaning:
    """Read a line; the published model carries its characters, the space comes after them."""
    properties = parse_onnx(_source(card), card.name).metadata_props
    (characters,) = (entry.value for entry in properties if entry.key == "character")
    return read_line(probabilities, [*characters.splitlines(), " "])


def _text_boxes(card: ModelCard, probabilities: np.ndarray) -> Meaning:
    del card
    return find_boxes(probabilities, "text")


RECIPES: Mapping[str, Recipe] = {
    "efficientnet-lite0": Recipe(
        _build_efficientnet, _prepare_photo, _photo_samples, _photo_labels
    ),
    "resnet50": Recipe(_build_published, _prepare_photo, _noise_samples, _photo_labels),
    "mobilenetv2": Recipe(_build_mobilenet, _prepare_photo, _noise_samples, _photo_labels),
    "ppocr-det": Recipe(_build_published, _prepare_page, _page_samples, _text_boxes),
    "ppocr-rec": Recipe(_build_published, _prepare_line, _line_samples, _text),
    "ppocr-cls": Recipe(_build_published, _prepare_line, _turned_line_samples, _direction_labels),
    "magika": Recipe(_build_published, _prepare_bytes, _file_samples, _type_labels),
    "digits": Recipe(
        _build_digits, _prepare_digit, _digit_samples, _digit_labels, labelled_digits, digit_names
    ),
}
