"""Planted bugs: many mutants of the gates in one simulation, one of them chosen at its start.

A mutation names a function of the design and an expression in it, and what a designer might have
written in its place. While the design is elaborated the expression becomes a choice between both,
by a number that a small Verilog cell asks the C++ side for as the simulation begins; 0 is the
design as it is. So one library, compiled once, holds all mutants.
In: mutations. Out: the library, and a way to choose.
"""

from __future__ import annotations

import ast
import ctypes
import inspect
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from types import FunctionType
from weakref import WeakKeyDictionary

from amaranth import hdl
from amaranth.hdl import Instance, Module, Mux, Signal, Value

from jiriki.chip import ChipConfig
from jiriki.rtl.build.verilate import build_library, verilog_text, with_cells
from jiriki.rtl.simulate.tile import OPTIMISE
from jiriki.rtl.tile import Tile

NUMBER_BITS = 8
_CELL = """
module jiriki_mutant(output [7:0] number);
  import "DPI-C" function int mutant_number();
  reg [7:0] held;
  initial held = mutant_number();
  assign number = held;
endmodule
"""
_CHOICE = """static int chosen = 0;
extern "C" int mutant_number() { return chosen; }
extern "C" void mutant_choose(int number) { chosen = number; }
"""


@dataclass(frozen=True)
class Mutation:
    """One bug: `right` stands exactly once in `function`, a place like "front:Front._ring"."""

    unit: str
    bug: str
    function: str
    right: str
    wrong: str  # may use `hdl` for what the module does not import


@cache
def mutants_library(chip: ChipConfig, mutations: tuple[Mutation, ...]) -> Path:
    """Build, or find, the simulation of a tile that holds all mutations, numbered from 1."""
    driver = Path(str(resources.files("jiriki.rtl.simulate") / "tile_driver.cpp"))
    with planted(mutations):
        text = verilog_text(Tile(chip))
    return build_library(
        with_cells(text) + _CELL, f"mutants-{chip.name}", [driver],
        generated={"mutants.cpp": _CHOICE}, trace=True, optimise=OPTIMISE,
        defines={"JIRIKI_BEAT": chip.dram_bytes_per_cycle},
    )  # fmt: skip


def choose(library: Path, number: int) -> None:
    """Let simulations made from now on be mutant `number` (0: none)."""
    ctypes.CDLL(str(library)).mutant_choose(number)


@contextmanager
def planted(mutations: Sequence[Mutation]) -> Iterator[None]:
    """Elaborate with all mutations in their places; every function is itself again after."""
    by_function: dict[str, list[tuple[int, Mutation]]] = {}
    for number, mutation in enumerate(mutations, 1):
        by_function.setdefault(mutation.function, []).append((number, mutation))
    before = []
    try:
        for place, some in by_function.items():
            function = _function(place)
            before.append((function, function.__code__))
            function.__globals__.update(hdl=hdl, _choice=_choice)
            function.__code__ = _rewritten(function, some)
        yield
    finally:
        for function, code in before:
            function.__code__ = code


def _function(place: str) -> FunctionType:
    module, name = place.split(":")
    target = import_module(f"jiriki.rtl.{module}")
    for part in name.split("."):
        target = getattr(target, part)
    assert isinstance(target, FunctionType), f"{place} is no function"
    return target


def _rewritten(function: FunctionType, mutations: list[tuple[int, Mutation]]) -> object:
    """Return the code of a function with a choice around each expression."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    places: dict[ast.expr, list[tuple[int, Mutation]]] = {}
    for number, mutation in mutations:
        right = ast.unparse(ast.parse(mutation.right, mode="eval"))
        matches = [n for n in ast.walk(tree) if isinstance(n, ast.expr) and ast.unparse(n) == right]
        assert len(matches) == 1, f"{mutation.function} has {right} {len(matches)} times, not once"
        places.setdefault(matches[0], []).append((number, mutation))
    _Planter(places).visit(tree)
    code = compile(ast.fix_missing_locations(tree), inspect.getfile(function), "exec")
    return next(c for c in code.co_consts if getattr(c, "co_name", "") == function.__name__)


class _Planter(ast.NodeTransformer):
    """Puts the choices in."""

    def __init__(self, places: dict[ast.expr, list[tuple[int, Mutation]]]) -> None:
        self.places = places

    def visit(self, node: ast.AST) -> ast.AST:
        mine = self.places.get(node, [])  # type: ignore[call-overload]
        out = self.generic_visit(node)
        for number, mutation in mine:
            wrong = ast.parse(mutation.wrong, mode="eval").body
            name = ast.Name("_choice", ast.Load())
            out = ast.Call(name, [ast.Constant(number), out, wrong], [])
        return out


_numbers: WeakKeyDictionary[Module, Signal] = WeakKeyDictionary()


def _choice(number: int, right: Value, wrong: Value) -> Value:
    """Return `wrong` in mutant `number`, in the module that is being built."""
    return Mux(_number(_module_in_work()) == number, wrong, right)


def _module_in_work() -> Module:
    """Return the innermost caller's `m`."""
    frame = sys._getframe(2)
    while not isinstance(frame.f_locals.get("m"), Module):
        assert frame.f_back is not None, "a mutation outside of elaboration"
        frame = frame.f_back
    return frame.f_locals["m"]


def _number(m: Module) -> Signal:
    """Return the number of the mutant, from one cell a module."""
    if m not in _numbers:
        _numbers[m] = Signal(NUMBER_BITS, name="mutant")
        m.submodules.mutant = Instance("jiriki_mutant", o_number=_numbers[m])
    return _numbers[m]
