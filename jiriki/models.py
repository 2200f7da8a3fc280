"""What the argument M of a command names: a model of the zoo, an ONNX file, a program file or text.

In: the argument, and how to calibrate or fix shapes. Out: a `Model`; ModelError when it names
nothing. Quantising is the only slow step whose result is kept: under `$JIRIKI_HOME/quantised`, by
the content of everything it depends on.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from jiriki.chip import ChipConfig, load_chip
from jiriki.errors import JirikiError
from jiriki.files import home_folder, kept_bytes
from jiriki.frontend import NotQuantisedError, import_onnx, is_quantised, quantise_onnx
from jiriki.frontend.onnx.load import load_model
from jiriki.frontend.zoo import ZooModel, list_models
from jiriki.frontend.zoo import load as load_from_zoo
from jiriki.graph.expose import with_every_tensor
from jiriki.program import Program
from jiriki.program.check import check
from jiriki.program.file import MAGIC
from jiriki.program.file import load as load_program
from jiriki.program.host import check_placement, host_parameters
from jiriki.program.text import START, load_text

if TYPE_CHECKING:
    from jiriki.graph import Graph

Feed = Mapping[str, np.ndarray]
Shapes = Mapping[str, int | Sequence[int]]  # of inputs, or sizes of open dimensions
Values = Mapping[str, Any]
Sampler = Callable[[Sequence[str]], Iterable[Feed]]  # samples for the inputs of these names
NUMBERS = "biuf"  # kinds of NumPy's types: booleans, whole numbers, floats
DEFAULT_CHIP = "e256"
OnnxModel: TypeAlias = Any  # onnx.ModelProto, which only frontend/ may import


class ModelError(JirikiError):
    """A model's name or file that names nothing, or does not hold what was asked of it."""


class Progress(Protocol):
    """Where a long step is shown while it runs."""

    def step(self, label: str) -> AbstractContextManager[Callable[[str], None]]:
        """Show that a step is under way; the context's value takes details."""
        ...


class Quiet:
    """Progress that is shown nowhere."""

    def step(self, label: str) -> AbstractContextManager[Callable[[str], None]]:
        """Return a context whose value drops what it is told."""
        return nullcontext(lambda detail: None)


@dataclass(frozen=True)
class Model:
    """A model ready to compile, or a program already compiled; `onnx` and `original` are protos."""

    name: str
    program: Program | None = None  # that a program file or text holds
    onnx: OnnxModel | None = None  # what is compiled: quantised, or with nothing to quantise
    original: OnnxModel | None = None  # the float model it was quantised from, if it was
    zoo: ZooModel | None = None  # its card, samples, photos, class names
    sample: Feed | None = None  # the first that it was quantised on
    wall_s: Mapping[str, float] = field(default_factory=dict)  # seconds a step

    def __repr__(self) -> str:
        """Return one line without weights."""
        kind = "program" if self.program else "quantised from float" if self.original else "ONNX"
        return f"<Model {self.name}: {kind}{', of the zoo' if self.zoo else ''}>"

    def graph(self) -> "Graph":
        """Import the model."""
        assert self.onnx is not None, f"{self.name} is compiled already"
        try:
            return import_onnx(self.onnx)
        except NotQuantisedError as error:
            raise ModelError(
                f"{error} (or pass --calibration FILE.npz, and it is quantised on the way)"
            ) from error


def float_model(model: Model) -> OnnxModel | None:
    """Return the float model behind a model; None for what was quantised or compiled elsewhere."""
    if model.original is not None or model.onnx is None:
        return model.original
    return None if is_quantised(model.onnx) else model.onnx


@dataclass(frozen=True)
class Reading:
    """How to read an ONNX file: calibration samples, sizes of open dimensions, fixed inputs."""

    calibration: Path | None = None
    shapes: Shapes = field(default_factory=dict)
    values: Values = field(default_factory=dict)  # at which inputs are fixed, by name
    arrays: Path | None = None  # an .npz of inputs, whose sizes fix what is still open


def open_model(text: str, reading: Reading, progress: Progress) -> Model:
    """Return what `text` names. Raises ModelError, FrontendError or ProgramError."""
    began = perf_counter()
    if text in {card.name for card in list_models()}:
        _refuse_reading(text, reading)
        with progress.step(f"reading {text}"):
            zoo_model = load_from_zoo(text)
            feeds = zoo_model.calibration()
            original = load_model(zoo_model.onnx_bytes)
        onnx = quantised(text, original, feeds, progress)
        wall_s = {"prepare": perf_counter() - began}
        return Model(
            text, onnx=onnx, original=original, zoo=zoo_model, wall_s=wall_s, sample=feeds[0]
        )
    path = Path(text)
    if not path.is_file():
        names = ", ".join(card.name for card in list_models())
        raise ModelError(
            f"model {text!r} is neither a file nor a model of the zoo; choose one of {names}, or "
            "pass the path of an .onnx, a program file or a program's text"
        )
    if _starts_with(path, MAGIC):
        return Model(path.stem, program=load_program(path))
    if _starts_with(path, START.encode()):
        return Model(path.stem, program=load_text(path))
    return _open_onnx(path, reading, progress)


def _refuse_reading(name: str, reading: Reading) -> None:
    if reading.calibration or reading.shapes or reading.values:
        raise ModelError(
            f"model {name} of the zoo has its own calibration and shapes; leave --calibration, "
            "--shape and --set out"
        )


def _starts_with(path: Path, mark: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(mark)) == mark
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None


def _open_onnx(path: Path, reading: Reading, progress: Progress) -> Model:
    file = reading.calibration
    samples = None if file is None else lambda names: read_samples(file)
    return take_onnx(path, path.stem, reading, samples, progress)


def take_onnx(
    source: Path | bytes | OnnxModel,
    name: str,
    reading: Reading,
    samples: Sampler | None,
    progress: Progress,
) -> Model:
    """Return a model of a file, of its bytes or of a proto, quantised on samples if there are.

    Sizes that the reading leaves open are those of its arrays or of the first sample. Raises
    FrontendError for what is no ONNX model; `samples` is called with the names of the inputs.
    """
    began = perf_counter()
    feeds: list[Feed] = []

    def sample(names: Sequence[str]) -> Feed | None:
        feeds.extend(dict(feed) for feed in (samples(names) if samples else ()))
        return read_arrays(reading.arrays) if reading.arrays else next(iter(feeds), None)

    with progress.step(f"reading {name}"):
        model = load_model(source, reading.shapes, input_values=reading.values, sample=sample)
    original = None
    if samples is not None:
        original, model = model, quantised(name, model, feeds, progress)
    wall_s = {"prepare": perf_counter() - began}
    return Model(name, onnx=model, original=original, wall_s=wall_s, sample=next(iter(feeds), None))


def quantised(name: str, model: OnnxModel, feeds: Iterable[Feed], progress: Progress) -> OnnxModel:
    """Return the model in QDQ form, from the folder of quantised models when it is there."""
    feeds = list(feeds)
    path = home_folder() / "quantised" / f"{name}-{_key(model, feeds)}.onnx"

    def quantise() -> bytes:
        with progress.step(f"quantising {name} on {len(feeds)} calibration inputs"):
            return quantise_onnx(model, feeds).SerializeToString(deterministic=True)

    return load_model(kept_bytes(path, quantise))


def _key(model: OnnxModel, feeds: Iterable[Feed]) -> str:
    """Hash all that decides the quantised model: itself, the samples, the quantiser."""
    digest = hashlib.sha256(model.SerializeToString(deterministic=True))
    for feed in feeds:
        for name, array in sorted(feed.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    sources = (path for path in Path(str(files("jiriki.frontend"))).rglob("*.py"))
    for source in sorted(sources, key=lambda path: path.name):
        digest.update(source.read_bytes())
    digest.update(version("onnxruntime").encode())
    return digest.hexdigest()[:24]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an .npz of plain arrays. Raises ModelError; nothing in the file is executed."""
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.ndarray):
            with archive:
                return _plain_arrays(path, archive)
    except FileNotFoundError:
        raise ModelError(f"{path} does not exist; check the path") from None
    except (OSError, ValueError, EOFError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} is not an .npz of plain arrays ({reason})") from None
    except ModelError:
        raise
    except Exception as error:  # zipfile and zlib raise classes of their own
        raise ModelError(f"{path} is a damaged .npz ({type(error).__name__}: {error})") from None
    raise ModelError(f"{path} holds one array; save it with numpy.savez by input name")


def _plain_arrays(path: Path, archive: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz. Raises ModelError for texts, dates, records and the like."""
    arrays = {name: archive[name] for name in archive}
    for name, array in arrays.items():
        if array.dtype.kind not in NUMBERS:
            raise ModelError(
                f"{path}: {name or 'an array without a name'} holds {array.dtype}; save whole "
                "numbers, floats or booleans"
            )
    return arrays


def read_samples(path: Path) -> list[Feed]:
    """Read calibration samples: for each input an array of samples along its first axis."""
    return split_samples(str(path), read_arrays(path))


def split_samples(label: str, arrays: Mapping[str, np.ndarray]) -> list[Feed]:
    """Return the samples that lie along the first axis of every array; ModelError unless equal."""
    counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if not counts or len(set(counts.values())) != 1 or 0 in counts.values():
        raise ModelError(
            f"{label}: samples are {counts}; give every input the same number of samples along an "
            "added first axis"
        )
    (count,) = set(counts.values())
    return [{name: array[i] for name, array in arrays.items()} for i in range(count)]


@dataclass(frozen=True)
class Built:
    """A Program, the chip it is for, and the seconds that each step took."""

    program: Program
    chip: ChipConfig
    wall_s: Mapping[str, float]


def build(
    model: Model,
    chip_name: str | None,
    effort: int,
    progress: Progress,
    *,
    every_layer: bool = False,
) -> Built:
    """Import and compile a model, or take the program that the file held.

    every_layer: the result of each layer is an output of the program.
    """
    if model.program is not None:
        if every_layer:
            raise ModelError(f"{model.name} is compiled already; --layers needs the model itself")
        return _compiled(model.program, chip_name)
    chip = load_chip(chip_name or DEFAULT_CHIP)
    from jiriki.compiler import compile_graph

    began = perf_counter()
    with progress.step(f"importing {model.name}"):
        graph = with_every_tensor(model.graph()) if every_layer else model.graph()
    imported = perf_counter()
    with progress.step(f"compiling {model.name} for {chip.name}") as tell:
        program = compile_graph(graph, chip, effort=effort, progress=tell)
    wall_s = {
        **model.wall_s, "import": imported - began, "compile": perf_counter() - imported,
    }  # fmt: skip
    return Built(program, chip, wall_s)


def check_read_program(
    model: Model, built: Built, feed: Mapping[str, np.ndarray], entry: str | None = None
) -> None:
    """Hold a program that a file held against the static rules. Raises CheckError.

    A program of this process comes from the compiler; a file may say anything.
    """
    if model.program is not None:
        parameters = host_parameters(built.program, built.chip, feed, entry)
        check(built.program, built.chip, parameters, entry=entry)


def _compiled(program: Program, chip_name: str | None) -> Built:
    chip = load_chip(chip_name or program.chip)
    check_placement(program, chip)
    return Built(program, chip, {"compile": 0.0})
