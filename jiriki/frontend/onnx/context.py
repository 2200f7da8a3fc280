"""The state of one import: what each ONNX value has become in the Graph so far.

In: nodes of the executed model, one by one. Out: graph nodes, tensor types and constants, in the
builder that every source format emits through. A `Value` is a constant array, or a graph tensor, or
a DequantizeLinear not yet carried out (its consumers often want the int8 tensor itself). uint8
values are int8 tensors inside, minus 128.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

from jiriki.frontend.errors import FrontendError, UnsupportedOperatorError
from jiriki.frontend.onnx.ort_requant import QParam
from jiriki.graph import Attr, DType, GraphBuilder, GraphError

# What the model's formats are inside the graph; int64 constants stay NumPy arrays.
INSIDE: Mapping[str, DType] = {
    "float32": DType.F32,
    "float16": DType.F32,
    "bool": DType.F32,
    "int16": DType.F32,  # whole numbers, all exact
    "uint16": DType.F32,
    "int8": DType.I8,
    "uint8": DType.I8,
    "int32": DType.I32,
    "int64": DType.I32,
}


@dataclass(frozen=True)
class Quant:
    """An int8 value with the scale and zero point that make it a float one."""

    value: Value
    scale: np.ndarray  # float32 [] or [n]
    zero_point: np.ndarray  # int32 [] or [n], in the model's own type
    axis: int  # -1 when scale is scalar

    def param(self) -> QParam:
        """Return the per-tensor parameters, the zero point shifted to int8."""
        shift = self.value.shift
        return QParam(float(self.scale), int(self.zero_point) - shift, shift)


@dataclass(frozen=True)
class Value:
    """What one ONNX value is: a constant (`array`), a graph tensor, or `quant` dequantised."""

    dtype: str  # the model's own format, a NumPy name
    shape: tuple[int, ...]
    array: np.ndarray | None = None
    tensor: str | None = None
    quant: Quant | None = None

    @property
    def shift(self) -> int:
        """What was subtracted to make the tensor inside: 128 for uint8, else 0."""
        return 128 if self.dtype == "uint8" else 0


@dataclass(frozen=True)
class Carrier:
    """A tensor to move, and the quantisation that its value has around it."""

    tensor: str
    dtype: str
    quant: Quant | None

    def stored(self, value: float) -> float | None:
        """Return a number of the model as the tensor holds it, or None when it cannot."""
        if self.quant is None:
            return value - 128 if self.dtype == "uint8" else value
        param = self.quant.param()
        scale = np.float32(param.scale)
        steps = np.rint(np.float32(value) / scale)
        if not np.isfinite(steps):
            return None
        level = int(steps) + param.zero_point
        return float(level) if steps * scale == value and -128 <= level <= 127 else None


@dataclass(kw_only=True)
class Context(GraphBuilder):
    """Everything known while importing one model."""

    opset: int
    values: dict[str, Value] = field(default_factory=dict)
    producers: dict[str, onnx.NodeProto] = field(default_factory=dict)
    boundary: dict[str, QParam] = field(default_factory=dict)
    opsets: list[onnx.OperatorSetIdProto] = field(default_factory=list)

    # -- reading ---------------------------------------------------------------------------

    def has(self, node: onnx.NodeProto, index: int) -> bool:
        """Tell whether the optional input is present."""
        return index < len(node.input) and bool(node.input[index])

    def value(self, node: onnx.NodeProto, index: int = 0) -> Value:
        """Return input `index`; FrontendError when nothing computes it."""
        name = node.input[index]
        if name not in self.values:
            raise FrontendError(
                f"node {node.name or node.op_type}: input {name!r} is computed by no node before "
                "it; sort the model's nodes"
            )
        return self.values[name]

    def constant(self, node: onnx.NodeProto, index: int) -> np.ndarray:
        """Return input `index` as an array; UnsupportedOperatorError when it is not constant."""
        array = self.array_of(self.value(node, index))
        if array is None:
            raise self.unsupported(
                node, f"input {index} ({node.input[index]}) must be a constant", "fold it first"
            )
        return array

    @staticmethod
    def array_of(value: Value) -> np.ndarray | None:
        """Return a constant's array (dequantised if need be), or None."""
        if value.array is not None:
            return value.array
        quant = value.quant
        if quant is None or quant.value.array is None:
            return None
        shape = [1] * len(value.shape)
        if quant.scale.ndim:
            shape[quant.axis] = -1
        centred = quant.value.array.astype(np.int32) - quant.zero_point.reshape(shape or ())
        return (centred.astype(np.float32) * quant.scale.reshape(shape or ())).astype(np.float32)

    def optional(self, node: onnx.NodeProto, index: int) -> np.ndarray | None:
        """Return a constant optional input, or None when absent."""
        return self.constant(node, index) if self.has(node, index) else None

    def scalar(self, node: onnx.NodeProto, index: int, default: float = 0.0) -> float:
        """Return a constant one-element input as a number."""
        array = self.optional(node, index)
        if array is None:
            return default
        if array.size != 1:
            raise self.unsupported(
                node, f"input {index} must have one element, not {array.size}", "use per-tensor"
            )
        return array.reshape(()).item()

    # -- writing ---------------------------------------------------------------------------

    def tensor_of(self, value: Value, base: str) -> str:
        """Return a graph tensor that holds the value, emitting what is needed."""
        if value.tensor is not None:
            return value.tensor
        array = self.array_of(value)
        if array is not None:
            return self.add_constant(base, self._inside(array, base))
        assert value.quant is not None, f"value {base} is neither constant, tensor nor quantised"
        return self._dequantise(value.quant, base)

    def tensor(self, node: onnx.NodeProto, index: int = 0) -> str:
        """Return input `index` as a graph tensor, materialised once."""
        name = node.input[index]
        value = self.value(node, index)
        tensor = self.tensor_of(value, name)
        if value.tensor is None:
            self.values[name] = Value(value.dtype, value.shape, value.array, tensor, value.quant)
        return tensor

    def _inside(self, array: np.ndarray, base: str) -> np.ndarray:
        if array.dtype == np.uint8:
            return (array.astype(np.int16) - 128).astype(np.int8)
        inside = INSIDE.get(array.dtype.name)
        if inside is None:
            raise FrontendError(f"constant {base} is {array.dtype.name}; cast it to float32")
        if array.dtype == np.int64 and np.abs(array).max(initial=0) > 2**31 - 1:
            raise FrontendError(f"constant {base} holds integers beyond int32; cast it to float32")
        return array.astype(inside.numpy)

    def _dequantise(self, quant: Quant, base: str) -> str:
        x = self.tensor_of(quant.value, f"{base}/q")
        zero_points = np.unique(quant.zero_point)
        if zero_points.size != 1:
            raise FrontendError(f"{base}: zero points differ per channel; use one zero point")
        scale = self.add_constant(f"{base}/scale", quant.scale.astype(np.float32))
        zero_point = int(zero_points[0]) - quant.value.shift
        attrs: dict[str, Attr] = {"zp": zero_point, "axis": quant.axis}
        return self.emit("dequantize", [x, scale], attrs, base, base)

    def emit(
        self, op: str, inputs: Sequence[str], attrs: Mapping[str, Attr], output: str, source: str
    ) -> str:
        """Append a graph node; return the name of its output tensor.

        What the op table refuses is an operator that is not supported.
        """
        try:
            return super().emit(op, inputs, attrs, output, source)
        except GraphError as error:
            raise UnsupportedOperatorError(f"{source}: {error}") from None

    def bind(self, node: onnx.NodeProto, tensor: str, dtype: str, index: int = 0) -> None:
        """Say that output `index` of the ONNX node is this graph tensor."""
        self.values[node.output[index]] = Value(dtype, self.tensors[tensor].shape, tensor=tensor)

    def result(
        self,
        node: onnx.NodeProto,
        op: str,
        inputs: Sequence[str],
        attrs: Mapping[str, Attr],
        dtype: str = "float32",
    ) -> str:
        """Emit a graph node for the ONNX node's first output and bind it."""
        tensor = self.emit(op, inputs, attrs, node.output[0], label(node))
        self.bind(node, tensor, dtype)
        return tensor

    # -- moving without converting ---------------------------------------------------------

    def carrier(self, node: onnx.NodeProto, index: int = 0) -> Carrier:
        """Return what a movement of input `index` should move: the int8 tensor when there is one.

        A movement of a dequantised tensor is the dequantisation of the moved one, exactly.
        """
        value = self.value(node, index)
        quant = value.quant
        if quant is None or quant.axis >= 0 or self.array_of(value) is not None:
            return Carrier(self.tensor(node, index), value.dtype, None)
        tensor = self.tensor_of(quant.value, f"{node.input[index]}/q")
        return Carrier(tensor, quant.value.dtype, quant)

    def bind_moved(
        self, node: onnx.NodeProto, carrier: Carrier, tensor: str, index: int = 0
    ) -> None:
        """Say that output `index` is `tensor`, moved from the carrier."""
        shape = self.tensors[tensor].shape
        value = Value(carrier.dtype, shape, tensor=tensor)
        quant = carrier.quant
        if quant is not None:
            value = Value("float32", shape, quant=replace(quant, value=value))
        self.values[node.output[index]] = value

    # -- refusing --------------------------------------------------------------------------

    def unsupported(self, node: onnx.NodeProto, rule: str, remedy: str) -> UnsupportedOperatorError:
        """Return the error that names the node, its operator and input shapes."""
        shapes = ", ".join(
            f"{self.values[n].dtype}{list(self.values[n].shape)}" if n in self.values else "none"
            for n in node.input
        )
        return UnsupportedOperatorError(f"{label(node)}({shapes}): {rule}; {remedy}")


def label(node: onnx.NodeProto) -> str:
    """Return how messages and reports call an ONNX node: its name and operator."""
    domain = f"{node.domain}." if node.domain not in ("", "ai.onnx") else ""
    return f"{node.name or node.output[0]} {domain}{node.op_type}"


def attribute(node: onnx.NodeProto, name: str, default: object = None) -> object:
    """Return an ONNX attribute's value, strings decoded, lists as lists."""
    for attr in node.attribute:
        if attr.name == name:
            value = onnx.helper.get_attribute_value(attr)
            return value.decode() if isinstance(value, bytes) else value
    return default


def int_attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """Return an integer attribute."""
    value = attribute(node, name, default)
    assert isinstance(value, int), f"{label(node)}.{name} is not an int"
    return value


def float_attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    """Return a float attribute, rounded to float32 as ONNX stores it."""
    value = attribute(node, name, default)
    assert isinstance(value, int | float), f"{label(node)}.{name} is not a float"
    return float(np.float32(value))


def text_attribute(node: onnx.NodeProto, name: str, default: str) -> str:
    """Return a string attribute."""
    value = attribute(node, name, default)
    assert isinstance(value, str), f"{label(node)}.{name} is not a string"
    return value


def list_attribute(node: onnx.NodeProto, name: str, default: Sequence[int]) -> list[int]:
    """Return an integer-list attribute."""
    value = attribute(node, name, list(default))
    assert isinstance(value, list), f"{label(node)}.{name} is not a list"
    return [int(v) for v in value]
