"""The reference: what "the same model in ONNX Runtime" means, pinned.

In: a ModelProto and feeds. Out: ONNX Runtime's outputs, or the graph it really executes.
The import reads that graph, so both sides see the same fused operators. What ONNX Runtime does not
know yet is put in older words first (`newer`). Settings, and why:

- ORT_ENABLE_EXTENDED: the level at which QDQ groups become integer kernels (QLinearConv, ...).
  Below it a QDQ model runs in float and its rounding depends on the order of float sums; above it
  only memory layouts change.
- session.x64quantprecision = 1: a processor without VNNI would saturate u8*s8 pair sums to int16;
  with this, ONNX Runtime avoids that, and with VNNI it changes nothing. It stays 0 for QLinear
  operators on int8 activations, whose weights it would make uint8, for which there is no kernel.
- session.qdqisint8allowed = 0: int8 QDQ pairs become uint8 ones (the value plus 128, exactly),
  because the x86-64 build has no matrix kernel for int8 activations; said, not left to a default.
- One thread, sequential: float reductions have one order.
- `DISABLED`: fusions of float operators into contributed ones (they change no integer result).
Decision 0004 records the kernels that cannot be matched bit for bit.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from jiriki.frontend.errors import ModelFileError, ReferenceRunError, UnsupportedOperatorError
from jiriki.frontend.onnx.ort_gaps import for_runtime
from jiriki.frontend.onnx.scales import stored_tensors
from jiriki.frontend.onnx.weights import stored_bytes

MOST_MESSAGE_BYTES = (1 << 31) - (1 << 24)  # a protobuf message ends at 2 GiB; 16 MiB for nodes

DISABLED = [
    "AttentionFusion",
    "BiasDropoutFusion",
    "BiasGeluFusion",
    "BiasSoftmaxFusion",
    "ConvActivationFusion",
    "ConvAddActivationFusion",
    "EmbedLayerNormFusion",
    "FastGeluFusion",
    "GatherSliceToSplitFusion",
    "GatherToSliceFusion",
    "GatherToSplitFusion",
    "GeluFusion",
    "GeluFusionL1",
    "GeluFusionL2",
    "GemmActivationFusion",
    "LayerNormFusion",
    "LayerNormFusionL1",
    "LayerNormFusionL2",
    "MatMulActivationFusion",
    "MatMulScaleFusion",
    "MatmulTransposeFusion",
    "QuickGeluFusion",
    "SimplifiedLayerNormFusion",
    "SkipLayerNormFusion",
]


def _has_int8_kernels(model: onnx.ModelProto) -> bool:
    """Tell whether a QLinear operator takes int8 activations: its kernels want int8 weights."""
    operators = ("QLinearConv", "QLinearMatMul")
    stored = stored_tensors(model).items()
    int8 = {name for name, tensor in stored if tensor.data_type == onnx.TensorProto.INT8}
    return any(
        int8.intersection(node.input[2:3]) for node in model.graph.node if node.op_type in operators
    )


def _options(level: ort.GraphOptimizationLevel) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.qdqisint8allowed", "0")
    return options


def _session(model: onnx.ModelProto, options: ort.SessionOptions) -> ort.InferenceSession:
    exact = "0" if _has_int8_kernels(model) else "1"
    options.add_session_config_entry("session.x64quantprecision", exact)
    try:
        with _readable(for_runtime(model), options) as source:
            return ort.InferenceSession(
                source, options, providers=["CPUExecutionProvider"], disabled_optimizers=DISABLED
            )
    except Exception as error:  # onnxruntime raises many private classes
        reason = " ".join(str(error).split())
        if "NOT_IMPLEMENTED" in reason:
            raise UnsupportedOperatorError(
                f"ONNX Runtime, the reference, lacks an operator of the model: {reason[:300]}; "
                "convert the model to an older opset or rewrite the operator"
            ) from None
        if "Protobuf serialization failed" in reason:
            raise ModelFileError(
                f"ONNX Runtime cannot write the optimised model into {tempfile.gettempdir()}; "
                "free some space there, or set TMPDIR to another folder"
            ) from None
        raise ModelFileError(
            f"ONNX Runtime refuses the model: {reason[:300]}; check it with onnx.checker"
        ) from None


@contextmanager
def _readable(model: onnx.ModelProto, options: ort.SessionOptions) -> Iterator[bytes | str]:
    """Yield what ONNX Runtime reads a model from: bytes, or a file with its weights beside it.

    Beyond 2 GiB no protobuf message holds a model, neither the one read nor the one written.
    """
    if sum(map(stored_bytes, model.graph.initializer)) < MOST_MESSAGE_BYTES:
        yield model.SerializeToString()
        return
    if options.optimized_model_filepath:
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", "optimised.bin"
        )
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_min_size_in_bytes", "1024"
        )
    apart = onnx.ModelProto()
    apart.CopyFrom(model)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "large.onnx")
        onnx.save(apart, path, save_as_external_data=True, location="large.bin")
        del apart
        yield path


def reference_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return the pinned session, for many runs of one model."""
    return _session(model, _options(ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED))


def reference_outputs(
    model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Run the model once under the pinned settings; outputs by name."""
    return run_reference(reference_session(model), feeds)


def run_reference(
    session: ort.InferenceSession, feeds: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Run a session once; outputs by name. Raises ReferenceRunError."""
    names = [output.name for output in session.get_outputs()]
    try:
        values = session.run(names, dict(feeds))
    except Exception as error:  # onnxruntime raises many private classes
        reason = " ".join(str(error).split())
        raise ReferenceRunError(
            f"ONNX Runtime, the reference, fails while it runs the model: {reason[:300]}; "
            "check the model and its inputs"
        ) from None
    return dict(zip(names, (np.asarray(value) for value in values), strict=True))


def executed_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph that the pinned session executes."""
    return _optimised(model, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)


def folded_model(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model after standard-ONNX rewrites: constants and batch norms folded."""
    return _optimised(model, ort.GraphOptimizationLevel.ORT_ENABLE_BASIC)


def _optimised(model: onnx.ModelProto, level: ort.GraphOptimizationLevel) -> onnx.ModelProto:
    options = _options(level)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        _session(model, options)
        return onnx.load(path)


def run_plain(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Run a small model exactly as written, with no rewriting."""
    return list(run_reference(plain_session(model), feeds).values())


def plain_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return a session that runs the model exactly as written, with no rewriting."""
    return _session(model, _options(ort.GraphOptimizationLevel.ORT_DISABLE_ALL))
