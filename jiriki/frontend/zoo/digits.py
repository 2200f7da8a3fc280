"""A small digits network, trained here in seconds on scikit-learn's handwritten digits.

Concept: 1,797 pictures of 8 x 8 pixels (UCI ML hand-written digits, in the scikit-learn wheel); the
first 1,500 train, the rest test. Two convolutions, a pooling, a product; plain NumPy, Adam, fixed
seed. Small enough for a whole network to run on simulated gates within a test.
In: nothing. Out: a `ModelProto`, `image` [1, 1, 8, 8] float 0..1 to `logits` [1, 10]; pictures.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from jiriki.frontend.zoo.catalogue import catalogue
from jiriki.frontend.zoo.errors import ZooError
from jiriki.frontend.zoo.images import Photo
from jiriki.frontend.zoo.packages import open_package

SIDE, CLASSES, TRAINED, WHITE = 8, 10, 1500, 16
CHANNELS = (8, 16)
EPOCHS, BATCH, RATE, SEED = 12, 50, 4e-3, 3
LABELLED = 20  # test pictures shown as photos
CALIBRATION = 64

Parameters = dict[str, np.ndarray]


@cache
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures [1797, 1, 8, 8] float32 in 0..1 and their labels."""
    data = open_package(catalogue().packages["scikit-learn"]).read(
        "sklearn/datasets/data/digits.csv.gz"
    )
    try:
        table = np.loadtxt(io.BytesIO(gzip.decompress(data)), delimiter=",", dtype=np.int64)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ZooError(
            f"digits: the table of the scikit-learn wheel is damaged ({error})"
        ) from None
    images = table[:, :-1].reshape(-1, 1, SIDE, SIDE).astype(np.float32) / WHITE
    return images, table[:, -1]


def labelled_digits() -> tuple[Photo, ...]:
    """Return the first test pictures as PNG files with their labels."""
    images, labels = pictures()
    out = []
    for i in range(TRAINED, TRAINED + LABELLED):
        grey = Image.fromarray(np.rint(images[i, 0] * 255).astype(np.uint8))
        file = io.BytesIO()
        grey.save(file, "PNG")
        label = int(labels[i])
        out.append(Photo(f"digit-{i}.png", file.getvalue(), label, digit_names()[label]))
    return tuple(out)


def digit_names() -> tuple[str, ...]:
    """Return the names of the ten classes."""
    return tuple(f"digit {i}" for i in range(CLASSES))


def prepare_digit(image: Image.Image) -> np.ndarray:
    """Turn a picture into the network's input [1, 1, 8, 8]: white on black, 17 levels of grey."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    levels = np.rint(np.asarray(grey, np.float32) * WHITE / 255) / np.float32(WHITE)
    return levels.astype(np.float32)[None, None]


def calibration_digits() -> Iterator[np.ndarray]:
    """Yield training pictures."""
    images, _ = pictures()
    yield from (images[i : i + 1] for i in range(CALIBRATION))


def build_digits() -> onnx.ModelProto:
    """Train the network and return it; the same on every machine up to rounding."""
    return _as_onnx(_trained())


@cache
def _trained() -> Parameters:
    """Train on the first pictures, once a process."""
    images, labels = pictures()
    return _train(images[:TRAINED], labels[:TRAINED])


def _train(images: np.ndarray, labels: np.ndarray) -> Parameters:
    random = np.random.default_rng(SEED)
    first, second = CHANNELS
    flat = second * (SIDE // 2) ** 2
    shapes = {"w1": (first, 9), "w2": (second, 9 * first), "w3": (CLASSES, flat)}
    weights: Parameters = {}
    for name, (outputs, inputs) in shapes.items():
        scale = np.float32(np.sqrt(2 / inputs))
        weights[name] = random.standard_normal((outputs, inputs), np.float32) * scale
        weights[f"b{name[1]}"] = np.zeros(outputs, np.float32)
    adam = _Adam(weights)
    for _ in range(EPOCHS):
        order = random.permutation(len(images))
        for at in range(0, len(images), BATCH):
            chosen = order[at : at + BATCH]
            adam.step(_Step(weights, images[chosen]).gradients(labels[chosen]))
    return weights


class _Adam:
    """Adam (arXiv 1412.6980) on a dictionary of arrays, in place."""

    def __init__(self, weights: Parameters) -> None:
        self._weights, self._t = weights, 0
        self._mean = {k: np.zeros_like(v) for k, v in weights.items()}
        self._square = {k: np.zeros_like(v) for k, v in weights.items()}

    def step(self, gradients: Parameters) -> None:
        """Take one step."""
        self._t += 1
        for name, g in gradients.items():
            mean, square = self._mean[name], self._square[name]
            mean += 0.1 * (g - mean)
            square += 0.001 * (g * g - square)
            rate = RATE * np.sqrt(1 - 0.999**self._t) / (1 - 0.9**self._t)
            self._weights[name] -= np.float32(rate) * mean / (np.sqrt(square) + 1e-8)


def _columns(x: np.ndarray) -> np.ndarray:
    """Return the 3 x 3 neighbourhoods of [n, c, 8, 8], zero-padded: [n, 64, c * 9]."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x), SIDE * SIDE, -1)


@dataclass
class _Step:
    """One batch forward; `gradients` goes back."""

    weights: Parameters
    images: np.ndarray

    def __post_init__(self) -> None:
        w = self.weights
        self.columns1 = _columns(self.images)
        self.features1 = np.maximum(self.columns1 @ w["w1"].T + w["b1"], 0)  # [n, 64, 8]
        self.columns2 = _columns(_as_images(self.features1))
        self.features2 = np.maximum(self.columns2 @ w["w2"].T + w["b2"], 0)  # [n, 64, 16]
        half = SIDE // 2
        self.cells = _as_images(self.features2).reshape(-1, CHANNELS[1], half, 2, half, 2)
        self.pooled = self.cells.max(axis=(3, 5))  # [n, 16, 4, 4]
        self.logits = self.pooled.reshape(len(self.images), -1) @ w["w3"].T + w["b3"]

    def gradients(self, labels: np.ndarray) -> Parameters:
        """Return the gradients of the mean cross-entropy."""
        n, w = len(labels), self.weights
        shifted = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        d3 = shifted / shifted.sum(axis=1, keepdims=True)
        d3[np.arange(n), labels] -= 1
        d3 /= n
        flat = self.pooled.reshape(n, -1)
        dpool = (d3 @ w["w3"]).reshape(self.pooled.shape)[:, :, :, None, :, None]
        is_top = self.cells == self.pooled[:, :, :, None, :, None]
        d2 = _as_rows((dpool * is_top).reshape(n, CHANNELS[1], SIDE, SIDE)) * (self.features2 > 0)
        dcolumns = (d2 @ w["w2"]).reshape(n, SIDE, SIDE, CHANNELS[0], 3, 3)
        padded = np.zeros((n, CHANNELS[0], SIDE + 2, SIDE + 2), np.float32)
        for ky in range(3):
            for kx in range(3):
                part = dcolumns[..., ky, kx].transpose(0, 3, 1, 2)
                padded[:, :, ky : ky + SIDE, kx : kx + SIDE] += part
        d1 = _as_rows(padded[:, :, 1:-1, 1:-1]) * (self.features1 > 0)
        return {
            "w3": d3.T @ flat, "b3": d3.sum(axis=0),
            "w2": np.einsum("npo,npi->oi", d2, self.columns2, optimize=True),
            "b2": d2.sum(axis=(0, 1)),
            "w1": np.einsum("npo,npi->oi", d1, self.columns1, optimize=True),
            "b1": d1.sum(axis=(0, 1)),
        }  # fmt: skip


def _as_images(rows: np.ndarray) -> np.ndarray:
    return rows.transpose(0, 2, 1).reshape(len(rows), -1, SIDE, SIDE)


def _as_rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(*images.shape[:2], -1).transpose(0, 2, 1)


def _as_onnx(w: Parameters) -> onnx.ModelProto:
    first, second = CHANNELS
    constants = {
        "w1": w["w1"].reshape(first, 1, 3, 3), "b1": w["b1"],
        "w2": w["w2"].reshape(second, first, 3, 3), "b2": w["b2"], "w3": w["w3"], "b3": w["b3"],
    }  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["conv1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["conv1"], ["relu1"], "relu1"),
        helper.make_node("Conv", ["relu1", "w2", "b2"], ["conv2"], "conv2", pads=[1] * 4),
        helper.make_node("Relu", ["conv2"], ["relu2"], "relu2"),
        helper.make_node(
            "MaxPool", ["relu2"], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2]
        ),
        helper.make_node("Flatten", ["pool"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["logits"], "classes", transB=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
