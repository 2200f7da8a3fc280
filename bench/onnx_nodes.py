"""The ONNX operator conformance cases, each compiled for one tile and run on it.

In: `onnx.backend.test.case.node.collect_testcases` of the installed onnx wheel, all of them. Out:
the table `docs/reference/operators.md`, with `--json FILE` every verdict, and a line a wrong value;
exit code 1 when there is one. `--only Conv` runs one operator and writes no page.

How a case is run: first with every input as the case has it; when that is refused, once more with
the inputs that networks store (weights, scales, bounds, shapes, axes) stored in the model, which is
counted apart. A case whose operator is expanded into a function's nodes is run as those nodes. A
float model with products (Conv, ConvTranspose, Gemm, MatMul) is quantised first, calibrated on the
case's own inputs.

Tolerances: float32, the case's own (1e-3 relative, 1e-7 absolute unless it says otherwise);
integers, equality, except one step where decision 0004 says so; a quantised product, the interval
|(|x| + dx)(|w| + dw) - |x||w|| summed over its terms, with one step dx, dw of each operand, plus
one step of the output; several quantised products in one case, a signal 20 dB above the error.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
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
PASS, STORED_PASS, REFUSED, WRONG = "pass", "pass, stored", "refused", "wrong"
EXPANDED = "_expanded"
LEAST_SQNR_DB = 20.0  # of a case with several quantised products

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
    """What became of one case; `kind` is PASS, STORED_PASS, REFUSED or WRONG."""

    operator: str
    case: str
    kind: str
    reason: str = ""
    types: str = ""

    @property
    def passed(self) -> bool:
        """Whether the chip gives the case's values, with some inputs stored or with none."""
        return self.kind in (PASS, STORED_PASS)

    @property
    def expanded(self) -> bool:
        """Whether the case is an operator's function, node by node."""
        return EXPANDED in self.case

    @property
    def plain(self) -> bool:
        """Whether the case is of float32, 8-bit or bool data: what the chip computes on."""
        wraps = self.types in BYTES and self.operator in ARITHMETIC
        return self.types in PLAIN_TYPES and not wraps


def main() -> int:
    """Run every case, print what is wrong, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", help="one operator; no page is written")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every verdict")
    arguments = parser.parse_args()
    _quieten()
    _BY_NAME.update({case.name: case for case in cases()})
    names = [n for n, c in _BY_NAME.items() if arguments.only in (None, operator_of(c))]
    fork = get_context("fork")  # the workers inherit the cases, which are slow to make
    with ProcessPoolExecutor(arguments.jobs, fork) as pool:
        verdicts = list(pool.map(run_named, names, chunksize=8))
    for verdict in verdicts:
        if verdict.kind == WRONG or (arguments.only and verdict.kind != PASS):
            print(f"{verdict.case}: {verdict.kind}: {verdict.reason}", file=sys.stderr)
    print(summary(verdicts))
    if arguments.json:
        rows = {"summary": counts(verdicts), "cases": [asdict(v) for v in verdicts]}
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    if arguments.only is None:
        PAGE.write_text(page(verdicts), "utf-8")
    return int(any(verdict.kind == WRONG for verdict in verdicts))


def counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Return how many cases there are of each kind, and in all."""
    kinds = Counter(verdict.kind for verdict in verdicts)
    return {kind: kinds[kind] for kind in (PASS, STORED_PASS, REFUSED, WRONG)} | {
        "all": len(verdicts)
    }


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return the counts in a sentence."""
    number = counts(verdicts)
    return (
        f"{number['all']} cases: {number[PASS] + number[STORED_PASS]} pass, "
        f"{number[STORED_PASS]} of them only with inputs stored; "
        f"{number[REFUSED]} refused, {number[WRONG]} wrong"
    )


def cases() -> list[Any]:
    """Return every case, in order of name."""
    from onnx.backend.test.case.node import collect_testcases

    return sorted(collect_testcases(None), key=lambda case: case.name)


def operator_of(case: Any) -> str:  # noqa: ANN401
    """Return the operator that the case is of: its only node's, or the expanded one's."""
    origin = _origin(case)
    return (origin or case).model.graph.node[0].op_type


def _origin(case: Any) -> Any:  # noqa: ANN401
    """Return the case whose function's nodes this one has, or None."""
    head, mark, _ = case.name.partition(EXPANDED)
    return _BY_NAME.get(head) if mark else None


def _quieten() -> None:
    """Hide the warnings of cases that divide by zero on purpose."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")


_BY_NAME: dict[str, Any] = {}


def run_named(name: str) -> Verdict:
    """Run one case, in a worker process: as it is, then with inputs stored."""
    case = _BY_NAME[name]
    types = _types(case)
    verdict = Verdict(operator_of(case), name, REFUSED, "", types)
    for kind, store in ((PASS, False), (STORED_PASS, True)):
        if store and not _stored(case):
            break
        try:
            _decode(case)
            why = run_case(case, store)
        except MalformedNodeError as error:  # no case of the standard is
            return replace(verdict, kind=WRONG, reason=_short(str(error), case))
        except JirikiError as error:
            verdict = replace(verdict, reason=_short(str(error), case))
        except Exception as error:  # a fault of ours, told in the table rather than ending the run
            why = f"{type(error).__name__}: {_short(str(error), case)}"
            return replace(verdict, kind=WRONG, reason=why)
        else:
            return replace(verdict, kind=WRONG if why else kind, reason=why)
    return verdict


def _decode(case: Any) -> None:  # noqa: ANN401
    """Make arrays of stored tensors; refuse what NumPy has no type for, such as 4-bit integers."""
    for arrays in case.data_sets[0]:
        for index, stored in enumerate(arrays):
            if isinstance(stored, list | dict) or stored is None:
                raise UnsupportedOperatorError("a sequence, map or optional")
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
    head, separator, tail = text.partition("): ")
    if separator and f"{node.op_type}(" in head:
        text = tail
    if "NOT_IMPLEMENTED" in text:
        return "ONNX Runtime, the reference, has no kernel for it"
    if "opset" in text or "refuses the model" in text:
        return "ONNX Runtime, the reference, refuses it"
    return text.split(";")[0].removeprefix(f"{node.output[0]}: ")[:120]


# -- one case ------------------------------------------------------------------------------


def run_case(case: Any, store: bool) -> str:  # noqa: ANN401
    """Import, compile, run, compare; say what is wrong. Raises JirikiError for what is refused."""
    inputs, expected = case.data_sets[0]
    model, feeds = specialise(case, inputs, store)
    products = [node for node in model.graph.node if node.op_type in PRODUCTS]
    bounds: list[Any] = [None] * len(expected)
    graph_model = model
    if products and _computes_in_float32(model):
        graph_model = quantise_onnx(model, [feeds])
        if len(model.graph.node) == 1:
            bounds = [product_bound(model, feeds)]
    graph = import_onnx(graph_model)
    chip = load_chip(CHIP)
    program = compile_graph(graph, chip, effort=1)
    outputs = FunctionalEngine(chip).run(program, feeds).outputs
    assert outputs is not None, "the functional engine computes values"
    for port, wanted, bound in zip(graph.outputs, expected, bounds, strict=False):
        got = outputs[port.name]
        if bound is not None:
            bound = bound + (port.scale or 0.0)
        if graph_model is not model and bound is None:
            why = _noise(got, np.asarray(wanted))
        else:
            why = difference(case, got, np.asarray(wanted), bound)
        if why:
            return why
    return ""


def _computes_in_float32(model: onnx.ModelProto) -> bool:
    """Tell whether the outputs are float32, which a quantised product can stand for."""
    return all(
        value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT for value in model.graph.output
    )


def _stored(case: Any) -> set[str]:  # noqa: ANN401
    """Return the names of the inputs that networks store."""
    node = (_origin(case) or case).model.graph.node[0]
    inputs = {value.name for value in case.model.graph.input}
    named = {node.input[i] for i in STORED.get(node.op_type, ()) if i < len(node.input)}
    return named & inputs


def specialise(
    case: Any,  # noqa: ANN401
    arrays: Sequence[Any],
    store: bool,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Store what networks store as initialisers if told so; return the rest as feeds."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    for opset in model.opset_import:
        if not opset.domain:
            known = all(_says_at(node, OPSETS[1]) for node in model.graph.node)
            newest = OPSETS[1] if known else opset.version
            opset.version = min(max(opset.version, OPSETS[0]), newest)
    model.ir_version = min(model.ir_version, 11)
    stored = _stored(case) if store else set()
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


def _noise(got: np.ndarray, wanted: np.ndarray) -> str:
    """Say how far the error lies below the signal when that is too little, or nothing."""
    if got.shape != wanted.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    a, b = got.astype(np.float64), wanted.astype(np.float64)
    usual = np.isfinite(b)
    if not np.array_equal(a[~usual], b[~usual], equal_nan=True):
        return "infinity or NaN where the case has another"
    error, signal = (float(np.square(v[usual]).sum()) for v in (a - b, b))
    sqnr_db = 10 * np.log10(signal / error) if error else np.inf
    return "" if sqnr_db >= LEAST_SQNR_DB else f"signal {sqnr_db:.1f} dB above the error"


# -- the page ------------------------------------------------------------------------------


def page(verdicts: Sequence[Verdict]) -> str:
    """Return the table of every operator that the import takes, and of all the cases."""
    rows = tuple(_row(name, verdicts) for name in supported_operators())
    heads = ("operator", ">pass", ">of", ">stored", ">other types", "what is not taken, or wrong")
    plain = [v for v in verdicts if v.plain and not v.expanded and v.operator in _taken()]
    passed = sum(verdict.passed for verdict in plain)
    return (
        "<!-- made by bench/onnx_nodes.py; run it to make this page again -->\n"
        "# ONNX operators\n\n"
        f"Conformance cases of onnx {onnx.__version__} (`onnx.backend.test.case.node`), compiled "
        f"for `{CHIP}` and run on the functional engine. Of all {summary(verdicts)}. Of the "
        f"operators below, **{passed} of {len(plain)}** cases of float32, 8-bit and bool data "
        "pass. *Stored* counts those that pass only when inputs which networks store are stored. "
        "*Other types* counts the cases that pass among those of int16 to int64, float16, float64 "
        "and narrower, and of bytes that wrap around. The chip computes in float32: of these it "
        "takes what is exact there, and refuses the rest.\n\n"
        f"{_rules()}\n\n{markdown(Sheet('', heads, rows))}\n"
        f"## All cases\n\n{markdown(_groups(verdicts))}\n"
        f"## Why cases are refused\n\n{markdown(_refusals(verdicts))}"
    )


def _rules() -> str:
    return "\n\n".join((__doc__ or "").split("\n\n")[2:]).strip()


def _taken() -> frozenset[str]:
    return frozenset(supported_operators())


def _row(name: str, verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    mine = [v for v in verdicts if v.operator == name and not v.expanded]
    plain = [v for v in mine if v.plain]
    other = [v for v in mine if not v.plain]
    if not mine:
        reason = "no case in onnx: tests/frontend compares it with ONNX Runtime"
        return (name, "", "", "", "", reason)
    passed, others = (f"{sum(v.passed for v in group)}" for group in (plain, other))
    stored = sum(v.kind == STORED_PASS for v in plain)
    reasons = "; ".join(
        f"{count} × {reason}" for reason, count in _reasons(v for v in plain if not v.passed)
    )
    beside = f"{others} of {len(other)}" if other else ""
    return (name, passed, f"{len(plain)}", f"{stored or ''}", beside, reasons)


def _groups(verdicts: Sequence[Verdict]) -> Sheet:
    """Return how each group of cases ends."""
    groups = {
        "operators that the import takes": [
            v for v in verdicts if not v.expanded and v.operator in _taken()
        ],
        "other operators": [v for v in verdicts if not v.expanded and v.operator not in _taken()],
        "functions, expanded": [v for v in verdicts if v.expanded],
        "all": list(verdicts),
    }
    kinds = (PASS, STORED_PASS, REFUSED, WRONG, "all")
    rows = tuple(
        (name, *(f"{counts(group)[kind]}" for kind in kinds)) for name, group in groups.items()
    )
    return Sheet("", ("cases", ">pass", ">pass, stored", ">refused", ">wrong", ">all"), rows)


def _refusals(verdicts: Sequence[Verdict]) -> Sheet:
    """Return the reasons of all refusals, the most frequent first."""
    refused = (verdict for verdict in verdicts if verdict.kind == REFUSED)
    rows = tuple((f"{count}", reason) for reason, count in _reasons(refused))
    return Sheet("", (">cases", "reason"), rows)


def _reasons(verdicts: Iterator[Verdict]) -> list[tuple[str, int]]:
    return Counter(verdict.reason for verdict in verdicts).most_common()


if __name__ == "__main__":
    sys.exit(main())
