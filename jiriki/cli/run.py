"""`jiriki run`: a model's outputs on an engine, compared with ONNX Runtime's.

In: a model, a chip, an engine and inputs. Out: how many elements differ from the pinned reference
on the same quantised model (the values the host sees, compared for equality), and on the labelled
photos how often the top class is the float model's and the label's.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from rich.console import RenderableType

from jiriki.cli.accuracy import accuracy_payload, accuracy_tables, float_session, layer_payload
from jiriki.cli.errors import CliError
from jiriki.cli.meaning import meaning_payload, meaning_tables
from jiriki.cli.screen import Screen
from jiriki.cost.energy import run_energy
from jiriki.cost.process import DEFAULT_PROCESS, load_process
from jiriki.engines import load_engine
from jiriki.frontend import reference_session, run_reference
from jiriki.models import Built, Model, Reading, build, check_read_program, open_model, read_arrays
from jiriki.program import Program, Session
from jiriki.program.program import MAIN
from jiriki.report import write_bytes
from jiriki.report.payload import energy_payload
from jiriki.report.quantities import joules, seconds, spread, watts
from jiriki.report.tables import Sheet, rich_table
from jiriki.sim.timing import TimingEngine

Feed = Mapping[str, np.ndarray]
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Start:
    """Where a program starts, and the host's parameters that the command line gives."""

    entry: str | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)

    def joined(self, feed: Feed) -> Feed:
        """Return inputs and parameters by name. Raises CliError for a name in both."""
        if twice := sorted(feed.keys() & self.parameters.keys()):
            raise CliError(f"{twice[0]} stands in the inputs and in --parameters; give it once")
        return {**feed, **{name: np.array(value) for name, value in self.parameters.items()}}


START = Start()


@dataclass(frozen=True)
class Request:
    """The arguments of the command."""

    model: str
    reading: Reading = field(default_factory=Reading)
    chip: str | None = None
    engine: str = "functional"
    effort: int = 1
    photos: bool = False
    input: Path | None = None
    output: Path | None = None
    process: str = DEFAULT_PROCESS  # of the energy estimate
    port: str | None = None  # of an engine that is a board
    layers: bool = False  # say what each layer loses against the float model
    start: Start = START
    session: Path | None = None  # where the states of a program are kept


@dataclass(frozen=True)
class Answer:
    """One input's outputs: the chip's, and the reference's where there is one."""

    label: str
    chip: Outputs | None
    reference: Outputs | None
    wall_s: float
    cycles: int | None = None  # that the engine counted
    float: Outputs | None = None  # the float model's


@dataclass(frozen=True)
class Comparison:
    """Elements that the chip gave, how many differ from the reference, by how much at most."""

    elements: int
    differing: int | None
    largest: float | None


def run(request: Request, as_json: bool) -> None:
    """Run the model on its inputs, print how its outputs compare."""
    screen = Screen("run", as_json)
    _check(request)
    load_process(request.process)  # refuse an unknown one before the work
    model = open_model(request.model, request.reading, screen)
    inputs = _inputs(model, request)
    built = build(model, request.chip, request.effort, screen)
    engine = load_engine(request.engine, built.chip, request.port)
    check_names(built.program, inputs, request.start.entry)
    check_read_program(model, built, inputs[0][1], request.start.entry)
    if request.session is not None and not built.program.states:
        raise CliError(f"{model.name} keeps no state; leave --session out")
    with engine.load(built.program) as session:
        if request.session is not None and request.session.exists():
            session.restore(request.session)
        answers = list(answer(model, session, inputs, screen, request.start.entry))
        if request.session is not None:
            session.save(request.session)
    if request.output:
        _save(request.output, answers[0])
    payload = _payload(request, model, built, answers, inputs[0][1])
    if request.photos:
        payload |= _photo_scores(model, answers, screen)
    payload["accuracy"] = accuracy_payload(outputs_of(answers))
    if request.layers:
        payload["layer_accuracy"] = layer_payload(model, [feed for _, feed in inputs], screen)
    screen.result(payload, lambda: _tables(model, payload, answers))


def _check(request: Request) -> None:
    if request.photos and (request.input or request.output):
        raise CliError("--photos brings its own inputs; leave --input and --output out")


def outputs_of(answers: Sequence[Answer]) -> list[tuple[Outputs, Outputs]]:
    """Return the outputs of the chip and of the float model, where both are there."""
    return [(answer.chip, answer.float) for answer in answers if answer.chip and answer.float]


def _inputs(model: Model, request: Request) -> list[tuple[str, Feed]]:
    """Return labelled feeds, with the host's parameters in each."""
    return [(label, request.start.joined(feed)) for label, feed in _arrays(model, request)]


def _arrays(model: Model, request: Request) -> list[tuple[str, Feed]]:
    if request.photos:
        if model.zoo is None:
            raise CliError(
                f"--photos needs a model of the zoo, {model.name} is a file; pass --input"
            )
        return [(photo.name, model.zoo.prepare(photo.data)) for photo in model.zoo.photos()]
    if request.input is None:
        if model.program is not None and not model.program.entry(request.start.entry).inputs:
            return [("none", {})]
        if model.sample is None:
            raise CliError(f"{model.name} needs inputs; pass --input FILE.npz")
        return [("the first calibration sample", model.sample)]
    if request.input.suffix == ".npz" or model.zoo is None:
        return [(request.input.name, read_arrays(request.input))]
    try:
        data = request.input.read_bytes()
    except OSError as error:
        raise CliError(f"cannot read {request.input}: {error.strerror}") from None
    return [(request.input.name, model.zoo.prepare(data))]


def one_input(model: Model, path: Path | None, start: Start = START) -> tuple[str, Feed]:
    """Return one labelled feed: a file's, the first labelled photo, or a calibration sample."""
    photos = path is None and model.zoo is not None and model.zoo.card.has_photos
    return _inputs(model, Request(model.name, input=path, photos=photos, start=start))[0]


def check_names(
    program: Program, inputs: Sequence[tuple[str, Feed]], entry: str | None = None
) -> None:
    """Refuse inputs of other names than the entry's."""
    begun = program.entry(entry)
    wanted = {each.name for each in (*begun.inputs, *begun.parameters)}
    for label, feed in inputs:
        if feed.keys() != wanted:
            raise CliError(
                f"{label} holds {sorted(feed)}, the model's inputs are {sorted(wanted)}; save them "
                "by these names with numpy.savez"
            )


def answer(
    model: Model,
    on: Session,
    inputs: Sequence[tuple[str, Feed]],
    screen: Screen,
    entry: str | None = None,
) -> Iterator[Answer]:
    """Yield the answers, each with the reference's when the model is there to make it."""
    session = reference_session(model.onnx) if model.onnx is not None else None
    exact = float_session(model)
    for label, feed in screen.each(f"running {model.name} on {on.engine}", inputs):
        began = perf_counter()
        ran = on.run(feed, entry=entry)
        outputs = ran.outputs
        wall_s = perf_counter() - began
        reference = None
        if session and outputs is not None:
            reference = run_reference(session, feed)
        floats = run_reference(exact, feed) if exact and outputs is not None else None
        yield Answer(label, outputs, reference, wall_s, ran.cycles, floats)


def compare(answers: Iterable[Answer]) -> Comparison:
    """Count elements whose values are not the reference's; a NaN equals a NaN."""
    elements, differing, largest, compared = 0, 0, 0.0, False
    for answer in answers:
        for name, values in (answer.chip or {}).items():
            elements += values.size
            if answer.reference is None:
                continue
            compared = True
            expected = answer.reference[name].reshape(values.shape)
            unlike = ~((values == expected) | ((values != values) & (expected != expected)))
            differing += int(unlike.sum())
            with np.errstate(all="ignore"):
                far = np.abs(values.astype(np.float64) - expected.astype(np.float64))[unlike]
            largest = max(largest, float(np.max(far, initial=0.0)))
    finite = largest if np.isfinite(largest) else None
    return Comparison(elements, differing, finite) if compared else Comparison(elements, None, None)


def _payload(
    request: Request, model: Model, built: Built, answers: Sequence[Answer], feed: Feed
) -> dict[str, Any]:
    began = perf_counter()
    timed = TimingEngine(built.chip).run(built.program, feed, entry=request.start.entry)
    timing_s = perf_counter() - began
    energy = run_energy(built.program, timed, built.chip, load_process(request.process))
    comparison = compare(answers)
    run_s = sum(answer.wall_s for answer in answers)
    payload: dict[str, Any] = {
        "model": model.name,
        "chip": built.chip.name,
        "engine": request.engine,
        "entry": timed.entry,
        "parameters": dict(timed.parameters),
        "inputs": [answer.label for answer in answers],
        "elements": comparison.elements,
        "differing_elements": comparison.differing,
        "largest_difference": comparison.largest,
        "cycles": timed.cycles,
        "engine_cycles": [answer.cycles for answer in answers],
        "latency_s": (timed.cycles or 0) / built.chip.clock_hz,
        **energy_payload(energy),
        "wall_s": run_s,
        "steps_s": {**built.wall_s, "run": run_s, "timing": timing_s},
    }
    if len(answers) == 1 and answers[0].chip is not None:
        payload["outputs"] = {k: _summary(v) for k, v in answers[0].chip.items()}
        payload |= meaning_payload(model, answers[0].chip)
    return payload


def _summary(values: np.ndarray) -> dict[str, Any]:
    """Describe an array; numbers that JSON lacks become None."""
    numbers = {"min": values.min(), "max": values.max(), "mean": values.mean(dtype=np.float64)}
    plain = {key: float(n) if np.isfinite(n) else None for key, n in numbers.items()}
    return {"shape": list(values.shape), "dtype": values.dtype.name, **plain}


def _photo_scores(model: Model, answers: Sequence[Answer], screen: Screen) -> dict[str, Any]:
    """Compare top classes with the float model's and with the labels."""
    assert model.zoo and model.original is not None, "photos come with a model of the zoo"
    session, total = reference_session(model.original), len(answers)
    if any(answer.chip is None for answer in answers):
        return {"top1_agreement": None, "top1_correct": None}
    agree = correct = correct_float = 0
    pairs = list(zip(model.zoo.photos(), answers, strict=True))
    for photo, answer in screen.each("running the float model", pairs):
        values = next(iter(run_reference(session, model.zoo.prepare(photo.data)).values()))
        float_top, chip_top = int(np.argmax(values)), _top1(answer)
        agree += chip_top == float_top
        correct += chip_top == photo.label
        correct_float += float_top == photo.label
    return {
        "top1_agreement": [agree, total],
        "top1_correct": [correct, total],
        "top1_correct_float": [correct_float, total],
    }


def _top1(answer: Answer) -> int:
    assert answer.chip is not None, "checked before"
    return int(np.argmax(next(iter(answer.chip.values()))))


def _save(path: Path, answer: Answer) -> None:
    from io import BytesIO

    if answer.chip is None:
        raise CliError("this engine gives no outputs; leave --output out or use functional")
    buffer = BytesIO()
    np.savez(buffer, **answer.chip)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def _tables(
    model: Model, payload: Mapping[str, Any], answers: Sequence[Answer]
) -> Iterable[RenderableType]:
    yield rich_table(Sheet(f"{payload['model']} on {payload['chip']}", ("", ""), _rows(payload)))
    yield from accuracy_tables(payload["accuracy"], payload.get("layer_accuracy"))
    if model.zoo is not None:
        yield from meaning_tables(model, payload, answers[0].label)
    elif "outputs" in payload:
        rows = tuple(
            (
                name,
                "x".join(map(str, summary["shape"])),
                summary["dtype"],
                f"{summary['min']}",
                f"{summary['max']}",
            )
            for name, summary in payload["outputs"].items()
        )
        yield rich_table(Sheet("outputs", ("output", "shape", "type", ">min", ">max"), rows))


def _rows(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    rows = [
        ("engine", payload["engine"]),
        ("inputs", str(len(payload["inputs"]))),
        *start_rows(payload),
        ("elements that differ from ONNX Runtime", differing_text(payload)),
        ("cycles of one inference", f"{payload['cycles']:,}"),
        *_counted(payload),
        ("latency at the stated clock", seconds(payload["latency_s"])),
        (
            f"energy of one inference, estimate ({payload['process']})",
            spread(*map(joules, payload["energy_j"].values())),
        ),
        ("average power, estimate", spread(*map(watts, payload["power_w"].values()))),
        ("engine's time", f"{payload['wall_s']:.1f} s"),
    ]
    for key, label in (
        ("top1_agreement", "top class is the float model's"),
        ("top1_correct", "top class is the label"),
        ("top1_correct_float", "  the same for the float model"),
    ):
        if payload.get(key):
            rows.append((label, "{} of {}".format(*payload[key])))
    return tuple(rows)


def start_rows(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return rows of what a program with entries or host parameters was started with."""
    entry = () if payload["entry"] == MAIN else (("entry", payload["entry"]),)
    numbers = payload["parameters"].items()
    return *entry, *((f"parameter {name}", f"{value:,}") for name, value in numbers)


def _counted(payload: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return a row when the engine counted other cycles than the simulator of time."""
    counted = payload["engine_cycles"][0]
    if counted in (None, payload["cycles"]):
        return ()
    return ((f"cycles counted by engine {payload['engine']}", f"{counted:,}"),)


def differing_text(payload: Mapping[str, Any]) -> str:
    """Say how many elements differ, or that nothing was compared."""
    if payload["differing_elements"] is None:
        return "not compared"
    text = f"{payload['differing_elements']:,} of {payload['elements']:,}"
    far = payload["largest_difference"]
    return text if not payload["differing_elements"] else f"{text} (by {far:.3g} at most)"
