"""Tensor types and nodes: the words of which a Graph is made.

In: nothing. Out: `DType`, `TensorType`, `Node`, the records that the op table and Graph share.
Shapes are static; every number format is one of the numerics contract, plus the boundary-only
types (i64, bool, f16, u8) that a model's own inputs and outputs may have.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import Enum
from math import prod

import numpy as np

from jiriki.graph.errors import GraphError

Attr = int | float | str | tuple[int, ...] | tuple[float, ...]


class DType(Enum):
    """The element format of a tensor; the value is its name in the text form."""

    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    F32 = "f32"
    # Only at the boundary (Port.external) or before the importer has lowered them:
    U8 = "u8"
    I64 = "i64"
    BOOL = "bool"
    F16 = "f16"

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype that holds it."""
        return np.dtype(_NUMPY[self.value])

    @property
    def bytes(self) -> int:
        """Storage of one element, in bytes."""
        return self.numpy.itemsize

    @classmethod
    def of(cls, dtype: np.dtype | type | str) -> DType:
        """Return the DType of a NumPy dtype; GraphError when there is none."""
        name = np.dtype(dtype).name
        for text, numpy_name in _NUMPY.items():
            if numpy_name == name:
                return cls(text)
        raise GraphError(f"dtype {name} has no tensor format here; cast it in the model")


_NUMPY = {
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "f32": "float32",
    "u8": "uint8",
    "i64": "int64",
    "bool": "bool",
    "f16": "float16",
}


@dataclass(frozen=True)
class TensorType:
    """A static shape and an element format, e.g. `i8[1,64,56,56]`."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def elements(self) -> int:
        """Number of elements (1 for a scalar)."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Dense storage in bytes."""
        return self.elements * self.dtype.bytes

    def __str__(self) -> str:
        return f"{self.dtype.value}[{','.join(map(str, self.shape))}]"

    @classmethod
    def parse(cls, text: str) -> TensorType:
        """Read the form that `str` prints; GraphError when it is not one."""
        name, bracket, rest = text.partition("[")
        try:
            if not bracket or not rest.endswith("]"):
                raise ValueError
            shape = tuple(int(dim) for dim in rest[:-1].split(",") if dim)
            return cls(shape, DType(name))
        except ValueError:
            raise GraphError(
                f"tensor type {text!r} is not of the form i8[1,3,4]; fix the graph text"
            ) from None


@dataclass(frozen=True)
class Node:
    """One operation: `op` names an entry of `ops.OPS`, which says what inputs and attrs mean."""

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Attr]
    source: str  # the node(s) of the model it came from, for messages and reports


def fresh_name(base: str, taken: Container[str]) -> str:
    """Return a name that starts with `base` and is not taken."""
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}.{count}"
    return name
