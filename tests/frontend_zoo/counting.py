"""Counts multiply-accumulates from the shapes that ONNX Runtime really computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime

MULTIPLYING = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def run(
    onnx_bytes: bytes, feeds: Sequence[dict[str, np.ndarray]], outputs: Sequence[str] | None = None
) -> list[list[np.ndarray]]:
    """Run a model on each feed; all outputs, or the named ones."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_bytes, options, ["CPUExecutionProvider"])
    return [[np.asarray(value) for value in session.run(outputs, feed)] for feed in feeds]


def count_macs(onnx_bytes: bytes, feed: dict[str, np.ndarray]) -> int:
    """Run the model once with every operand of a multiplying node as an output."""
    model = onnx.load_model_from_string(onnx_bytes)
    nodes = [node for node in model.graph.node if node.op_type in MULTIPLYING]
    operands = sorted({name for node in nodes for name in (*node.input[:2], node.output[0])})
    known = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in operands if n not in known)
    (arrays,) = run(model.SerializeToString(), [feed], operands)
    shapes = {name: array.shape for name, array in zip(operands, arrays, strict=True)}
    return sum(_macs(node, shapes) for node in nodes)


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    data, weight, out = (shapes[n] for n in (*node.input[:2], node.output[0]))
    match node.op_type:
        case "Conv":  # every output pixel meets the whole filter
            return out[0] * int(np.prod(out[2:])) * int(np.prod(weight))
        case "ConvTranspose":  # every input pixel does
            return data[0] * int(np.prod(data[2:])) * int(np.prod(weight))
        case "MatMul":
            return int(np.prod(out)) * data[-1]
        case _:  # Gemm: outputs x inner
            return out[0] * int(np.prod(weight))
