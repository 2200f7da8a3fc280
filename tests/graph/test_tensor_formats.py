"""Every element type is a format of numerics, and every room derives from it."""

from __future__ import annotations

import numpy as np
import pytest

from jiriki.graph import tensor
from jiriki.isa import words
from jiriki.numerics import Format

HELD_IN = {
    "I8": "int8", "I16": "int16", "I32": "int32", "F32": "float32", "U8": "uint8", "I64": "int64",
    "BOOL": "bool", "F16": "float16",
}  # fmt: skip
STREAM_BYTES = {"I8": 1, "I16": 2, "I32": 4, "F32": 4, "BF16": 2, "ACC": 4}


@pytest.mark.parametrize("kind", tensor.DType)
def test_tensor_type_is_held_in_its_numpy_type(kind: tensor.DType) -> None:
    assert kind.numpy == np.dtype(HELD_IN[kind.name])
    assert tensor.DType.of(HELD_IN[kind.name]) is kind
    assert tensor.DType(kind.name.lower()) is kind


@pytest.mark.parametrize("kind", words.DType)
def test_stream_type_takes_its_bytes(kind: words.DType) -> None:
    assert kind.bytes == STREAM_BYTES[kind.name]


@pytest.mark.parametrize("form", Format)
def test_limits_are_those_of_numpy(form: Format) -> None:
    if form in (Format.INT4, Format.BF16, Format.BOOL):
        expected = {"int4": (-8, 7), "bf16": (-3.3895313892515355e38, 3.3895313892515355e38)}
        assert (form.min, form.max) == expected.get(form.value, (0, 1))
        return
    info = np.finfo(form.dtype) if form.is_float else np.iinfo(form.dtype)
    assert (form.min, form.max, form.bits) == (info.min, info.max, info.bits)
