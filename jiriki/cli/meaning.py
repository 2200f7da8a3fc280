"""What the output of a zoo's model means, as JSON and as a table.

In: a model and its output for one input. Out: `top` (labels), `text` or `boxes`; nothing for a
model that is not of the zoo, whose meaning only its owner knows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from rich.console import RenderableType

from jiriki.frontend.zoo import Boxes, Labels, Meaning, Text, WeightsKind
from jiriki.models import Model
from jiriki.report.tables import Sheet, rich_table


def meaning_payload(model: Model, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the fields that say what the outputs mean."""
    return _fields(model.zoo.meaning(outputs)) if model.zoo is not None else {}


def _fields(meaning: Meaning) -> dict[str, Any]:
    match meaning:
        case Labels(labels):
            top = [
                {"class": label.index, "name": label.name, "score": label.score} for label in labels
            ]
            return {"top": top}
        case Text():
            return {"text": asdict(meaning)}
        case Boxes(boxes, height, width):
            return {"boxes": [asdict(box) for box in boxes], "picture": [height, width]}


def meaning_tables(
    model: Model, payload: Mapping[str, Any], source: str
) -> Iterable[RenderableType]:
    """Yield the table of the fields of `meaning_payload`, if it has any; source: the input's."""
    if "top" in payload:
        yield labels_table(payload["top"], f"top {len(payload['top'])} of {source}")
    if "text" in payload:
        rows = (("text", payload["text"]["text"]), ("score", f"{payload['text']['score']:.3f}"))
        yield rich_table(Sheet(f"text of {source}", ("", ""), rows))
    if "boxes" in payload:
        yield _boxes_table(payload, source)
    if model.zoo is not None and model.zoo.card.weights is WeightsKind.DUMMY:
        yield f"The weights of {model.name} are random: its answers mean nothing, its cycles do."


def labels_table(top: Iterable[Mapping[str, Any]], title: str) -> RenderableType:
    """Return ranked classes as a table."""
    rows = tuple((label["name"], str(label["class"]), f"{label['score']:.3f}") for label in top)
    return rich_table(Sheet(title, ("class", ">index", ">score"), rows))


def _boxes_table(payload: Mapping[str, Any], source: str) -> RenderableType:
    height, width = payload["picture"]
    rows = tuple(
        (str(number), box["label"], f"{box['score']:.3f}", *(str(box[side]) for side in "xywh"))
        for number, box in enumerate(payload["boxes"], 1)
    )
    title = f"{len(rows)} boxes of {source}, in pixels of its {width} x {height} input"
    return rich_table(Sheet(title, ("box", "label", ">score", ">x", ">y", ">w", ">h"), rows))
