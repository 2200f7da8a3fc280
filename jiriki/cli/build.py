"""From a Model to a Program, with a clock on every step.

In: a Model and a chip's name. Out: a `Built`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from jiriki.chip import ChipConfig, load_chip
from jiriki.cli.errors import CliError
from jiriki.cli.screen import Screen
from jiriki.cli.source import Model
from jiriki.graph.expose import with_every_tensor
from jiriki.program import Program
from jiriki.program.check import check

DEFAULT_CHIP = "e256"


@dataclass(frozen=True)
class Built:
    """A Program, the chip it is for, and the seconds that each step took."""

    program: Program
    chip: ChipConfig
    wall_s: Mapping[str, float]


def build(
    model: Model, chip_name: str | None, effort: int, screen: Screen, *, every_layer: bool = False
) -> Built:
    """Import and compile a model, or take the program that the file held.

    every_layer: the result of each layer is an output of the program.
    """
    if model.program is not None:
        if every_layer:
            raise CliError(f"{model.name} is compiled already; --layers needs the model itself")
        return _compiled(model.program, chip_name)
    chip = load_chip(chip_name or DEFAULT_CHIP)
    from jiriki.compiler import compile_graph

    began = perf_counter()
    with screen.step(f"importing {model.name}"):
        graph = with_every_tensor(model.graph()) if every_layer else model.graph()
    imported = perf_counter()
    with screen.step(f"compiling {model.name} for {chip.name}") as tell:
        program = compile_graph(graph, chip, effort=effort, progress=tell)
    wall_s = {
        **model.wall_s, "import": imported - began, "compile": perf_counter() - imported,
    }  # fmt: skip
    return Built(program, chip, wall_s)


def check_by_hand(model: Model, built: Built, feed: Mapping[str, np.ndarray]) -> None:
    """Hold a program that was written as text against the static rules. Raises CheckError."""
    if model.by_hand:
        parameters = [int(feed[name]) for name in built.program.parameters]
        check(built.program, built.chip, parameters)


def _compiled(program: Program, chip_name: str | None) -> Built:
    chip = load_chip(chip_name or program.chip)
    if chip.content_hash() != program.chip_hash:
        raise CliError(
            f"program {program.name} was compiled for chip {program.chip}, not for {chip.name} as "
            "it is now; compile the model again"
        )
    if program.dram_bytes > chip.dram_bytes:
        raise CliError(
            f"program {program.name} needs an image of {program.dram_bytes} bytes, the DRAM of "
            f"{chip.name} has {chip.dram_bytes}; choose a smaller batch or a chip with more"
        )
    return Built(program, chip, {"compile": 0.0})
