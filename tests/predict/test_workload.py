"""Workloads against published parameter counts and sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import import_onnx, quantise_onnx
from jiriki.frontend.onnx.load import load_model
from jiriki.frontend.zoo import list_models, load
from jiriki.graph import DType, Graph, Node, Port, TensorType
from jiriki.predict import Work, load_workload, workload_ids
from jiriki.predict.graph_workload import from_graph
from jiriki.predict.workload import Layer, Transformer, block_layers, parse_workload
from jiriki.products.errors import FactError


@pytest.mark.parametrize(
    ("id", "published"),
    [
        ("bert-large", 334e6),  # without the 0.5 M of positions
        ("llama-2-70b", 68.98e9),
        ("llama-3.1-8b", 8.03e9),
        ("llama-3.1-405b", 405.9e9),
        ("whisper-large-v3", 1.543e9),
    ],
)
def test_architecture_has_the_published_number_of_parameters(id: str, published: float) -> None:
    assert load_workload(id).stored_weights == pytest.approx(published, rel=0.006)


def test_resnet50_multiplies_as_often_as_the_model_card_says() -> None:
    card = next(card for card in list_models() if card.name == "resnet50")
    assert load_workload("resnet50").ops == 2 * card.macs


def test_prefill_of_llama_takes_two_operations_a_parameter_and_token() -> None:
    prefill = load_workload("llama-2-70b").phases[0]
    matrices = prefill.ops - prefill.exact_ops
    embedding = 32000 * 8192  # looked up, and the output matrix runs for the last token only
    expected = 2 * 292 * (68.98e9 - 2 * embedding) + 2 * embedding
    assert matrices == pytest.approx(expected, rel=1e-3)


def test_block_counts_what_a_hand_counts() -> None:
    stack = Transformer(layers=2, hidden=4, heads=2, kv_heads=1, head_dim=2, ffn=8, vocab=10)
    layers = {layer.name: layer for layer in block_layers(stack, tokens=3, seen=5)}
    assert layers["qkv"] == Layer("qkv", 2 * 3 * 4 * 8, 32, 3 * (4 + 8), 2)
    assert layers["attention"] == Layer("attention", 4 * 3 * 5 * 4, 0, 3 * (8 + 4), 2, True)
    assert layers["up"].weights + layers["down"].weights == 64
    assert stack.stored_weights == 2 * (4 * (4 + 2 + 2 + 4) + 64) + 2 * 40


def test_longer_context_reads_more_cache() -> None:
    short, long = load_workload("llama-3.1-8b", 1000), load_workload("llama-3.1-8b", 4000)
    assert long.phases[1].cache_read == 4 * short.phases[1].cache_read
    assert short.phases[1].cache_read == 1000 * 2 * 32 * 8 * 128


def test_graph_folds_a_residual_add_into_the_layer_before() -> None:
    workload = from_graph(residual(), "small")
    conv, pool = workload.phases[0].layers
    pixels = 6 * 6
    assert (conv.ops, conv.weights) == (2 * 8 * 8 * pixels, 64)
    assert conv.activations == 8 * pixels * 3  # read, written, and the sum's other input
    assert (pool.ops, pool.activations) == (0, 8 * pixels + 8 * 9)
    assert workload.work is Work.CONVOLUTION


def residual() -> Graph:
    """x -> 1x1 convolution, plus x, then a 2x2 pool."""
    constants = {
        "w": np.ones((8, 8, 1, 1), np.int8),
        "b": np.zeros(8, np.int32),
        "m": np.full(8, 1e-2, np.float32),
    }
    tensors = {name: TensorType(a.shape, DType.of(a.dtype)) for name, a in constants.items()}
    tensors |= {name: TensorType((1, 8, 6, 6), DType.I8) for name in ("x", "c", "s")}
    tensors["y"] = TensorType((1, 8, 3, 3), DType.I8)
    window = {"strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1), "group": 1}
    clip = {"out_zp": 0, "lo": -128, "hi": 127}
    conv = {**window, **clip, "x_zp": 0, "w_zp": 0, "out": "i8"}
    add = {**clip, "a_zp": 0, "b_zp": 0, "a_scale": 1.0, "b_scale": 1.0, "out_scale": 1.0}
    pool = {"kernel": (2, 2), "strides": (2, 2), "pads": (0,) * 4, "dilations": (1, 1)}
    nodes = (
        Node("conv", "conv", ("x", "w", "b", "m"), ("c",), conv, "conv"),
        Node("qadd", "add", ("c", "x"), ("s",), add, "add"),
        Node("maxpool", "pool", ("s",), ("y",), pool, "pool"),
    )
    ports = [Port(name, "int8", tensors[name].shape, None, 0) for name in ("x", "y")]
    return Graph("small", (ports[0],), (ports[1],), tensors, constants, nodes)


def test_unknown_workload_names_a_near_one() -> None:
    with pytest.raises(FactError, match=r"did you mean .*llama-2-70b"):
        load_workload("llama2-70b")


def test_context_is_for_decoders() -> None:
    with pytest.raises(FactError, match="context = 100 applies to decoders only"):
        load_workload("resnet50", 100)


def test_context_must_leave_a_prompt() -> None:
    with pytest.raises(FactError, match="leaves no prompt"):
        load_workload("llama-2-70b", 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name =", "not valid TOML"),
        ('name = "x"', "work is missing"),
        ('work = "weaving"', "work = 'weaving'; choose convolution"),
    ],
)
def test_broken_file_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(FactError, match=message):
        parse_workload("x", text)


def test_the_three_named_workloads_are_there() -> None:
    assert {"resnet50", "bert-large", "llama-2-70b"} <= set(workload_ids())


@pytest.mark.full
def test_stored_layers_of_resnet50_are_those_of_the_zoos_graph() -> None:
    model = load("resnet50")
    proto = quantise_onnx(load_model(model.onnx_bytes), list(model.calibration()))
    imported = from_graph(import_onnx(proto), "resnet50").phases[0].layers
    stored = load_workload("resnet50").phases[0].layers
    numbers = [[(x.ops, x.weights, x.activations) for x in some] for some in (imported, stored)]
    assert numbers[0] == numbers[1]
