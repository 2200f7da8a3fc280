"""Einsum against NumPy's, in float and on the chip."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.frontend import UnsupportedOperatorError, import_onnx, quantise_onnx
from jiriki.frontend.onnx.load import load_model
from jiriki.frontend.onnx.reference import run_plain
from jiriki.graph import evaluate
from tests.frontend.nets import model, node

f32 = np.float32
CASES = {
    "ik,jk->ij": [(2, 6), (3, 6)],
    "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)],
    "bhqd,bhkd->bhqk": [(1, 2, 5, 4), (1, 2, 6, 4)],
    "bqhd,bkhd->bhqk": [(1, 5, 2, 4), (1, 6, 2, 4)],
    "bhqk,bkhd->bqhd": [(1, 2, 5, 6), (1, 6, 2, 4)],
    "abc,cde->abde": [(2, 3, 4), (4, 5, 2)],
    "abcd,cdef->baef": [(2, 3, 4, 2), (4, 2, 5, 2)],
    "...ij,...jk": [(2, 1, 3, 4), (2, 5, 4, 2)],
    "...ij,jk->...ik": [(2, 3, 4), (4, 2)],
    "ij->ji": [(3, 4)],
    "ijk->k": [(3, 4, 2)],
    "ij->": [(3, 4)],
    "i,j->ij": [(3,), (4,)],
    "ij,ij->": [(3, 4), (3, 4)],
    "ij, jk, kl -> il": [(2, 3), (3, 4), (4, 5)],
    "ijm,jk->ik": [(2, 3, 2), (3, 4)],
    "bi,bj->bij": [(2, 3), (2, 4)],
    "ba,cd": [(2, 3), (4, 2)],
}


def einsum(equation: str, opset: int = 18):
    """Return a model of one Einsum and feeds for it."""
    shapes = {f"x{i}": shape for i, shape in enumerate(CASES[equation])}
    net = model([node("Einsum", list(shapes), equation=equation)], shapes, {}, opset)
    rng = np.random.default_rng(4)
    return net, {name: rng.standard_normal(s).astype(f32) for name, s in shapes.items()}


@pytest.mark.parametrize("opset", [12, 18])
@pytest.mark.parametrize("equation", CASES)
def test_the_rewritten_model_computes_what_numpy_does(equation, opset):
    net, feeds = einsum(equation, opset)
    written = load_model(net)
    assert "Einsum" not in {n.op_type for n in written.graph.node}
    wanted = np.einsum(equation, *feeds.values(), optimize=False)
    np.testing.assert_allclose(run_plain(written, feeds)[0], wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("equation", ["ik,jk->ij", "bqhd,bkhd->bhqk", "bhqk,bkhd->bqhd"])
def test_attention_written_as_einsum_is_quantised(equation):
    net, feeds = einsum(equation)
    got = evaluate(import_onnx(quantise_onnx(net, [feeds])), feeds)["y"]
    wanted = np.einsum(equation, *feeds.values())
    error = np.square(got - wanted).sum() / np.square(wanted).sum()
    assert 10 * np.log10(error) < -30


def test_a_diagonal_is_refused():
    net = model([node("Einsum", ["x"], equation="ii->i")], {"x": (4, 4)})
    with pytest.raises(UnsupportedOperatorError, match="Einsum"):
        import_onnx(net)
