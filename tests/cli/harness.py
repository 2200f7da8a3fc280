"""What a call of the command line ends with, and the network that the commands read.

In: the arguments of a `Command`. Out: its `Result`; `refused` says what a refusal looks like.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INPUT_SHAPE = (1, 3, 9, 11)


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


def refused(done: Result, *words: str) -> None:
    """Assert exit code 1, an empty standard output and one line with these words."""
    assert (done.code, done.out) == (1, ""), done.err
    assert done.err.startswith("jiriki: ") and done.err.count("\n") == 1, done.err
    for word in words:
        assert word in done.err


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """Let no file grow beyond `free_bytes`, which the system reports as a full disk is.

    Python would write half the byte code of what is imported meanwhile, and read it ever after.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        sys.dont_write_bytecode = writes_none


def small_network(shape: tuple[int | str, ...] = INPUT_SHAPE) -> onnx.ModelProto:
    """Conv 3x3 with 8 channels, Relu."""
    random = np.random.default_rng(3)
    weights = random.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)
    bias = random.normal(0, 0.1, 8).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "first<b>conv</b>", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["y"], "then_relu"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
