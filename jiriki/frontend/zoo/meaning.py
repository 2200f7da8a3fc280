"""What the numbers that a model of the zoo gives mean: labels, a line of text, boxes.

In: the arrays that a model gives for one input. Out: `Labels`, `Text` or `Boxes`. The names of
classes and the characters come from the package that the weights come from, or from the data they
were trained on, under its licence. The rules for text and boxes are PaddleOCR's, with the settings
that the package of its models states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

TOP = 5

# config.yaml of rapidocr-onnxruntime 1.4.4, section Det
PIXEL_THRESHOLD = 0.3
BOX_THRESHOLD = 0.5
UNCLIP_RATIO = 1.6
MOST_BOXES = 1000
LEAST_SIDE = 3  # pixels; PaddleOCR's min_size


@dataclass(frozen=True, slots=True)
class Label:
    """A class by index and name, with the model's score as it stands."""

    index: int
    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Labels:
    """The classes of the highest scores, highest first."""

    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; score: the mean probability of its characters, 0 without any."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the model's input: left, top, width, height."""

    label: str
    score: float
    x: int
    y: int
    w: int
    h: int


@dataclass(frozen=True, slots=True)
class Boxes:
    """What was found in a picture of this height and width, from the top to the bottom."""

    boxes: tuple[Box, ...]
    height: int
    width: int


Meaning = Labels | Text | Boxes


def top_labels(scores: np.ndarray, names: Sequence[str], count: int = TOP) -> Labels:
    """Rank classes by score; equal scores by index."""
    flat = scores.reshape(-1)
    assert len(names) == flat.size, f"{len(names)} names for {flat.size} scores"
    best = np.argsort(-flat, kind="stable")[:count]
    ranked = (Label(i, names[i], float(flat[i])) for i in map(int, best))
    return Labels(tuple(ranked))


def read_line(probabilities: np.ndarray, characters: Sequence[str]) -> Text:
    """Read a line by CTC, greedily: drop repetitions, then blanks.

    probabilities: [1, steps, classes] float32; class 0 is the blank, class i + 1 characters[i].
    """
    best = probabilities[0].argmax(axis=-1)  # [steps]
    changes = np.concatenate([[True], best[1:] != best[:-1]])
    steps = np.flatnonzero(changes & (best != 0))
    scores = probabilities[0, steps, best[steps]]
    text = "".join(characters[i - 1] for i in map(int, best[steps]))
    return Text(text, float(scores.mean()) if steps.size else 0.0)


def find_boxes(probabilities: np.ndarray, label: str) -> Boxes:
    """Find upright boxes around what a differentiable binarisation net marks, [1, 1, h, w].

    Each connected region of likely pixels is a box, grown by `UNCLIP_RATIO` as PaddleOCR grows it;
    its score is the mean probability of the region's pixels.
    """
    likely = probabilities[0, 0]
    height, width = likely.shape
    candidates = (_box(region, likely, label) for region in _regions(likely > PIXEL_THRESHOLD))
    boxes = [box for box in candidates if box is not None][:MOST_BOXES]
    return Boxes(tuple(sorted(boxes, key=lambda box: (box.y, box.x))), height, width)


_Run = tuple[int, int, int]  # row, first column, column after the last


def _regions(mask: np.ndarray) -> list[list[_Run]]:
    """Return the 8-connected regions of a mask, each as runs of pixels in rows."""
    parents: list[int] = []
    runs: list[_Run] = []

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    above = range(0)
    for row, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        here = range(len(runs), len(runs) + edges.size // 2)
        for begin, end in edges.reshape(-1, 2).tolist():
            parents.append(len(runs))
            for other in above:
                if runs[other][1] <= end and begin <= runs[other][2]:
                    parents[root(len(runs))] = root(other)
            runs.append((row, begin, end))
        above = here
    regions: dict[int, list[_Run]] = {}
    for i, run in enumerate(runs):
        regions.setdefault(root(i), []).append(run)
    return list(regions.values())


def _box(region: Sequence[_Run], likely: np.ndarray, label: str) -> Box | None:
    """Return the grown box of a region; None when it is too small or unlikely."""
    top, bottom = region[0][0], region[-1][0] + 1
    left, right = min(begin for _, begin, _ in region), max(end for _, _, end in region)
    pixels = sum(end - begin for _, begin, end in region)
    score = sum(float(likely[row, begin:end].sum()) for row, begin, end in region) / pixels
    w, h = right - left, bottom - top
    if min(w, h) < LEAST_SIDE or score < BOX_THRESHOLD:
        return None
    grow = w * h * UNCLIP_RATIO / (2 * (w + h))
    height, width = likely.shape
    x, y = max(0, floor(left - grow)), max(0, floor(top - grow))
    x_end, y_end = min(width, ceil(right + grow)), min(height, ceil(bottom + grow))
    return Box(label, score, x, y, x_end - x, y_end - y)
