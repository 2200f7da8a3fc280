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
from typing import Self

import numpy as np

from jiriki.graph.errors import GraphError
from jiriki.numerics import Format

Attr = int | float | str | tuple[int, ...] | tuple[float, ...]


class DType(Enum):
    """The element format of a tensor; the value is its name in the text form."""

    format: Format

    def __new__(cls, name: str, form: Format) -> Self:
        row = object.__new__(cls)
        row._value_ = name
        row.format = form
        return row

    I8 = "i8", Format.INT8
    I16 = "i16", Format.INT16
    I32 = "i32", Format.INT32
    F32 = "f32", Format.FP32
    # Only at the boundary (Port.external) or before the importer has lowered them:
    U8 = "u8", Format.UINT8
    I64 = "i64", Format.INT64
    BOOL = "bool", Format.BOOL
    F16 = "f16", Format.FP16

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype that holds it."""
        return self.format.dtype

    @property
    def bytes(self) -> int:
        """Storage of one element, in bytes."""
        return self.numpy.itemsize

    @classmethod
    def of(cls, dtype: np.dtype | type | str) -> DType:
        """Return the DType of a NumPy dtype; GraphError when there is none."""
        wanted = np.dtype(dtype)
        for row in cls:
            if row.numpy == wanted:
                return row
        raise GraphError(f"dtype {wanted.name} has no tensor format here; cast it in the model")


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
