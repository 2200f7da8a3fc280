"""The arguments that several commands share, each said once.

In: text from the command line. Out: types for typer, and parsed values.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from jiriki.cli import completion
from jiriki.cli.errors import CliError

ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Name in the zoo, path of an .onnx, or of a program file or text.",
        autocompletion=completion.models,
    ),
]
ChipName = Annotated[
    str | None,
    typer.Option(
        "--chip",
        help="Chip of the catalogue, or path of a .toml; e256 if not given.",
        autocompletion=completion.chips,
    ),
]
EngineName = Annotated[
    str, typer.Option(help="Engine that runs it.", autocompletion=completion.engines)
]
Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object.")]
Effort = Annotated[
    int, typer.Option(min=1, max=16, help="How many plans the compiler tries at most.")
]
ProcessName = Annotated[
    str,
    typer.Option(
        "--process",
        metavar="NODE",
        help="Node of the energy estimate, such as 28nm or smic-n2.",
        autocompletion=completion.processes,
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        metavar="FILE.npz",
        help="Samples to quantise a float .onnx on: for each input an array [samples, ...].",
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=N,N,...",
        help="Sizes of an input with open dimensions, or of one dimension: batch=1.",
    ),
]
Values = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Fix an input at a number: sr=16000."),
]

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameters", metavar="NAME=INTEGER", help="A host parameter of a program: length=37."
    ),
]
EntryName = Annotated[
    str | None,
    typer.Option("--entry", metavar="NAME", help="Entry of a program, its first if not given."),
]


def parse_parameters(texts: Sequence[str] | None) -> dict[str, int]:
    """Parse `NAME=37`, several with commas between. Raises CliError."""
    values: dict[str, int] = {}
    for text in (part for each in texts or () for part in each.split(",")):
        name, _, number = text.rpartition("=")
        if not name:
            raise CliError(f"--parameters {text}: the name is missing; write NAME=37")
        if name in values:
            raise CliError(f"--parameters {text}: {name} is given twice; give it once")
        try:
            values[name] = int(number)
        except ValueError:
            raise CliError(
                f"--parameters {text}: {number!r} is no integer; write {name}=37"
            ) from None
    return values


def folder_name(path: Path) -> Path:
    """Return the path. Raises BadParameter where it is the name of a page."""
    if path.suffix == ".html":
        raise typer.BadParameter(
            f"{path} is the name of a page, and the command writes several files; name a folder"
        )
    return path


PagesFolder = Annotated[
    Path, typer.Option("--out", callback=folder_name, help="Folder for the report pages.")
]


def parse_values(texts: Sequence[str] | None) -> dict[str, int | float | bool]:
    """Parse `NAME=16000`, a decimal, `true` or `false`. Raises CliError."""
    values: dict[str, int | float | bool] = {}
    for text in texts or ():
        name, _, number = text.rpartition("=")
        if not name:
            raise CliError(f"--set {text}: the input's name is missing; write NAME=VALUE")
        try:
            values[name] = _number(number)
        except ValueError:
            raise CliError(f"--set {text}: {number!r} is no number; write NAME=16000") from None
    return values


def _number(text: str) -> int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)


def arrays_of(path: Path | None) -> Path | None:
    """Return an input file that holds arrays: their sizes fix what a model leaves open."""
    return path if path is not None and path.suffix == ".npz" else None


def parse_shapes(texts: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """Parse `NAME=1,3,224,224`, or `batch=1` for one dimension. Raises CliError."""
    shapes = {}
    for text in texts or ():
        name, _, sizes = text.rpartition("=")
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            raise CliError(
                f"--shape {text}: write NAME=N,N,... such as image=1,3,224,224"
            ) from None
        if not name:
            raise CliError(f"--shape {text}: the input's name is missing; write NAME=N,N,...")
    return shapes
