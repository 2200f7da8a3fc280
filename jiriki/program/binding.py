"""Binding: the host's arrays to and from their place and form in DRAM.

In: a `Binding` (it states the blocked form), the word size ku, and an array or a DRAM image.
Out: the bytes, or the array. Conversion follows ONNX QuantizeLinear and DequantizeLinear in
float32: clamp(rne(x / scale) + zero_point), and (q - zero_point) * scale.
"""

from math import prod

import numpy as np
from numpy.typing import NDArray

from jiriki.program.errors import ProgramError
from jiriki.program.program import Binding


def check_binding(binding: Binding) -> None:
    """Check that conversion is defined. Raises ProgramError that names the field."""
    rank, kind = len(binding.shape), np.dtype(binding.dtype).kind
    for holds, what in (
        (all(size >= 0 for size in binding.shape), f"shape {binding.shape} has a negative size"),
        (
            binding.axis is None or -rank <= binding.axis < rank,
            f"axis {binding.axis} is none of its {rank}",
        ),
        (kind in "biuf", f"type {binding.dtype} is no number"),
        (np.dtype(binding.external).kind in "biuf", f"type {binding.external} is no number"),
        (
            binding.scale is None or (np.isfinite(binding.scale) and binding.scale > 0),
            f"scale {binding.scale} is not positive and finite",
        ),
        (binding.scale is None or kind in "iu", f"a scale needs integers, not {binding.dtype}"),
    ):
        if not holds:
            raise ProgramError(f"binding {binding.name}: {what}; correct it")


def check_array(binding: Binding, array: NDArray) -> None:
    """Check a host array. Raises ProgramError for another shape or type than the binding's."""
    if tuple(array.shape) != tuple(binding.shape):
        raise ProgramError(
            f"input {binding.name}: shape {array.shape} is not {tuple(binding.shape)}; reshape it"
        )
    if array.dtype != np.dtype(binding.external):
        raise ProgramError(
            f"input {binding.name}: type {array.dtype} is not {binding.external}; convert it"
        )


def binding_bytes(binding: Binding, ku: int) -> int:
    """Return the bytes that the blocked form occupies."""
    return prod(_blocked_shape(binding, ku)) * np.dtype(binding.dtype).itemsize


def pack(binding: Binding, array: NDArray, ku: int) -> NDArray[np.uint8]:
    """Return the DRAM bytes of a host array. Raises ProgramError for a wrong shape or type."""
    array = np.asarray(array)
    check_array(binding, array)
    inner = _to_internal(binding, array)
    channels_first = _channels_first(inner, binding.axis)  # [channels, rest]
    groups, *rest, _ = _blocked_shape(binding, ku)
    padded = np.zeros((groups * ku, prod(rest)), inner.dtype)
    padded[: channels_first.shape[0]] = channels_first
    blocked = padded.reshape(groups, ku, prod(rest)).transpose(0, 2, 1)
    return np.ascontiguousarray(blocked).reshape(-1).view(np.uint8)


def unpack(binding: Binding, data: NDArray[np.uint8], ku: int) -> NDArray:
    """Return the host array that the DRAM bytes `data` (exactly its extent) hold."""
    groups, *rest, _ = _blocked_shape(binding, ku)
    blocked = data.view(np.dtype(binding.dtype)).reshape(groups, prod(rest), ku)
    channels = 1 if binding.axis is None else binding.shape[binding.axis]
    flat = blocked.transpose(0, 2, 1).reshape(groups * ku, prod(rest))[:channels]
    if binding.axis is None:
        inner = flat.reshape(binding.shape)
    else:
        inner = np.moveaxis(flat.reshape(channels, *rest), 0, binding.axis)
    packed = np.ascontiguousarray(inner).reshape(binding.shape)  # a scalar would become a vector
    return _to_external(binding, packed)


def _blocked_shape(binding: Binding, ku: int) -> tuple[int, ...]:
    if binding.axis is None:
        return (1, *binding.shape, ku)
    rest = [n for i, n in enumerate(binding.shape) if i != binding.axis % len(binding.shape)]
    return (-(-binding.shape[binding.axis] // ku), *rest, ku)


def _channels_first(array: NDArray, axis: int | None) -> NDArray:
    if axis is None:
        return array.reshape(1, -1)
    first = np.moveaxis(array, axis, 0)
    return first.reshape(first.shape[0], prod(first.shape[1:]))


def _to_internal(binding: Binding, array: NDArray) -> NDArray:
    kind = np.dtype(binding.dtype)
    if binding.scale is not None:
        limits = np.iinfo(kind)
        with np.errstate(all="ignore"):
            q = np.rint(array.astype(np.float32) / np.float32(binding.scale))
        q = np.where(np.isnan(q), np.float32(0), q)
        low, high = limits.min - binding.zero_point, limits.max - binding.zero_point
        return (np.clip(q, np.float32(low), np.float32(high)).astype(np.int64)
                + binding.zero_point).astype(kind)  # fmt: skip
    if array.dtype == np.uint8 and kind == np.int8:
        return (array.astype(np.int16) - binding.zero_point).astype(np.int8)
    if array.dtype == np.int64 and kind == np.int32:
        _need_int32(binding, array)
    return array.astype(kind, copy=False)


def _need_int32(binding: Binding, array: NDArray) -> None:
    """Raise ProgramError unless every integer fits the int32 that the chip holds it in."""
    limits = np.iinfo(np.int32)
    outside = array[(array < limits.min) | (array > limits.max)]
    if outside.size:
        raise ProgramError(
            f"input {binding.name}: {outside.flat[0]} exceeds int32, in which the chip holds "
            "int64 inputs; give smaller integers, or make the input float32"
        )


def _to_external(binding: Binding, inner: NDArray) -> NDArray:
    kind = np.dtype(binding.external)
    if binding.scale is not None:
        wide = inner.astype(np.int32) - np.int32(binding.zero_point)
        return (wide.astype(np.float32) * np.float32(binding.scale)).astype(kind)
    if kind == np.uint8 and inner.dtype == np.int8:
        return (inner.astype(np.int16) + binding.zero_point).astype(np.uint8)
    return inner.astype(kind, copy=False)
