"""Host: what the caller passes by name, checked once for every engine and laid into memory.

In: a Program, the chip it shall run on, and a mapping from names to values: an array for every
input binding, an integer for every host parameter. Out: the DRAM image before the start with the
inputs in it, the parameters by name, and after the run the outputs. ProgramError, in one line, for
what does not fit: another chip, an image that memory cannot hold, bindings outside it, a name,
shape, type or integer that is not the program's.
"""

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.chip.config import ChipConfig
from jiriki.isa.control import Parm
from jiriki.program.binding import binding_bytes, check_array, check_binding, pack, unpack
from jiriki.program.errors import ProgramError
from jiriki.program.program import Binding, Program

Inputs = Mapping[str, ArrayLike]
Parameters = Mapping[str, int]
LOWEST, HIGHEST = -(1 << 31), (1 << 32) - 1  # of a host parameter: a 32-bit register of either sign
MOST_PARAMETERS = 1 << Parm.LAYOUT["index"].bits


def host_image(
    program: Program, chip: ChipConfig, inputs: Inputs | None = None
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """Return the image with constants and inputs, [dram_bytes], and the parameters by name.

    Raises ProgramError for anything that is not the program's, and for what is missing.
    """
    values = dict(inputs or {})
    parameters = host_parameters(program, chip, values)
    if missing := [b.name for b in program.inputs if b.name not in values]:
        raise ProgramError(f"program {program.name}: input {missing[0]} is missing; pass its array")
    image = program.image()
    for binding in program.inputs:
        data = pack(binding, _array(binding.name, values[binding.name]), chip.ku)
        image[binding.address : binding.address + data.size] = data
    return image, parameters


def host_parameters(
    program: Program, chip: ChipConfig, inputs: Inputs | None = None
) -> dict[str, int]:
    """Return the parameters by name, in the program's order, for an engine that needs no arrays.

    Arrays may be left out; those that are there are held to the program like an engine's.
    """
    check_placement(program, chip)
    values = dict(inputs or {})
    bindings = {binding.name: binding for binding in program.inputs}
    _check_names(program, bindings.keys() | set(program.parameters), values)
    for name in values.keys() & bindings.keys():
        check_array(bindings[name], _array(name, values[name]))
    return {name: _integer(program, name, values) for name in program.parameters}


def read_outputs(program: Program, chip: ChipConfig, dram: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Return the outputs by name that memory holds after a run."""
    return {
        b.name: unpack(b, dram[slice(*_span(b, chip))].copy(), chip.ku) for b in program.outputs
    }


def check_placement(program: Program, chip: ChipConfig) -> None:
    """Check that the program is this chip's, and that its data lies apart inside the image."""
    if program.chip_hash != chip.content_hash():
        raise ProgramError(
            f"program {program.name} was emitted for {program.chip} ({program.chip_hash[:12]}), "
            f"not for {chip.name} ({chip.content_hash()[:12]}); compile it for this chip"
        )
    if program.dram_bytes > chip.dram_bytes:
        raise ProgramError(
            f"program {program.name}: its image of {program.dram_bytes} bytes exceeds the DRAM of "
            f"{chip.name}, {chip.dram_bytes}; use a smaller model"
        )
    for binding in (*program.inputs, *program.outputs):
        check_binding(binding)
    fixed = [(s.address, s.address + len(s.data), "segment") for s in program.segments]
    fixed += [(*_span(b, chip), f"input {b.name}") for b in program.inputs]
    free = [(*_span(b, chip), f"output {b.name}") for b in program.outputs]
    for low, high, what in fixed + free:
        if low < 0 or high > program.dram_bytes:
            raise ProgramError(
                f"{what} at DRAM bytes {low}..{high - 1} lies outside the image of "
                f"{program.dram_bytes} bytes; enlarge dram_bytes"
            )
    fixed.sort()
    for (_, end, first), (start, _, second) in pairwise(fixed):
        if start < end:
            raise ProgramError(f"{first} and {second} share DRAM byte {start}; place them apart")
    _check_declarations(program)


def _span(binding: Binding, chip: ChipConfig) -> tuple[int, int]:
    """Return the first DRAM byte of a binding and the one behind its last."""
    return binding.address, binding.address + binding_bytes(binding, chip.ku)


def _check_declarations(program: Program) -> None:
    """Check that every name stands for one value and every PARM has a name."""
    taken = [*(b.name for b in program.inputs), *program.parameters]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ProgramError(f"program {program.name}: {twice[0]} names two inputs; rename one")
    if len(program.parameters) > MOST_PARAMETERS:
        raise ProgramError(
            f"program {program.name}: {len(program.parameters)} host parameters exceed "
            f"{MOST_PARAMETERS}, the most that PARM can number; use fewer"
        )
    read = [i.values["index"] for i in program.instructions if isinstance(i, Parm)]
    if read and max(read) >= len(program.parameters):
        raise ProgramError(
            f"program {program.name}: PARM reads host parameter {max(read)}, and it names "
            f"{len(program.parameters)}; add a .parameter line"
        )


def _check_names(program: Program, wanted: set[str], values: Inputs) -> None:
    if unknown := sorted(values.keys() - wanted):
        raise ProgramError(
            f"program {program.name} has no input {unknown[0]}; its inputs are {_listed(wanted)}"
        )


def _array(name: str, value: ArrayLike) -> NDArray:
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise ProgramError(f"input {name} is no array ({error}); pass a NumPy array") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _integer(program: Program, name: str, values: Inputs) -> int:
    """Return one host parameter. Raises ProgramError unless it is one integer in range."""
    what = f"program {program.name}: host parameter {name}"
    if name not in values:
        raise ProgramError(f"{what} is missing; pass an integer")
    array = _array(name, values[name])
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ProgramError(
            f"{what} is {array.dtype} of shape {array.shape}, not one integer; convert it"
        )
    value = int(array.reshape(-1)[0])
    if not LOWEST <= value <= HIGHEST:
        raise ProgramError(f"{what} = {value} is outside {LOWEST}..{HIGHEST}; pass 32 bits")
    return value
