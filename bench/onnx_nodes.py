"""The ONNX operator conformance cases, each compiled for one tile and run on it.

In: `onnx.backend.test.case.node.collect_testcases` of the installed onnx wheel. Out: the table
`docs/reference/operators.md` and a line a failure; exit code 1 when a case fails that is neither
passed nor refused with a reason. `--only Conv` runs one operator and writes nothing.

How a case is run: inputs that networks store (weights, scales, bounds, shapes, axes) are stored in
the model, the others stay inputs. A float model with products (Conv, ConvTranspose, Gemm, MatMul)
is quantised first, calibrated on the case's own inputs.

Tolerances: float32, the case's own (1e-3 relative, 1e-7 absolute unless it says otherwise);
integers, equality, except one step where decision 0004 says so; a quantised product, the interval
|(|x| + dx)(|w| + dw) - |x||w|| summed over its terms, with one step dx, dw of each operand, plus
one step of the output.
"""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from jiriki.chip import load_chip
from jiriki.compiler import compile_graph
from jiriki.errors import JirikiError
from jiriki.frontend import (
    import_onnx,
    quantise_onnx,
    supported_operators,
)
from jiriki.frontend.errors import MalformedNodeError, UnsupportedOperatorError
from jiriki.frontend.onnx.reference import run_plain
from jiriki.report.tables import Sheet, markdown
from jiriki.sim.functional import FunctionalEngine

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "operators.md"
CHIP = "e256"
OPSETS = (7, 23)  # the oldest that the import takes, the newest all of which ONNX Runtime has
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ONE_STEP = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinearMatMul", "QLinearConv")
PASS, REFUSED, FAIL = "pass", "refused", "fail"

# Inputs that a network stores, by position; integer inputs of any operator in SHAPED too.
STORED: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2, 3, 4), "Clip": (1, 2), "Conv": (1, 2), "ConvInteger": (1, 2, 3),
    "ConvTranspose": (1, 2), "DequantizeLinear": (1, 2), "Dropout": (1, 2), "Expand": (1,),
    "Gather": (1,), "Gemm": (1, 2), "InstanceNormalization": (1, 2), "LayerNormalization": (1, 2),
    "MatMulInteger": (2, 3), "PRelu": (1,), "Pad": (1, 2, 3), "Pow": (1,),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8), "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2), "ReduceL2": (1,), "ReduceMax": (1,), "ReduceMean": (1,),
    "ReduceMin": (1,), "ReduceSum": (1,), "ReduceSumSquare": (1,), "Reshape": (1,),
    "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,),
    "Unsqueeze": (1,), "Upsample": (1,),
    "CumSum": (1,), "GatherElements": (1,), "ReduceL1": (1,), "ReduceLogSum": (1,),
    "ReduceLogSumExp": (1,), "TopK": (1,),
}  # fmt: skip
NUMPY_TYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64",
)  # fmt: skip
PLAIN_TYPES = ("float32", "int8", "uint8", "bool")
BYTES = ("int8", "uint8")
# On bytes these wrap around, which no quantised network wants; quantised ones come as QLinear.
ARITHMETIC = (
    "Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Pow",
)  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """What became of one case; `kind` is PASS, REFUSED or FAIL."""

    operator: str
    case: str
    kind: str
    reason: str = ""
    types: str = ""

    @property
    def plain(self) -> bool:
        """Whether the case is of float32, 8-bit or bool data: what the chip computes on."""
        wraps = self.types in BYTES and self.operator in ARITHMETIC
        return self.types in PLAIN_TYPES and not wraps


def main() -> int:
    """Run every case, print what failed, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="one operator; nothing is written")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    _quieten()
    _BY_NAME.update({case.name: case for case in cases()})
    names = [n for n, c in _BY_NAME.items() if arguments.only in (None, operator_of(c))]
    fork = get_context("fork")  # the workers inherit the cases, which are slow to make
    with ProcessPoolExecutor(arguments.jobs, fork) as pool:
        verdicts = list(pool.map(run_named, names, chunksize=8))
    for one in verdicts:
        if one.kind == FAIL or (arguments.only and one.kind == REFUSED):
            print(f"{one.case}: {one.kind}: {one.reason}", file=sys.stderr)
    found = Counter(one.kind for one in verdicts if one.plain)
    print(f"{found[PASS]} pass, {found[REFUSED]} refused, {found[FAIL]} fail (float and 8-bit)")
    if arguments.only is None:
        PAGE.write_text(page(verdicts), "utf-8")
    return int(any(one.kind == FAIL for one in verdicts))


def cases() -> list[Any]:
    """Return the cases of one node of an operator that the import takes, in order of name."""
    from onnx.backend.test.case.node import collect_testcases

    taken = set(supported_operators())
    chosen = [
        c
        for c in collect_testcases(None)
        if c.model and len(c.model.graph.node) == 1 and operator_of(c) in taken
    ]
    return sorted(chosen, key=lambda c: c.name)


def operator_of(case: Any) -> str:  # noqa: ANN401
    """Return the operator of the case's first node."""
    return case.model.graph.node[0].op_type


def _quieten() -> None:
    """Hide the warnings of cases that divide by zero on purpose."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


_BY_NAME: dict[str, Any] = {}


def run_named(name: str) -> Verdict:
    """Run one case, in a worker process."""
    case = _BY_NAME[name]
    types = _types(case)
    try:
        _decode(case)
        kind, reason = run_case(case)
    except MalformedNodeError as error:  # no case of the standard is
        kind, reason = FAIL, _short(str(error), case)
    except JirikiError as error:
        kind, reason = REFUSED, _short(str(error), case)
    except Exception as error:  # a fault of ours, told in the table rather than ending the run
        kind, reason = FAIL, f"{type(error).__name__}: {_short(str(error), case)}"
    return Verdict(operator_of(case), name, kind, reason, types)


def _decode(case: Any) -> None:  # noqa: ANN401
    """Make arrays of stored tensors; refuse what NumPy has no type for, such as 4-bit integers."""
    for arrays in case.data_sets[0]:
        for index, stored in enumerate(arrays):
            if not isinstance(stored, onnx.TensorProto):
                continue
            if onnx.helper.tensor_dtype_to_np_dtype(stored.data_type).name not in NUMPY_TYPES:
                raise UnsupportedOperatorError("a type that NumPy lacks")
            arrays[index] = numpy_helper.to_array(stored)


def _types(case: Any) -> str:  # noqa: ANN401
    """Return the type of the first input, or of the output when it is beyond PLAIN_TYPES."""
    graph = case.model.graph
    for value in (*graph.input[:1], *graph.output[:1]):
        code = value.type.tensor_type.elem_type
        if not code:
            return "sequence"
        name = onnx.TensorProto.DataType.Name(code).lower()
        name = {"float": "float32", "double": "float64"}.get(name, name)
        if name not in PLAIN_TYPES:
            return name
    return name


def _short(text: str, case: Any) -> str:  # noqa: ANN401
    """Return the rule that the message names, without the case's own names and shapes."""
    text = " ".join(text.split()).replace(case.name, "the model")
    node = case.model.graph.node[0]
    head, found, tail = text.partition("): ")
    if found and f"{node.op_type}(" in head:
        text = tail
    if "NOT_IMPLEMENTED" in text:
        return "ONNX Runtime, the reference, has no kernel for it"
    if "opset" in text or "refuses the model" in text:
        return "ONNX Runtime, the reference, refuses it"
    return text.split(";")[0].removeprefix(f"{node.output[0]}: ")[:120]


# -- one case ------------------------------------------------------------------------------


def run_case(case: Any) -> tuple[str, str]:  # noqa: ANN401
    """Import, compile, run, compare. Raises JirikiError for what is refused."""
    inputs, expected = case.data_sets[0]
    model, feeds = specialise(case.model, inputs)
    tolerances: list[Any] = [None] * len(expected)
    graph_model = model
    if operator_of(case) in PRODUCTS and all(a.dtype == np.float32 for a in feeds.values()):
        graph_model = quantise_onnx(model, [feeds])
        tolerances = [product_bound(model, feeds)]
    graph = import_onnx(graph_model)
    chip = load_chip(CHIP)
    program = compile_graph(graph, chip, effort=1)
    outputs = FunctionalEngine(chip).run(program, feeds).outputs
    assert outputs is not None, "the functional engine computes values"
    for port, wanted, bound in zip(graph.outputs, expected, tolerances, strict=False):
        got = outputs[port.name]
        if bound is not None:
            bound = bound + (port.scale or 0.0)
        why = difference(case, got, np.asarray(wanted), bound)
        if why:
            return FAIL, why
    return PASS, ""


def specialise(
    model: onnx.ModelProto, arrays: Sequence[Any]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Store what networks store as initialisers, fix the shapes; return the rest as feeds."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    node = model.graph.node[0]
    for opset in model.opset_import:
        if not opset.domain:
            known = _says_at(node, OPSETS[1])
            newest = OPSETS[1] if known else opset.version
            opset.version = min(max(opset.version, OPSETS[0]), newest)
    model.ir_version = min(model.ir_version, 11)
    stored = [node.input[i] for i in STORED.get(node.op_type, ()) if i < len(node.input)]
    feeds = {}
    values = list(model.graph.input)
    for value, array in zip(values, arrays, strict=True):
        array = np.asarray(array)
        if value.name in stored:
            model.graph.initializer.append(numpy_helper.from_array(array, value.name))
            model.graph.input.remove(value)
        else:
            feeds[value.name] = array
    return model, feeds


def _says_at(node: onnx.NodeProto, opset: int) -> bool:
    """Tell whether an opset has the operator with all the attributes that the node gives."""
    if not onnx.defs.has(node.op_type, opset, ""):
        return False
    known = onnx.defs.get_schema(node.op_type, opset, "").attributes
    return all(attribute.name in known for attribute in node.attribute)


def product_bound(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Return how far quantised operands may move each output of a product."""
    node = model.graph.node[0]
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer} | feeds
    factors = node.input[:2]
    steps = {name: _step(values[name], signed=name not in feeds) for name in factors}
    near = {name: np.abs(values[name]) for name in factors}
    far = {name: near[name] + steps[name] for name in factors}
    shift = {name: np.zeros_like(values[name]) for name in node.input[2:]}
    low, high = (_evaluated(model, {**side, **shift}, feeds) for side in (near, far))
    return np.abs(high - low) + steps[factors[0]] * steps[factors[1]]  # the bias's own step


def _step(array: np.ndarray, signed: bool) -> float:
    """Return the quantisation step of a stored operand (int8, symmetric) or an input (uint8)."""
    if signed:
        return float(np.abs(array).max()) / 127
    return float(max(array.max(), 0) - min(array.min(), 0)) / 255


def _evaluated(
    model: onnx.ModelProto, values: dict[str, np.ndarray], feeds: dict[str, np.ndarray]
) -> np.ndarray:
    """Run the float model with other values."""
    other = onnx.ModelProto.FromString(model.SerializeToString())
    del other.graph.initializer[:]
    for name in values.keys() - feeds.keys():
        array = values[name].astype(np.float32)
        other.graph.initializer.append(numpy_helper.from_array(array, name))
    return run_plain(other, {name: values[name].astype(np.float32) for name in feeds})[0]


def difference(case: Any, got: np.ndarray, wanted: np.ndarray, bound: Any) -> str:  # noqa: ANN401
    """Say how an output is out of tolerance, or nothing."""
    if got.shape != wanted.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    if bound is None and wanted.dtype.kind == "f":
        if np.allclose(a, b, case.rtol, case.atol, equal_nan=True):
            return ""
        return f"largest difference {np.nanmax(np.abs(a - b)):.3g}"
    if bound is None:
        bound = 1.0 if operator_of(case) in ONE_STEP else 0.0
    over = np.abs(a - b) > bound
    return f"{int(over.sum())} of {over.size} elements out of tolerance" if over.any() else ""


# -- the page ------------------------------------------------------------------------------


def page(verdicts: Sequence[Verdict]) -> str:
    """Return the table of every operator that the import takes."""
    rows = tuple(_row(name, verdicts) for name in supported_operators())
    heads = ("operator", ">pass", ">of", ">other types", "what is not taken, or fails")
    plain = [one for one in verdicts if one.plain]
    passed = sum(one.kind == PASS for one in plain)
    return (
        "<!-- made by bench/onnx_nodes.py; run it to make this page again -->\n"
        "# ONNX operators\n\n"
        f"Conformance cases of onnx {onnx.__version__} (`onnx.backend.test.case.node`), compiled "
        f"for `{CHIP}` and run on the functional engine: **{passed} of {len(plain)}** cases of "
        "float32, 8-bit and bool data pass. *Other types* counts the cases that pass among those "
        "of int16 to int64, float16, float64 and narrower, and of bytes that wrap around. The chip "
        "computes in float32: of these it takes what is exact there, and refuses the rest.\n\n"
        f"{_rules()}\n\n{markdown(Sheet('', heads, rows))}"
    )


def _rules() -> str:
    return "\n\n".join((__doc__ or "").split("\n\n")[2:]).strip()


def _row(name: str, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    mine = [one for one in verdicts if one.operator == name]
    plain = [one for one in mine if one.plain]
    other = [one for one in mine if not one.plain]
    if not mine:
        reason = "no case in onnx: tests/frontend compares it with ONNX Runtime"
        return (name, "", "", "", reason)
    passed, others = (f"{sum(o.kind == PASS for o in group)}" for group in (plain, other))
    reasons = "; ".join(_reasons(one for one in plain if one.kind != PASS))
    return (name, passed, f"{len(plain)}", f"{others} of {len(other)}" if other else "", reasons)


def _reasons(verdicts: Iterator[Verdict]) -> list[str]:
    found = Counter(f"{one.reason}" for one in verdicts)
    return [f"{count} × {reason}" for reason, count in found.most_common()]


if __name__ == "__main__":
    sys.exit(main())
