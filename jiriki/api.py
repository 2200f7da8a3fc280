"""The functions of the face `import jiriki`: each room's work in one call, on values in memory.

In: models, samples and inputs as people have them: paths, bytes, arrays, mappings. Out: the
documents of the house (Program, Run) and what is said of them (Profile, Verification).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from jiriki.agreement import Verification, run_engines
from jiriki.chip import ChipConfig, chip_names, load_chip
from jiriki.compiler import compile_graph
from jiriki.cost.process import DEFAULT_PROCESS, load_process
from jiriki.engines import load_engine
from jiriki.errors import JirikiError
from jiriki.extras import how_to_install, missing_modules
from jiriki.frontend import reference_outputs
from jiriki.graph import Graph
from jiriki.models import (
    DEFAULT_CHIP,
    Feed,
    Model,
    Quiet,
    Reading,
    Sampler,
    Shapes,
    Values,
    float_model,
    open_model,
    read_arrays,
    read_samples,
    split_samples,
    take_onnx,
)
from jiriki.numerics.accuracy import output_accuracy
from jiriki.program import Engine, Entry, Program, Run
from jiriki.program.check import check
from jiriki.program.host import host_parameters
from jiriki.report.profile import Profile, make_profile
from jiriki.sim.timing import TimingEngine


class OnnxProto(Protocol):
    """An onnx.ModelProto, which only `jiriki.frontend` imports."""

    graph: Any

    def SerializeToString(self) -> bytes:
        """Return the bytes of the file."""
        ...


ModelSource: TypeAlias = str | PathLike[str] | bytes | OnnxProto
Samples: TypeAlias = (
    str | PathLike[str] | Mapping[str, ArrayLike] | Sequence[Mapping[str, ArrayLike]] | np.ndarray
)
Chip: TypeAlias = str | PathLike[str] | ChipConfig
Inputs: TypeAlias = str | PathLike[str] | Mapping[str, ArrayLike] | Sequence[ArrayLike] | np.ndarray


class ApiError(JirikiError):
    """What was passed to a function of `import jiriki` is none of what it takes."""


def load_model(
    model: ModelSource,
    *,
    calibration: Samples | None = None,
    shapes: Shapes | None = None,
    values: Values | None = None,
) -> Model:
    """Read a model, and quantise it to int8 when calibration samples are passed.

    - `model`: a name of the zoo (`jiriki models` lists them), the path of an ONNX file, its bytes,
      or an `onnx.ModelProto`.
    - `calibration`: samples of the inputs in the model's own types, for a float model: a list of
      dicts (one a sample), a dict of arrays that hold the samples along an added first axis, such
      an array alone for a model of one input, or the path of an .npz of such arrays.
    - `shapes`: sizes of inputs with open dimensions, by name: `{"x": (1, 3, 224, 224)}`, or of a
      dimension: `{"batch": 1}`. What stays open has the sizes of the first sample.
    - `values`: numbers or arrays at which inputs are fixed, by name: `{"sr": 16000}`.

    Returns a `Model`, which `jiriki.compile` takes; `Model.graph()` is its Graph. Raises
    ModelError when the name or file is nothing, FrontendError for a model or samples that cannot
    be taken, ApiError for an argument of another type.

    >>> import jiriki
    >>> jiriki.load_model("digits")
    <Model digits: quantised from float, of the zoo>
    """
    reading = Reading(shapes=shapes or {}, values=values or {})
    if isinstance(model, str | PathLike):
        text = model if isinstance(model, str) else str(Path(model).absolute())
        if isinstance(calibration, str | PathLike):
            return open_model(text, replace(reading, calibration=Path(calibration)), Quiet())
        if calibration is None:
            return open_model(text, reading, Quiet())
        path = Path(text)
        if not path.is_file():
            return open_model(text, replace(reading, calibration=path), Quiet())  # which refuses it
        return take_onnx(path, path.stem, reading, _sampler(calibration), Quiet())
    if not (isinstance(model, bytes) or hasattr(model, "SerializeToString")):
        raise ApiError(
            f"model is {type(model).__name__}; pass a path, a name of the zoo, the bytes of an "
            "ONNX file or an onnx.ModelProto"
        )
    samples = None if calibration is None else _sampler(calibration)
    return take_onnx(model, _proto_name(model), reading, samples, Quiet())


def compile(
    model: ModelSource | Model | Graph,
    chip: Chip = DEFAULT_CHIP,
    calibration: Samples | None = None,
    *,
    effort: int = 1,
    shapes: Shapes | None = None,
    values: Values | None = None,
    progress: Callable[[str], None] | None = None,
) -> Program:
    """Compile a model for a chip.

    - `model`, `calibration`, `shapes`, `values`: as `jiriki.load_model` takes them; or a `Model`
      that it returned, or a `Graph`.
    - `chip`: a name of the catalogue, the path of a TOML of your own, or what `jiriki.load_chip`
      returned.
    - `effort`: how many plans to try, from 1; the one of fewest cycles is kept.
    - `progress`: called with a line of text at each plan.

    Returns the `Program`. Raises ModelError and FrontendError as `jiriki.load_model`, ChipError for
    a chip, TileError or EmitError for a model that does not fit the chip.

    >>> import jiriki
    >>> program = jiriki.compile("digits", chip="nano")
    >>> [(b.name, b.shape, b.external) for b in program.inputs]
    [('image', (1, 1, 8, 8), 'float32')]
    """
    if effort < 1:
        raise ApiError(f"effort = {effort} is below 1, the number of plans to try; raise it")
    config = _chip(chip)
    if isinstance(model, Model | Graph):
        if calibration is not None or shapes or values:
            raise ApiError(
                f"{model!r} is loaded already; pass calibration, shapes and values to "
                "jiriki.load_model"
            )
    else:
        model = load_model(model, calibration=calibration, shapes=shapes, values=values)
    if isinstance(model, Model):
        if model.program is not None:
            raise ApiError(f"{model.name} is a program already; pass it to jiriki.run as it is")
        model = model.graph()
    return compile_graph(model, config, effort=effort, progress=progress)


def run(
    program: Program | str | PathLike[str],
    inputs: Inputs | None = None,
    engine: str | Engine = "functional",
    *,
    chip: Chip | None = None,
    parameters: Mapping[str, int] | None = None,
    entry: str | None = None,
    against: Model | None = None,
) -> Run:
    """Run a program on an engine.

    - `program`: a `Program`, or the path of a program file or of a program written as text.
    - `inputs`: arrays of the shapes and types that `program.inputs` states: a dict by name, a list
      in the order of the inputs, one array for a program of one input, or the path of an .npz.
    - `engine`: `"functional"` (exact values), `"timing"` (cycles; inputs may be left out), `"rtl"`
      (both, on the simulated gates), `"board"`, the name of an installed plug-in, or an Engine.
    - `chip`: the chip the program was compiled for, when that is not of the catalogue.
    - `parameters`: the integers of a program with host parameters, by name, each in the range that
      `program.entry(name).parameters` states.
    - `entry`: where to start a program with several entries; without, at its first.
    - `against`: the `Model` that was compiled; `Run.accuracy` then says how far the outputs are
      from the float model's.

    Returns a `Run`. Raises ProgramError for inputs or parameters that are not the program's,
    EngineError for an engine that is not there, ApiError for an argument of another type.

    >>> import jiriki, numpy
    >>> program = jiriki.compile("digits", chip="nano")
    >>> image = numpy.zeros((1, 1, 8, 8), numpy.float32)
    >>> run = jiriki.run(program, image)
    >>> run.outputs["logits"].shape
    (1, 10)
    >>> jiriki.run(program, {"image": image.astype("float64")})
    Traceback (most recent call last):
        ...
    jiriki.program.errors.ProgramError: input image: type float64 is not float32; convert it
    """
    program, config, feed = _bound(program, chip, inputs, parameters, entry)
    if isinstance(engine, str):
        engine = load_engine(engine, config)
    ran = engine.run(program, feed, entry=entry)
    if against is None or ran.outputs is None:
        return ran
    return replace(ran, accuracy=output_accuracy([(ran.outputs, _exact(against, feed))]))


def profile(
    program: Program | str | PathLike[str],
    inputs: Inputs | None = None,
    *,
    chip: Chip | None = None,
    parameters: Mapping[str, int] | None = None,
    entry: str | None = None,
    process: str = DEFAULT_PROCESS,
) -> Profile:
    """Count the cycles of a program layer by layer, and estimate its energy.

    - `program`, `chip`, `parameters`, `entry`: as `jiriki.run` takes them. Values change no
      cycle, so that `inputs` may be left out.
    - `process`: the process of the energy estimate (`jiriki cost --help` lists them).

    Returns a `Profile`: cycles, seconds at the chip's clock, DRAM bytes, counters of the units,
    layers with what bounds each, joules with their range. Raises what `jiriki.run` raises.

    >>> import jiriki
    >>> profile = jiriki.profile(jiriki.compile("digits", chip="nano"))
    >>> profile
    <Profile digits on nano: ... cycles, ..., ... % of the MAC/cycle>
    >>> profile.cycles == profile.latency_s * profile.chip.clock_hz
    True
    """
    node = load_process(process)
    program, config, feed = _bound(program, chip, inputs, parameters, entry)
    counted = TimingEngine(config).run(program, feed, entry=entry, events=True)
    return make_profile(program.name, program, counted, config, process=node)


def verify(
    program: Program | str | PathLike[str],
    inputs: Inputs | None = None,
    *,
    chip: Chip | None = None,
    parameters: Mapping[str, int] | None = None,
    entry: str | None = None,
    against: Model | None = None,
) -> Verification:
    """Run a program on both simulators and on the gates, and compare every element and cycle.

    - `program`, `inputs`, `chip`, `parameters`, `entry`, `against`: as `jiriki.run` takes them.

    Needs the packages of the extra `rtl`; the first use of a chip compiles its gates (a minute for
    a small one). Returns a `Verification`; `Verification.agrees` is the answer. Raises what
    `jiriki.run` raises, and RtlError for gates that do not end.

    >>> import jiriki, numpy
    >>> program = jiriki.compile("digits", chip="nano")
    >>> jiriki.verify(program, numpy.ones((1, 1, 8, 8), numpy.float32))
    <Verification agrees: 10 elements, ... cycles, ... instructions>
    """
    if missing := missing_modules("rtl"):
        raise ApiError(f"verify needs {missing[0]}; install with: {how_to_install('rtl')}")
    program, config, feed = _bound(program, chip, inputs, parameters, entry)
    exact = None if against is None else _exact(against, feed)
    return run_engines(program, config, feed, exact, entry=entry)


def _exact(model: Model, feed: Feed) -> Feed:
    """Return the outputs of the float model behind a model."""
    original = float_model(model)
    if original is None:
        raise ApiError(
            f"{model!r} was not quantised here; load the float model with calibration to compare"
        )
    return reference_outputs(original, feed)


def _chip(chip: Chip) -> ChipConfig:
    if isinstance(chip, ChipConfig):
        return chip
    if not isinstance(chip, str | PathLike):
        raise ApiError(
            f"chip is {type(chip).__name__}; pass a name of the catalogue, the path of a TOML or "
            "what jiriki.load_chip returned"
        )
    return load_chip(chip)


def _bound(
    program: Program | str | PathLike[str],
    chip: Chip | None,
    inputs: Inputs | None,
    parameters: Mapping[str, int] | None,
    entry: str | None,
) -> tuple[Program, ChipConfig, dict[str, Any]]:
    """Return the program, its chip, and inputs and parameters by name."""
    from_file = isinstance(program, str | PathLike)
    if isinstance(program, str | PathLike):
        model = open_model(str(Path(program).absolute()), Reading(), Quiet())
        if model.program is None:
            raise ApiError(f"{fspath(program)} is a model; pass what jiriki.compile makes of it")
        program = model.program
    if not isinstance(program, Program):
        raise ApiError(
            f"program is {type(program).__name__}; pass what jiriki.compile returned, or the path "
            "of a program file"
        )
    if chip is None and program.chip not in chip_names():
        raise ApiError(
            f"program {program.name} was compiled for {program.chip}, which is no chip of the "
            "catalogue; pass the chip that it was compiled for"
        )
    config = _chip(program.chip if chip is None else chip)
    feed = _feed(program, program.entry(entry), inputs)
    if double := sorted(feed.keys() & (parameters or {}).keys()):
        raise ApiError(f"{double[0]} is in inputs and in parameters; pass it once")
    feed |= parameters or {}
    if from_file:  # which may say anything
        check(program, config, host_parameters(program, config, feed, entry), entry=entry)
    return program, config, feed


def _feed(program: Program, entry: Entry, inputs: Inputs | None) -> dict[str, Any]:
    """Return inputs by name; whether they are the program's, `program/host.py` checks."""
    if inputs is None:
        return {}
    if isinstance(inputs, str | PathLike):
        return dict(read_arrays(Path(inputs)))
    if isinstance(inputs, Mapping):
        return dict(inputs)
    arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    names = [binding.name for binding in entry.inputs]
    if len(arrays) != len(names):
        raise ApiError(
            f"program {program.name} has {len(names)} inputs ({', '.join(names)}), not "
            f"{len(arrays)}; pass an array for each, or a dict by name"
        )
    return dict(zip(names, arrays, strict=True))


def _sampler(calibration: Samples) -> Sampler:
    """Return what takes calibration samples apart for inputs of some names."""

    def samples(names: Sequence[str]) -> Iterable[Feed]:
        if isinstance(calibration, str | PathLike):
            return read_samples(Path(calibration))
        if isinstance(calibration, Mapping):
            arrays = {name: np.asarray(array) for name, array in calibration.items()}
            return split_samples("calibration", arrays)
        if isinstance(calibration, np.ndarray):
            return split_samples("calibration", {_only_input(names): calibration})
        if isinstance(calibration, list | tuple) and all(
            isinstance(sample, Mapping) for sample in calibration
        ):
            return [{n: np.asarray(a) for n, a in sample.items()} for sample in calibration]
        raise ApiError(
            f"calibration is {type(calibration).__name__}; pass a list of dicts, a dict of arrays "
            "or the path of an .npz"
        )

    return samples


def _only_input(names: Sequence[str]) -> str:
    if len(names) != 1:
        raise ApiError(
            f"calibration is one array, the model's inputs are {', '.join(names)}; pass a dict of "
            "arrays by name"
        )
    return names[0]


def _proto_name(model: bytes | OnnxProto) -> str:
    """Return a name that may stand in a file's: the graph's, or `model`."""
    graph = getattr(model, "graph", None)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(getattr(graph, "name", "")))
    return name.strip("-.")[:64] or "model"
