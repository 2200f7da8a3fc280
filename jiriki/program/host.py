"""Host: what the caller passes by name, checked once for every engine and laid into memory.

In: a Program, the chip it shall run on, an entry, arrays for its input bindings and integers for
its host parameters. Out: the bytes of the inputs and the parameters by name, and after the run the
outputs. ProgramError, in one line, for what does not fit: another chip, an image that memory cannot
hold, bindings outside it, a name, shape, type, integer or range that is not the program's.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jiriki.chip.config import ChipConfig
from jiriki.isa.control import Parm
from jiriki.program.binding import binding_bytes, check_array, check_binding, pack, unpack
from jiriki.program.errors import ProgramError
from jiriki.program.program import HIGHEST, LOWEST, Binding, Entry, Parameter, Program

Inputs = Mapping[str, ArrayLike]
Parameters = Mapping[str, int]
MOST_PARAMETERS = 1 << Parm.LAYOUT["index"].bits


def host_values(
    program: Program,
    entry: Entry,
    inputs: Inputs | None = None,
    parameters: Inputs | None = None,
    *,
    arrays: bool = True,
) -> tuple[dict[str, NDArray], dict[str, int]]:
    """Return the arrays and the host parameters of an entry by name, in the program's order.

    Host parameters may stand among `inputs` too. Without `arrays` those may be left out; what is
    there is checked all the same. Raises ProgramError for what is not the program's, and for what
    is missing.
    """
    values = dict(inputs or {})
    if twice := sorted(values.keys() & (parameters or {}).keys()):
        raise ProgramError(
            f"program {program.name}: {twice[0]} stands in inputs and in parameters; pass it once"
        )
    values |= parameters or {}
    names = {binding.name for binding in entry.inputs}
    _check_names(program, entry, names | {p.name for p in entry.parameters}, values)
    integers = {p.name: _integer(program, p, values) for p in entry.parameters}
    there = [binding for binding in entry.inputs if arrays or binding.name in values]
    return {binding.name: _input(program, binding, values) for binding in there}, integers


def _input(program: Program, binding: Binding, values: Inputs) -> NDArray:
    if binding.name not in values:
        raise ProgramError(
            f"program {program.name}: input {binding.name} is missing; pass its array"
        )
    array = _array(binding.name, values[binding.name])
    check_array(binding, array)
    return array


def host_image(
    program: Program, chip: ChipConfig, inputs: Inputs | None = None, entry: str | None = None
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """Return the image with constants, states and inputs, [dram_bytes], and the host parameters.

    Raises ProgramError for anything that is not the program's, and for what is missing.
    """
    check_placement(program, chip)
    started = program.entry(entry)
    arrays, parameters = host_values(program, started, inputs)
    image = program.image()
    for address, data in packed_inputs(started, arrays, chip):
        image[address : address + data.size] = data
    return image, parameters


def packed_inputs(
    entry: Entry, arrays: Mapping[str, NDArray], chip: ChipConfig
) -> list[tuple[int, NDArray[np.uint8]]]:
    """Return the DRAM address and bytes of each array."""
    bindings = [binding for binding in entry.inputs if binding.name in arrays]
    return [(b.address, pack(b, arrays[b.name], chip.ku)) for b in bindings]


def host_parameters(
    program: Program, chip: ChipConfig, inputs: Inputs | None = None, entry: str | None = None
) -> dict[str, int]:
    """Return the host parameters by name, for a caller that needs no arrays.

    Arrays may be left out; those that are there are held to the program like an engine's.
    """
    check_placement(program, chip)
    return host_values(program, program.entry(entry), inputs, arrays=False)[1]


def read_outputs(
    program: Program, chip: ChipConfig, dram: NDArray[np.uint8], entry: str | None = None
) -> dict[str, NDArray]:
    """Return the outputs by name that memory holds after a run."""
    outputs = program.entry(entry).outputs
    return {b.name: unpack(b, dram[slice(*span(b, chip))].copy(), chip.ku) for b in outputs}


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
    _check_entries(program)
    for binding in _bindings(program):
        check_binding(binding)
    fixed = [(s.address, s.address + len(s.data), "segment") for s in program.segments]
    fixed += [(*span(s.binding, chip), f"state {s.name}") for s in program.states]
    _check_inside(program, fixed)
    for entry in program.entries:
        inputs = [(*span(b, chip), f"input {b.name}") for b in entry.inputs]
        outputs = [(*span(b, chip), f"output {b.name}") for b in entry.outputs]
        _check_inside(program, inputs + outputs)
        _check_apart(fixed + inputs)
        _check_declarations(program, entry)
    for state in program.states:
        size = binding_bytes(state.binding, chip.ku)
        if len(state.initial) not in (0, size):
            raise ProgramError(
                f"state {state.name}: {len(state.initial)} bytes of first contents, and it has "
                f"{size}; give all of them or none"
            )


def _bindings(program: Program) -> list[Binding]:
    entries = [b for entry in program.entries for b in (*entry.inputs, *entry.outputs)]
    return entries + [state.binding for state in program.states]


def span(binding: Binding, chip: ChipConfig) -> tuple[int, int]:
    """Return the first DRAM byte of a binding and the one behind its last."""
    return binding.address, binding.address + binding_bytes(binding, chip.ku)


def _check_inside(program: Program, spans: Iterable[tuple[int, int, str]]) -> None:
    for low, high, what in spans:
        if low < 0 or high > program.dram_bytes:
            raise ProgramError(
                f"{what} at DRAM bytes {low}..{high - 1} lies outside the image of "
                f"{program.dram_bytes} bytes; enlarge dram_bytes"
            )


def _check_apart(spans: Iterable[tuple[int, int, str]]) -> None:
    for (_, end, first), (start, _, second) in pairwise(sorted(spans)):
        if start < end:
            raise ProgramError(f"{first} and {second} share DRAM byte {start}; place them apart")


def _check_entries(program: Program) -> None:
    """Check that entries and states have names of their own, and entries code of their own."""
    places = [entry.first for entry in program.entries]
    if places[:1] != [0] or any(a >= b for a, b in pairwise([*places, len(program.instructions)])):
        raise ProgramError(
            f"program {program.name}: its entries begin at instructions {places} of "
            f"{len(program.instructions)}; begin at 0 and go up"
        )
    for what, named in (("entries", program.entries), ("states", program.states)):
        _check_unique(program, [each.name for each in named], what)


def _check_unique(program: Program, names: Sequence[str], what: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ProgramError(f"program {program.name}: {twice[0]} names two {what}; rename one")


def _check_declarations(program: Program, entry: Entry) -> None:
    """Check that every name stands for one value and every PARM has a name."""
    names = [*(b.name for b in entry.inputs), *(p.name for p in entry.parameters)]
    _check_unique(program, names, "inputs")
    for parameter in entry.parameters:
        if not LOWEST <= parameter.low <= parameter.high <= HIGHEST or parameter.step < 1:
            raise ProgramError(
                f"program {program.name}: host parameter {parameter.name} has the range "
                f"{parameter.low}..{parameter.high} in steps of {parameter.step}; stay inside "
                f"{LOWEST}..{HIGHEST}, low before high, steps from 1"
            )
    if len(entry.parameters) > MOST_PARAMETERS:
        raise ProgramError(
            f"program {program.name}: {len(entry.parameters)} host parameters exceed "
            f"{MOST_PARAMETERS}, the most that PARM can number; use fewer"
        )
    code = (program.instructions[place] for place in program.code(entry))
    read = [i.values["index"] for i in code if isinstance(i, Parm)]
    if read and max(read) >= len(entry.parameters):
        raise ProgramError(
            f"program {program.name}: PARM reads host parameter {max(read)}, and it names "
            f"{len(entry.parameters)}; add a .parameter line"
        )


def _check_names(program: Program, entry: Entry, wanted: set[str], values: Inputs) -> None:
    if unknown := sorted(values.keys() - wanted):
        where = "" if len(program.entries) == 1 else f" at entry {entry.name}"
        raise ProgramError(
            f"program {program.name} has no input {unknown[0]}{where}; its inputs are "
            f"{_listed(wanted)}"
        )


def _array(name: str, value: ArrayLike) -> NDArray:
    try:
        return np.asarray(value)
    except ValueError as error:  # rows of several lengths
        raise ProgramError(f"input {name} is no array ({error}); pass a NumPy array") from None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _integer(program: Program, parameter: Parameter, values: Inputs) -> int:
    """Return one host parameter. Raises ProgramError unless it is one integer of its range."""
    what = f"program {program.name}: host parameter {parameter.name}"
    if parameter.name not in values:
        raise ProgramError(f"{what} is missing; pass an integer")
    array = _array(parameter.name, values[parameter.name])
    if array.size != 1 or array.dtype.kind not in "iu":
        raise ProgramError(
            f"{what} is {array.dtype} of shape {array.shape}, not one integer; convert it"
        )
    value = int(array.reshape(-1)[0])
    if not parameter.holds(value):
        raise ProgramError(
            f"{what} = {value} is outside {parameter.described()}; pass a value of that range"
        )
    return value
