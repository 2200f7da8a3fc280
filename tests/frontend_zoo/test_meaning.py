"""What the outputs of zoo models mean: values by hand, and texts and pages that people can read."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend.zoo import Boxes, Labels, Text, images, load
from jiriki.frontend.zoo.meaning import find_boxes, read_line, top_labels
from tests.frontend_zoo.counting import run


def spelled(*steps: tuple[int, float]) -> np.ndarray:
    """[1, steps, 5]: at each step one class with its probability."""
    array = np.zeros((1, len(steps), 5), np.float32)
    for i, (character, probability) in enumerate(steps):
        array[0, i, character] = probability
    return array


def test_labels_are_ranked_by_score_then_index() -> None:
    labels = top_labels(np.array([[1.0, 3.0, 2.0, 3.0]]), "abcd", 3).labels
    assert [(label.index, label.name, label.score) for label in labels] == [
        (1, "b", 3.0), (3, "d", 3.0), (2, "c", 2.0),
    ]  # fmt: skip


def test_a_line_loses_repetitions_and_blanks() -> None:
    steps = ((0, 0.9), (1, 0.5), (1, 0.9), (0, 0.9), (1, 0.75), (3, 1.0), (0, 1.0))
    assert read_line(spelled(*steps), "abcd") == Text("aac", 0.75)


def test_a_line_of_blanks_is_no_text() -> None:
    assert read_line(spelled((0, 1.0), (0, 1.0)), "abcd") == Text("", 0.0)


def page(*marks: tuple[int, int, int, int, float]) -> np.ndarray:
    """[1, 1, 100, 200] with rectangles y, x, h, w of a probability."""
    likely = np.zeros((1, 1, 100, 200), np.float32)
    for y, x, h, w, probability in marks:
        likely[0, 0, y : y + h, x : x + w] = probability
    return likely


def test_a_box_grows_by_area_over_circumference() -> None:
    (box,) = find_boxes(page((40, 50, 10, 40, 0.75)), "text").boxes
    grow = 10 * 40 * 1.6 / (2 * 50)  # 6.4 pixels at each side, to whole pixels outwards
    assert (box.label, box.score) == ("text", 0.75)
    assert (box.x, box.y, box.w, box.h) == (43, 33, 40 + 14, 10 + 14)
    assert box.x <= 50 - grow and box.y <= 40 - grow


def test_boxes_end_at_the_picture_s_edge() -> None:
    (box,) = find_boxes(page((0, 180, 20, 20, 1.0)), "text").boxes
    assert (box.x + box.w, box.y) == (200, 0)


def test_pixels_that_touch_at_a_corner_are_one_box() -> None:
    corner = page((10, 10, 6, 6, 1.0), (16, 16, 6, 6, 1.0))
    apart = page((10, 10, 6, 6, 1.0), (17, 17, 6, 6, 1.0))
    assert [len(find_boxes(marks, "text").boxes) for marks in (corner, apart)] == [1, 2]


def test_a_region_that_closes_late_is_one_box() -> None:
    u_turn = page((10, 10, 20, 4, 1.0), (10, 30, 20, 4, 1.0), (30, 10, 4, 24, 1.0))
    assert len(find_boxes(u_turn, "text").boxes) == 1


@pytest.mark.parametrize("mark", [(10, 10, 2, 50, 1.0), (10, 10, 9, 9, 0.45), (10, 10, 9, 9, 0.3)])
def test_what_is_thin_or_unlikely_is_no_box(mark: tuple[int, int, int, int, float]) -> None:
    assert find_boxes(page(mark), "text") == Boxes((), 100, 200)


def test_a_page_s_first_line_is_found_and_read() -> None:
    """scikit-image's scanned page begins with its title, in large letters."""
    detector, reader = load("ppocr-det"), load("ppocr-rec")
    picture = next(images.source_pages())
    ((likely,),) = run(detector.onnx_bytes, [detector.calibration()[0]])
    boxes = detector.meaning({"y": likely})
    assert isinstance(boxes, Boxes) and len(boxes.boxes) >= 5
    title = boxes.boxes[0]
    across, down = picture.width / boxes.width, picture.height / boxes.height
    sides = (title.x * across, title.y * down,
             (title.x + title.w) * across, (title.y + title.h) * down)  # fmt: skip
    line = images.preprocess_line(picture.crop(sides), 48, 320)
    ((probabilities,),) = run(reader.onnx_bytes, [{"x": line}])
    text = reader.meaning({"y": probabilities})
    assert isinstance(text, Text) and text.text == "Region-based segmentation" and text.score > 0.9


def test_a_line_s_direction_and_a_file_s_type_have_names() -> None:
    direction, magika = load("ppocr-cls"), load("magika")
    line = next(images.text_lines())
    for turned, name in ((line, "upright"), (line.rotate(180), "upside down")):
        ((scores,),) = run(direction.onnx_bytes, [{"x": images.preprocess_line(turned, 48, 192)}])
        labels = direction.meaning({"y": scores})
        assert isinstance(labels, Labels) and labels.labels[0].name == name
    source = b"import os\n\n\ndef main() -> None:\n    print(os.environ)\n" * 20
    ((scores,),) = run(magika.onnx_bytes, [magika.prepare(source)])
    labels = magika.meaning({"y": scores})
    assert isinstance(labels, Labels) and labels.labels[0].name == "python"
