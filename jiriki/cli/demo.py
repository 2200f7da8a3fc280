"""`jiriki demo`: a trained network on the chip, from photo to labelled answer and counted cycles.

In: a chip and the number of a labelled photo. Out: the answer, its check against ONNX Runtime,
latency, utilisation, the slowest layers, and report pages.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from jiriki.cli.meaning import labels_table, meaning_payload
from jiriki.cli.profile import count_cycles, file_lines, slowest_layers, write_pages
from jiriki.cli.run import answer, compare, differing_text
from jiriki.cli.screen import Screen
from jiriki.engines import load_engine
from jiriki.frontend.zoo import Photo
from jiriki.models import Built, Reading, build, open_model
from jiriki.report import Profile
from jiriki.report.quantities import percent, rate, seconds
from jiriki.report.tables import Sheet, rich_table

MODEL = "efficientnet-lite0"


def demo(chip: str | None, index: int, out: Path, as_json: bool) -> None:
    """Quantise, compile, classify one photo, count cycles, write the pages."""
    screen = Screen("demo", as_json)
    model = open_model(MODEL, Reading(), screen)
    assert model.zoo is not None, f"{MODEL} is in the zoo"
    photo = model.zoo.photos()[index]
    built = build(model, chip, 2, screen)
    engine = load_engine("functional", built.chip)
    feed = model.zoo.prepare(photo.data)
    with engine.load(built.program) as session:
        (photo_answer,) = answer(model, session, [(photo.name, feed)], screen)
    assert photo_answer.chip is not None, "the functional engine gives outputs"
    profile, _ = count_cycles(model, built, screen)
    files = write_pages([(profile, built)], out, screen)
    comparison = compare([photo_answer])
    top = meaning_payload(model, photo_answer.chip)["top"]
    payload = {
        "model": MODEL,
        "chip": built.chip.name,
        "photo": photo.name,
        "label": {"class": photo.label, "name": photo.class_name},
        "top": top,
        "label_in_top": photo.label in [entry["class"] for entry in top],
        "elements": comparison.elements,
        "differing_elements": comparison.differing,
        "largest_difference": comparison.largest,
        "cycles": profile.cycles,
        "clock_hz": built.chip.clock_hz,
        "latency_s": profile.latency_s,
        "utilisation": profile.utilisation,
        "files": {key: str(path) for key, path in files.items()},
        "wall_s": {**profile.wall_s, "run": photo_answer.wall_s},
    }
    screen.result(payload, lambda: _show(payload, photo, built, profile, files))


def _show(
    payload: Mapping[str, Any],
    photo: Photo,
    built: Built,
    profile: Profile,
    files: Mapping[str, Path],
) -> Iterable[RenderableType]:
    chip = built.chip
    top = payload["top"]
    yield labels_table(top, f"{photo.name}, labelled {photo.class_name}: top {len(top)}")
    rows = (
        ("the label is in the top 5", "yes" if payload["label_in_top"] else "no"),
        ("outputs that differ from ONNX Runtime's", differing_text(payload)),
        ("chip", f"{chip.name}, {chip.macs_per_cycle} int8 MAC/cycle"),
        ("cycles", f"{profile.cycles:,}"),
        (f"latency at {rate(chip.clock_hz)}", seconds(profile.latency_s)),
        ("utilisation", percent(profile.utilisation)),
    )
    yield rich_table(Sheet(f"{MODEL} on {chip.name}", ("", ""), rows))
    yield from slowest_layers(profile)
    yield from file_lines(files)
