"""Antialiased and cropping Resize against ONNX Runtime, over modes, sizes and coordinates."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from jiriki.frontend import UnsupportedOperatorError, import_onnx, reference_outputs
from jiriki.graph import evaluate
from tests.frontend.nets import model, node

f32 = np.float32
SIZES = [(4, 2), (9, 4), (16, 5), (5, 8), (3, 1)]
REGIONS = [(0.1, 0.2, 0.7, 0.9), (-0.3, 0.4, 0.8, 1.4), (0.9, 0.1, 0.2, 0.5)]


def assert_alike(shape, sizes, region=(), **attrs) -> None:
    """Ours and ONNX Runtime's result of one Resize of random data are equal up to rounding."""
    constants = {"r": np.array(region, f32), "z": np.array(sizes, np.int64)}
    net = model([node("Resize", ["x", "r", "", "z"], **attrs)], {"x": shape}, constants, 19)
    feeds = {"x": np.random.default_rng(10).standard_normal(shape).astype(f32)}
    ours, theirs = evaluate(import_onnx(net), feeds)["y"], reference_outputs(net, feeds)["y"]
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_antialias(mode, old, new):
    for coordinates in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"):
        for exclude in (0, 1):
            assert_alike(
                (1, 2, old, old + 1),
                (1, 2, new, new),
                mode=mode,
                antialias=1,
                exclude_outside=exclude,
                coordinate_transformation_mode=coordinates,
            )


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize(("mode", "antialias"), [("nearest", 0), ("linear", 0), ("cubic", 1)])
def test_crop(mode, antialias, region):
    for sizes in ((4, 5), (1, 3), (8, 9)):
        assert_alike(
            (1, 2, 6, 7),
            (1, 2, *sizes),
            (0, 0, *region[:2], 1, 1, *region[2:]),
            mode=mode,
            antialias=antialias,
            extrapolation_value=7.0,
            coordinate_transformation_mode="tf_crop_and_resize",
        )


def test_align_corners_spans_the_size_that_the_scale_gives():
    """By hand, as ONNX's reference: 4 * 0.6 = 2.4, so positions are 0 and 3 / 1.4."""
    constants = {"s": np.array((1, 1, 1, 0.6), f32)}
    operation = node(
        "Resize", ["x", "", "s"], mode="linear", coordinate_transformation_mode="align_corners"
    )
    net = import_onnx(model([operation], {"x": (1, 1, 1, 4)}, constants, 19))
    row = np.arange(4, dtype=f32).reshape(1, 1, 1, 4)
    resized = evaluate(net, {"x": row})["y"].reshape(-1)
    np.testing.assert_allclose(resized, [0, 3 / 1.4], rtol=1e-6)


def test_a_crop_that_onnxruntime_leaves_out_is_refused():
    region = (0, 0, *REGIONS[0][:2], 1, 1, *REGIONS[0][2:])
    constants = {"r": np.array(region, f32), "z": np.array((1, 2, 6, 5), np.int64)}
    operation = node(
        "Resize", ["x", "r", "", "z"], coordinate_transformation_mode="tf_crop_and_resize"
    )
    with pytest.raises(UnsupportedOperatorError, match="by Slice"):
        import_onnx(model([operation], {"x": (1, 2, 6, 7)}, constants, 19))


def test_antialiased_bytes_are_refused():
    operation = node("Resize", ["x", "", "", "z"], antialias=1, mode="linear")
    net = model([operation], {"x": (1, 2, 6, 7)}, {"z": np.array((1, 2, 3, 3), np.int64)}, 19)
    for value in (net.graph.input[0], net.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    with pytest.raises(UnsupportedOperatorError, match="antialias of bytes"):
        import_onnx(net)


NEAREST = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
COORDINATES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"]


@pytest.mark.parametrize("coordinates", [*COORDINATES, "half_pixel_symmetric"])
@pytest.mark.parametrize("nearest", NEAREST)
@pytest.mark.parametrize(
    ("old", "new"), [(14, 19), (14, 1), (22, 10), (21, 22), (36, 21), (39, 40), (40, 6), (35, 20)]
)
def test_nearest_picks_the_same_element(old, new, nearest, coordinates):
    """Sizes at which float32 division blurs a half, or an integer."""
    net = model(
        [
            node(
                "Resize",
                ["x", "", "", "z"],
                mode="nearest",
                nearest_mode=nearest,
                coordinate_transformation_mode=coordinates,
            )
        ],
        {"x": (1, 1, old)},
        {"z": np.array([1, 1, new])},
        19,
    )
    feeds = {"x": np.arange(old, dtype=f32).reshape(1, 1, old)}
    ours = evaluate(import_onnx(net), feeds)["y"]
    np.testing.assert_array_equal(ours, reference_outputs(net, feeds)["y"])


OLD_RESIZES = [("Resize", 10), ("Upsample", 9), ("Upsample", 7)]
GROWS = [(op, opset, s) for op, opset in OLD_RESIZES for s in (3.0, 1.6, 2.0)]


@pytest.mark.parametrize(
    ("op", "opset", "scale"), [*GROWS, ("Resize", 10, 0.6), ("Resize", 10, 0.5)]
)
def test_nearest_before_opset_11_floors_what_grows(op, opset, scale):
    """By hand: index i reads floor(i / scale), and from 10 on ceil where the axis shrinks."""
    attrs = {"scales": [1.0, 1.0, 1.0, scale]} if opset == 7 else {}
    inputs = "x" if opset == 7 else "xs"
    operation = node(op, inputs, mode="nearest", **attrs)
    net = model([operation], {"x": (1, 1, 1, 7)}, {"s": np.array([1, 1, 1, scale], f32)}, opset)
    net.ir_version = 5
    x = np.arange(7, dtype=f32).reshape(1, 1, 1, 7)
    places = np.arange(int(7 * scale)) / scale
    wanted = np.floor(places) if scale > 1 else np.ceil(places)
    got = evaluate(import_onnx(net), {"x": x})["y"].ravel()
    np.testing.assert_array_equal(got, wanted.astype(f32))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_to_nothing_is_empty(mode):
    operation = node(
        "Resize", ["x", "", "s"], mode=mode, coordinate_transformation_mode="asymmetric"
    )
    net = model([operation], {"x": (1, 2, 1, 6)}, {"s": np.array([1, 1, 0.5, 0.5], f32)}, 13)
    x = np.ones((1, 2, 1, 6), f32)
    assert evaluate(import_onnx(net), {"x": x})["y"].shape == (1, 2, 0, 3)
