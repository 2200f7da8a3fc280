"""`run` says how far the chip is from the float model, and warns below the bound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import jiriki as face
from tests.frontend.nets import f32, model, node, weights

Command = Callable[..., Any]


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """Return the file of y = x w; samples of ordinary size, and an input 100 times as large."""
    rng = np.random.default_rng(4)
    w = weights(rng, 8, 8)
    onnx.save(model([node("MatMul", ["x", "w"])], {"x": (4, 8)}, {"w": w}), tmp_path / "m.onnx")
    x = rng.standard_normal((3, 4, 8)).astype(f32)
    np.savez(tmp_path / "samples.npz", x=x)
    np.savez(tmp_path / "large.npz", x=100 * x[0])
    np.savez(tmp_path / "w.npz", w=w, x=x)
    return tmp_path / "m.onnx"


def run(jiriki: Command, path: Path, *options: object) -> Any:
    samples = path.parent / "samples.npz"
    return jiriki("run", path, "--chip", "nano", "--calibration", samples, *options)


def test_accuracy_is_that_of_the_outputs_against_float(jiriki: Command, product: Path) -> None:
    out = product.parent / "out.npz"
    done = run(jiriki, product, "--output", out, "--layers", "--json")
    stored, y = np.load(product.parent / "w.npz"), np.load(out)["y"].astype(np.float64)
    exact = stored["x"][0].astype(np.float64) @ stored["w"].astype(np.float64)
    answer = json.loads(done.out)
    of = answer["accuracy"]["outputs"]["y"]
    sqnr_db = 10 * np.log10((exact**2).sum() / ((y - exact) ** 2).sum())
    assert of["sqnr_db"] == pytest.approx(sqnr_db, rel=1e-4)
    assert of["worst_error"] == pytest.approx(np.abs(y - exact).max(), rel=1e-4)
    assert answer["accuracy"]["below_bound"] == [] and sqnr_db > 20
    (layer,) = answer["layer_accuracy"]
    assert layer["layer"] == "y" and layer["sqnr_db"] == pytest.approx(sqnr_db, abs=0.5)


def test_accuracy_below_the_bound_is_a_warning_that_names_the_layer(
    jiriki: Command, product: Path
) -> None:
    large = product.parent / "large.npz"
    done = run(jiriki, product, "--input", large)
    assert "warning: y below 10 dB" in " ".join(done.out.split())
    assert "--layers" in done.out
    done = run(jiriki, product, "--input", large, "--layers")
    assert "layer y loses most" in " ".join(done.out.split())


def test_layers_of_a_model_quantised_elsewhere_are_refused(jiriki: Command, folder: Path) -> None:
    done = jiriki("run", folder / "qdq.onnx", "--input", folder / "input.npz", "--layers")
    assert done.code == 1 and "was not quantised here" in done.err
    done = jiriki("run", folder / "qdq.onnx", "--input", folder / "input.npz", "--json")
    assert json.loads(done.out)["accuracy"] is None


def test_a_run_in_python_carries_the_accuracy(product: Path) -> None:
    loaded = face.load_model(product, calibration=product.parent / "samples.npz")
    ran = face.run(face.compile(loaded, chip="nano"), loaded.sample, against=loaded)
    assert ran.accuracy["y"].sqnr_db > 20


def test_verify_compares_the_gates_with_float(jiriki: Command, product: Path) -> None:
    samples = product.parent / "samples.npz"
    done = jiriki(
        "verify", product, "--chip", "nano", "--calibration", samples, "--layers", "--json"
    )
    stored = np.load(product.parent / "w.npz")
    exact = stored["x"][0].astype(np.float64) @ stored["w"].astype(np.float64)
    answer = json.loads(done.out)
    of = answer["accuracy"]["outputs"]["y"]
    half_steps = (np.ptp(exact) + np.ptp(stored["x"]) * np.abs(stored["w"]).sum(0).max()) / 255
    assert answer["agrees"] and answer["accuracy"]["below_bound"] == []
    assert 0 < of["worst_error"] < half_steps and of["sqnr_db"] > 20
    (layer,) = answer["layer_accuracy"]
    assert layer["sqnr_db"] == pytest.approx(of["sqnr_db"], abs=0.5)
    large = product.parent / "large.npz"
    done = jiriki("verify", product, "--chip", "nano", "--calibration", samples, "--input", large)
    assert "warning: y below 10 dB" in " ".join(done.out.split())
