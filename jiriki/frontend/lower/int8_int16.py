"""Arithmetic of 8- and 16-bit integers, exact in float32.

In: operands of one type, int8, uint8, int16 or uint16. Bytes are int8 tensors (uint8 minus 128),
16-bit integers are float32 tensors of whole numbers. Out: float32 operations. Sums and differences
of 16 bits and products of 8 stay below 2^24, where float32 holds every integer; what leaves the
type's range wraps around, as in ONNX Runtime.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jiriki.graph import Attr, GraphBuilder

BYTES = ("int8", "uint8")
WORDS = ("int16", "uint16")
SMALL = (*BYTES, *WORDS)
WRAPPING = {"Add": "add", "Sub": "sub", "Mul": "mul"}


@dataclass(frozen=True)
class Integers:
    """Emission of operations on whole numbers of one type, named after what they compute."""

    builder: GraphBuilder
    dtype: str  # one of SMALL
    output: str
    source: str

    @property
    def shift(self) -> int:
        """What the tensors are less than their values: 128 for uint8."""
        return 128 if self.dtype == "uint8" else 0

    def widened(self, tensor: str) -> str:
        """Return a tensor as float32, less the shift."""
        return self._step("cast", tensor, to="f32") if self.dtype in BYTES else tensor

    def constant(self, array: np.ndarray) -> str:
        """Store an array of the type as float32, less the shift."""
        held = array.astype(np.float32) - np.float32(self.shift)
        return self.builder.add_constant(f"{self.output}/constant", held)

    def narrowed(self, tensor: str) -> str:
        """Return float32 whole numbers, less the shift, as tensors of the type are held."""
        return self._step("cast", tensor, to="i8") if self.dtype in BYTES else tensor

    def wrapped(self, op: str, a: str, b: str) -> str:
        """Return a + b, a - b or a * b, wide operands and result, brought into the range."""
        a, b = self._shifted(a, self.shift), self._shifted(b, self.shift)
        exact = self._step(op, a, b)
        limits = np.iinfo(self.dtype)
        turn = float(limits.max) - float(limits.min) + 1
        above = self._shifted(exact, -float(limits.min))
        turns = self._step("floor", self._times(above, 1 / turn))
        result = self._step("sub", exact, self._times(turns, turn))
        return self._shifted(result, -self.shift)

    def _shifted(self, x: str, by: float) -> str:
        return self._step("add", x, self._number(by)) if by else x

    def _times(self, x: str, factor: float) -> str:
        return self._step("mul", x, self._number(factor))

    def _number(self, value: float) -> str:
        return self.builder.add_constant(f"{self.output}/number", np.array(value, np.float32))

    def _step(self, op: str, *inputs: str, **attrs: Attr) -> str:
        return self.builder.emit(op, inputs, attrs, f"{self.output}/{op}", self.source)
