"""One entry of the op table, and the small checks that the families share.

In: input `TensorType`s and attributes. Out: `Op`, `ConvGeometry`-style helpers, `OpError`s that
name the rule that an input breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jiriki.graph.errors import GraphError
from jiriki.graph.tensor import Attr, DType, TensorType

Attrs = Mapping[str, Attr]
Types = Sequence[TensorType]
Arrays = Sequence[np.ndarray]

# The kind of each attribute is a word: int, float, str, ints, floats.
_KINDS: Mapping[str, Callable[[Attr], bool]] = {
    "int": lambda v: isinstance(v, int),
    "float": lambda v: isinstance(v, int | float),
    "str": lambda v: isinstance(v, str),
    "ints": lambda v: isinstance(v, tuple) and all(isinstance(e, int) for e in v),
    "floats": lambda v: isinstance(v, tuple) and all(isinstance(e, int | float) for e in v),
}


@dataclass(frozen=True)
class Op:
    """An operation: its inputs by name, attributes by kind, type rule and meaning.

    `variadic` ops repeat the last input one or more times. `constant` names the inputs that must
    be constants of the graph (weights, tables, multipliers).
    """

    name: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, str]
    infer: Callable[[Types, Attrs], tuple[TensorType, ...]]
    reference: Callable[[Arrays, Attrs], tuple[np.ndarray, ...]]
    summary: str
    constant: tuple[str, ...] = ()
    variadic: bool = False

    def check(self, node: str, types: Types, attrs: Attrs) -> tuple[TensorType, ...]:
        """Return the output types; GraphError when arity, attributes or shapes are wrong."""
        self._check_arity(node, len(types))
        if set(attrs) != set(self.attrs):
            wrong = sorted(set(attrs) ^ set(self.attrs))
            raise GraphError(
                f"node {node}: {self.name} takes exactly attributes {sorted(self.attrs)}; "
                f"missing or unknown: {wrong}"
            )
        for key, kind in self.attrs.items():
            if not _KINDS[kind](attrs[key]):
                raise GraphError(f"node {node}: {self.name}.{key} = {attrs[key]!r} is not {kind}")
        try:
            return self.infer(types, attrs)
        except GraphError as error:
            shapes = ", ".join(map(str, types))
            raise GraphError(f"node {node}: {self.name}({shapes}): {error}") from None

    def _check_arity(self, node: str, count: int) -> None:
        least = len(self.inputs)
        if count < least or (count > least and not self.variadic):
            more = " or more" if self.variadic else ""
            raise GraphError(f"node {node}: {self.name} takes {least}{more} inputs, not {count}")


def need(condition: bool, rule: str) -> None:
    """Raise GraphError(rule) unless the condition holds."""
    if not condition:
        raise GraphError(rule)


def need_dtype(type_: TensorType, name: str, *allowed: DType) -> None:
    """Raise unless the input `name` has one of the allowed formats."""
    names = "/".join(d.value for d in allowed)
    need(type_.dtype in allowed, f"{name} must be {names}, not {type_.dtype.value}")


def integer(attrs: Attrs, key: str) -> int:
    """Return an int attribute."""
    value = attrs[key]
    assert isinstance(value, int), f"attribute {key} was not checked"
    return value


def real(attrs: Attrs, key: str) -> float:
    """Return a float attribute."""
    value = attrs[key]
    assert isinstance(value, int | float), f"attribute {key} was not checked"
    return float(value)


def text(attrs: Attrs, key: str) -> str:
    """Return a string attribute."""
    value = attrs[key]
    assert isinstance(value, str), f"attribute {key} was not checked"
    return value


def integers(attrs: Attrs, key: str) -> tuple[int, ...]:
    """Return a tuple-of-int attribute."""
    value = attrs[key]
    assert isinstance(value, tuple), f"attribute {key} was not checked"
    return tuple(int(v) for v in value)


def broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the NumPy broadcast of the shapes; GraphError when there is none."""
    try:
        return tuple(np.broadcast_shapes(*shapes))
    except ValueError:
        raise GraphError(f"shapes {list(shapes)} do not broadcast") from None
