"""Many vectors through a small component, compiled: a row of inputs a cycle, a row of outputs back.

In: a `wiring.Component` whose ports are plain values (nested and arrayed members are fine) and
arrays of their values, one row a cycle. Out: arrays of its outputs, row i of which was seen in
cycle i, after the inputs of row i were applied and before the clock edge that ends the cycle. A
component of latency L answers row i in row i + L; `run(..., latency=L)` feeds L further rows of
the last inputs and drops the first L of the outputs, so that rows belong together.

A port of at most 64 bits is an array [rows] of uint8, uint16, uint32 or uint64, the narrowest that
holds it (signed and float arrays of that size are taken by their bits; bits above the port's width
are cut off); a wider one is [rows, ceil(bits / 32)] uint32, lowest word first. Names are paths
joined by "__". Some 10^6 rows a second for a small component; building takes 10 s once.
"""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import wiring
from numpy.typing import NDArray

from jiriki.rtl.build.verilate import build_library, cpp_name
from jiriki.rtl.errors import RtlError

RESET_CYCLES = 2


@dataclass(frozen=True)
class Port:
    """A port of the component."""

    name: str
    bits: int
    is_input: bool

    @property
    def words(self) -> int:
        """32-bit words of a wide port, 0 for one of at most 64 bits."""
        return -(-self.bits // 32) if self.bits > 64 else 0

    @property
    def dtype(self) -> np.dtype:
        """Type of one row (of one word, if wide)."""
        if self.words:
            return np.dtype(np.uint32)
        return np.dtype(f"u{next(n for n in (1, 2, 4, 8) if 8 * n >= self.bits)}")


def ports_of(component: wiring.Component) -> list[Port]:
    """Return the ports of a component, in the order of its signature."""
    ports = []
    for path, member, value in component.signature.flatten(component):
        bits = Shape.cast(value.shape()).width
        if bits:
            ports.append(Port("__".join(map(str, path)), bits, member.flow == wiring.In))
    return ports


class Vectors:
    """A compiled component, its registers kept from one `run` to the next."""

    def __init__(self, component: wiring.Component, name: str) -> None:
        """Build it (or take it from the cache) and reset it. Raises RtlError as build_library."""
        self.ports = ports_of(component)
        path = build_library(component, name, generated={"vectors.cpp": _driver(self.ports)})
        self._library = ctypes.CDLL(str(path))
        self._library.vectors_new.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._library.vectors_new())

    def reset(self) -> None:
        """Put every register to its initial value."""
        self._library.vectors_reset(self._handle)

    def run(
        self, inputs: Mapping[str, NDArray | int], *, rows: int | None = None, latency: int = 0
    ) -> dict[str, NDArray]:
        """Clock the rows through; return every output.

        An input that is a number, or not given (zero), holds for all rows. Raises RtlError for an
        unknown name or arrays that do not fit the ports.
        """
        known = {port.name: port for port in self.ports if port.is_input}
        for name in inputs.keys() - known.keys():
            raise RtlError(f"{name} is no input of the component; known are {', '.join(known)}")
        sizes = {len(value) for value in inputs.values() if isinstance(value, np.ndarray)}
        if len(sizes) > 1:
            raise RtlError(f"inputs have {sorted(sizes)} rows; give all the same number")
        count = sizes.pop() if sizes else rows or 1
        columns, out = [], {}
        for port in self.ports:
            if port.is_input:
                columns.append(_column(port, inputs.get(port.name, 0), count, latency))
            else:
                shape = (count + latency, port.words) if port.words else (count + latency,)
                out[port.name] = np.empty(shape, port.dtype)
                columns.append(out[port.name])
        pointers = (ctypes.c_void_p * len(columns))(*(c.ctypes.data for c in columns))
        self._library.vectors_run(self._handle, ctypes.c_uint64(count + latency), pointers)
        return {name: value[latency:] for name, value in out.items()}

    def __del__(self) -> None:
        if hasattr(self, "_handle"):
            self._library.vectors_free(self._handle)


def _column(port: Port, value: NDArray | int, count: int, latency: int) -> NDArray:
    """Return one input as a contiguous array of count + latency rows, cut to the port's bits."""
    shape = (count, port.words) if port.words else (count,)
    if isinstance(value, np.ndarray):
        if value.shape != shape or (
            value.dtype.kind not in "iu" and value.dtype.itemsize != port.dtype.itemsize
        ):
            raise RtlError(
                f"input {port.name} is {value.dtype} {value.shape}, but the port of {port.bits} "
                f"bits takes {port.dtype} {shape}"
            )
        same = value.dtype.itemsize == port.dtype.itemsize
        array = value.view(port.dtype) if same else value.astype(port.dtype)
    elif port.words:
        masked = value & ((1 << port.bits) - 1)
        row = [masked >> (32 * i) & 0xFFFFFFFF for i in range(port.words)]
        array = np.broadcast_to(np.array(row, np.uint32), shape)
    else:
        array = np.full(shape, value & ((1 << port.bits) - 1), port.dtype)
    array = np.concatenate([array, np.repeat(array[-1:], latency, axis=0)])
    spare = port.bits % 32 if port.words else port.bits
    if port.words and spare:
        array[:, -1] &= np.uint32((1 << spare) - 1)
    elif not port.words:
        array &= port.dtype.type((1 << spare) - 1)
    return np.ascontiguousarray(array)


def _driver(ports: list[Port]) -> str:
    """Return the C++ that moves rows between arrays and ports."""
    moves: dict[bool, list[str]] = {True: [], False: []}
    for index, port in enumerate(ports):
        member, kind = f"top->{cpp_name(port.name)}", f"uint{8 * port.dtype.itemsize}_t"
        if port.words:
            size = f"{port.words} * 4"
            there, here = f"&{member}[0]", f"static_cast<uint32_t*>(at[{index}]) + i * {port.words}"
            pair = f"{there}, {here}" if port.is_input else f"{here}, {there}"
            moves[port.is_input].append(f"      memcpy({pair}, {size});")
        else:
            here = f"static_cast<{kind}*>(at[{index}])[i]"
            pair = f"{member} = {here}" if port.is_input else f"{here} = {member}"
            moves[port.is_input].append(f"      {pair};")
    return _DRIVER.replace("INPUTS", "\n".join(moves[True]).strip()).replace(
        "OUTPUTS", "\n".join(moves[False]).strip()
    )


_DRIVER = """#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstring>
#include <type_traits>

struct Bench {
  VerilatedContext context;
  Vtop* top = new Vtop(&context);
  ~Bench() { delete top; }
};

// A component without registers has neither clock nor reset.
template <class T> auto clock_of(T* top, int) -> decltype(&top->clk) { return &top->clk; }
template <class T> CData* clock_of(T*, long) { return nullptr; }
template <class T> auto reset_of(T* top, int) -> decltype(&top->rst) { return &top->rst; }
template <class T> CData* reset_of(T*, long) { return nullptr; }

static void edge(Vtop* top) {
  CData* clock = clock_of(top, 0);
  if (!clock) return;
  *clock = 1;
  top->eval();
  *clock = 0;
}

extern "C" {
void vectors_reset(Bench* bench) {
  Vtop* top = bench->top;
  if (CData* reset = reset_of(top, 0)) {
    for (int i = 0; i < 2; i++) {
      *reset = 1;
      top->eval();
      edge(top);
    }
    *reset = 0;
  }
}
Bench* vectors_new() {
  Bench* bench = new Bench;
  vectors_reset(bench);
  return bench;
}
void vectors_free(Bench* bench) { delete bench; }
void vectors_run(Bench* bench, uint64_t rows, void** at) {
  Vtop* top = bench->top;
  for (uint64_t i = 0; i < rows; i++) {
      INPUTS
      top->eval();
      OUTPUTS
      edge(top);
  }
}
}
"""
