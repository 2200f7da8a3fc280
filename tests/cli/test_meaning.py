"""What `jiriki run` says of a zoo model's output: labels, text, boxes, never least and greatest."""

from __future__ import annotations

import json

import numpy as np

from jiriki.cli.meaning import meaning_payload, meaning_tables
from jiriki.frontend.zoo import load
from jiriki.models import Model
from jiriki.report.tables import TerminalTable


def sheet_of(name: str, output: np.ndarray) -> tuple[dict, TerminalTable, list]:
    model = Model(name, zoo=load(name))
    payload = meaning_payload(model, {"y": output})
    table, *rest = meaning_tables(model, payload, "page.png")
    assert isinstance(table, TerminalTable)
    return json.loads(json.dumps(payload)), table, rest


def test_a_classifier_gives_labels() -> None:
    scores = np.zeros((1, 1000), np.float32)
    scores[0, 207] = 9
    payload, table, _ = sheet_of("efficientnet-lite0", scores)
    assert payload["top"][0] == {"class": 207, "name": "Golden Retriever", "score": 9.0}
    assert table.sheet.rows[0] == ("Golden Retriever", "207", "9.000")


def test_random_weights_say_so() -> None:
    _, _, rest = sheet_of("mobilenetv2", np.zeros((1, 1000), np.float32))
    assert rest == [
        "The weights of mobilenetv2 are random: its answers mean nothing, its cycles do."
    ]


def test_a_reader_gives_text() -> None:
    steps = np.zeros((1, 40, 6625), np.float32)
    steps[0, :, 0] = 1
    steps[0, 3, 6624] = 2  # the last class is the space
    payload, table, _ = sheet_of("ppocr-rec", steps)
    assert payload == {"text": {"text": " ", "score": 2.0}}
    assert table.sheet.rows == (("text", " "), ("score", "2.000"))


def test_a_detector_gives_boxes() -> None:
    likely = np.zeros((1, 1, 640, 640), np.float32)
    likely[..., 100:120, 200:300] = 0.5
    payload, table, _ = sheet_of("ppocr-det", likely)
    assert payload == {
        "boxes": [{"label": "text", "score": 0.5, "x": 186, "y": 86, "w": 128, "h": 48}],
        "picture": [640, 640],
    }
    assert table.sheet.rows == (("1", "text", "0.500", "186", "86", "128", "48"),)
