"""Profile: what a Run on one chip says about a Program, layer by layer.

In: a Program, its timing Run, the chip, seconds measured by the caller, a process for the energy.
Out: a `Profile`.
A layer's cycles are the span from the first start to the last end of its matrix and vector work
(`Run.layer_cycles`); neighbouring layers overlap, so the spans add up to more than the total.
A layer's DRAM bytes are those its own LD and ST instructions ask for. With the run's events a
profile also says what bounds each layer and what lay in the scratchpad.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from jiriki.chip import ChipConfig
from jiriki.cost.energy import EnergyEstimate, run_energy
from jiriki.cost.process import Process
from jiriki.isa.dma.operations import DmaOp
from jiriki.isa.operations import Operation
from jiriki.isa.words import DmaMode
from jiriki.program import Event, Program, Run, UnitCounters
from jiriki.program.layer_names import layer_names, with_layer_names
from jiriki.program.stream import work_of
from jiriki.report.bounds import LayerBound, layer_bounds
from jiriki.report.errors import ReportError
from jiriki.report.quantities import percent, seconds
from jiriki.report.scratchpad import ScratchpadUse, scratchpad_use
from jiriki.report.tokens import signallers


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer: its work, its span, and what it moved over the DRAM port."""

    name: str
    op: str
    macs: int
    cycles: int
    dram_bytes: int
    utilisation: float  # macs / (cycles * macs_per_cycle)
    start: int = 0  # cycle of its first matrix or vector work; 0 without events
    bound: str = ""  # of `bounds`; "" without events
    waits: Mapping[str, int] = field(default_factory=dict)  # cycles, as in `LayerBound`


@dataclass(frozen=True, slots=True)
class Profile:
    """A Program's Run on a chip, joined."""

    model: str  # its name
    chip: ChipConfig  # that the cycles are of
    program_hash: str  # Program.content_hash()
    macs: int  # multiply-accumulates of one inference
    cycles: int  # from the start to HALT
    dram_read_bytes: int  # over the DRAM port
    dram_write_bytes: int  # over the DRAM port
    units: Mapping[str, UnitCounters]  # cycles by unit
    layers: tuple[LayerRow, ...]  # in the order of the program
    energy: EnergyEstimate | None = None  # of one inference; an estimate with its range
    events: tuple[Event, ...] = ()  # an instruction each
    suppliers: tuple[tuple[int, ...], ...] = ()  # of each event, as in `tokens.signallers`
    scratchpad: ScratchpadUse | None = field(default=None, compare=False)  # what lay in it when
    wall_s: Mapping[str, float] = field(default_factory=dict)  # seconds a step, where measured

    def __repr__(self) -> str:
        """Return one line: cycles, time, how well the multipliers were used."""
        return (
            f"<Profile {self.model} on {self.chip.name}: {self.cycles:,} cycles, "
            f"{seconds(self.latency_s)}, {percent(self.utilisation)} of the MAC/cycle>"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the counts, the units, the slowest layers."""
        from jiriki.report.notebook import profile_html  # which reads Profiles

        return profile_html(self)

    @property
    def utilisation(self) -> float:
        """Share of the chip's multiply-accumulates that did the model's own work."""
        return self.macs / (self.cycles * self.chip.macs_per_cycle)

    @property
    def dram_bytes(self) -> int:
        """Bytes read and written over the DRAM port."""
        return self.dram_read_bytes + self.dram_write_bytes

    @property
    def latency_s(self) -> float:
        """Seconds of one inference at the clock the chip states."""
        return self.cycles / self.chip.clock_hz

    @property
    def dram_share(self) -> float:
        """Share of what the DRAM port could have carried."""
        return self.dram_bytes / (self.cycles * self.chip.dram_bytes_per_cycle)

    def slowest(self, count: int) -> tuple[LayerRow, ...]:
        """Return the layers of the longest spans, longest first."""
        return tuple(sorted(self.layers, key=lambda row: -row.cycles)[:count])


def make_profile(
    model: str,
    program: Program,
    run: Run,
    chip: ChipConfig,
    wall_s: Mapping[str, float] | None = None,
    process: Process | None = None,
) -> Profile:
    """Join a Program and its Run; with a process, estimate its energy.

    Raises ReportError when the run counted no cycles.
    """
    names = layer_names(program)
    program = with_layer_names(program)
    run = replace(run, layer_cycles={names[k]: cycles for k, cycles in run.layer_cycles.items()})
    if not run.cycles:
        raise ReportError(
            f"run of {program.name} on engine {run.engine} has no cycles; profile with an engine "
            "that counts them, such as timing"
        )
    suppliers = tuple(signallers(program, run.events))
    use = None
    if run.events:
        use = scratchpad_use(program, run.events, run.cycles, chip, run.parameters, run.entry)
    return Profile(
        model=model,
        chip=chip,
        program_hash=run.program_hash,
        macs=program.macs_of(run.entry),
        cycles=run.cycles,
        dram_read_bytes=run.dram_read_bytes or 0,
        dram_write_bytes=run.dram_write_bytes or 0,
        units=run.units,
        layers=_layers(program, run, chip, suppliers),
        energy=run_energy(program, run, chip, process) if process else None,
        events=run.events,
        suppliers=suppliers,
        scratchpad=use,
        wall_s=dict(wall_s or {}),
    )


def _layers(
    program: Program, run: Run, chip: ChipConfig, suppliers: Sequence[Sequence[int]]
) -> tuple[LayerRow, ...]:
    moved = _dram_bytes(program, run, chip)
    beats = {name: number // chip.dram_bytes_per_cycle for name, number in moved.items()}
    bounds = layer_bounds(program, run.events, suppliers, beats)
    macs: dict[str, int] = {}
    ops: dict[str, list[str]] = {}
    for note in program.notes:
        macs[note.layer] = macs.get(note.layer, 0) + note.macs
        ops.setdefault(note.layer, []).append(note.op)
    return tuple(
        LayerRow(
            name=name,
            op=_joined(ops[name]),
            macs=macs[name],
            cycles=run.layer_cycles[name],
            dram_bytes=moved.get(name, 0),
            utilisation=macs[name] / (run.layer_cycles[name] * chip.macs_per_cycle),
            **asdict(bounds.get(name, LayerBound())),
        )
        for name in macs
        if run.layer_cycles.get(name)
    )


def _dram_bytes(program: Program, run: Run, chip: ChipConfig) -> dict[str, int]:
    """Return, a layer, the bytes that its loads and stores carry over the DRAM port."""
    moved: dict[str, int] = {}
    for work in work_of(program, chip, run.parameters, entry=run.entry):
        if _uses_dram(work.op) and work.instruction.note < len(program.notes):
            layer = program.notes[work.instruction.note].layer
            moved[layer] = moved.get(layer, 0) + work.op.bytes  # type: ignore[union-attr]
    return moved


def _uses_dram(op: Operation | None) -> bool:
    return isinstance(op, DmaOp) and (op.store or op.mode is not DmaMode.FILL)


def _joined(names: Sequence[str]) -> str:
    return "+".join(dict.fromkeys(name for name in names if name))
