"""Operators that have a training mode: BatchNormalization and Dropout, in both modes.

In: standard ONNX nodes. Out: element-wise operations; in training mode BatchNormalization also
reduces, and Dropout multiplies by a constant: its mask depends on the seed alone.

ONNX leaves Dropout's random numbers to the implementation. Here they are those of ONNX's own
reference (`onnx.reference`): NumPy's RandomState(seed).uniform over the input's shape, kept where
at least `ratio`. ONNX Runtime draws others, which also change from run to run.
"""

from __future__ import annotations

import numpy as np
import onnx

from jiriki.frontend.onnx.context import Context, Value, attribute, float_attribute, int_attribute
from jiriki.frontend.onnx.ops_float import finish, float_input, number, step
from jiriki.frontend.onnx.registry import takes

f32 = np.float32


# -- BatchNormalization --------------------------------------------------------------------


@takes("BatchNormalization")
def batch_normalization(context: Context, node: onnx.NodeProto) -> None:
    """scale and shift per channel, by the stored moments or, in training mode, the batch's own."""
    spatial = int_attribute(node, "spatial", 1)
    if _is_training(node, context.opset):
        if not spatial:
            raise context.unsupported(
                node, "training mode with spatial = 0 is not taken", "export it for inference"
            )
        _batch_moments(context, node)
        return
    x = context.value(node, 0)
    gamma, beta, mean, variance = (context.constant(node, i).astype(f32) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + f32(float_attribute(node, "epsilon", 1e-5)))
    shape = (-1, *[1] * (len(x.shape) - 2)) if spatial else x.shape[1:]
    base = node.output[0]
    factor = context.add_constant(f"{base}/scale", scale.reshape(shape))
    offset = context.add_constant(f"{base}/shift", (beta - mean * scale).reshape(shape))
    scaled = step(context, node, "mul", float_input(context, node), factor)
    finish(context, node, step(context, node, "add", scaled, offset))


def _is_training(node: onnx.NodeProto, opset: int) -> bool:
    """Tell the mode: an attribute from opset 14 on, before it the outputs behind the first."""
    if opset >= 14:
        return bool(int_attribute(node, "training_mode", 0))
    return any(node.output[1:])


def _batch_moments(context: Context, node: onnx.NodeProto) -> None:
    """Normalise over all axes but the channels; move the running moments toward the batch's."""
    x = float_input(context, node)
    rank = len(context.tensors[x].shape)
    axes = tuple(i for i in range(rank) if i != 1)
    mean = step(context, node, "reduce_mean", x, axes=axes, keepdims=1)
    centred = step(context, node, "sub", x, mean)
    square = step(context, node, "mul", centred, centred)
    variance = step(context, node, "reduce_mean", square, axes=axes, keepdims=1)
    epsilon = number(context, node, float_attribute(node, "epsilon", 1e-5))
    deviation = step(context, node, "sqrt", step(context, node, "add", variance, epsilon))
    scaled = step(context, node, "mul", _channels(context, node, 1, rank), centred)
    scaled = step(context, node, "div", scaled, deviation)
    finish(context, node, step(context, node, "add", scaled, _channels(context, node, 2, rank)))
    for index, moment in ((1, mean), (2, variance), (3, mean), (4, variance)):
        if index < len(node.output) and node.output[index]:
            if index < 3:
                _running(context, node, index, moment)
            else:  # before opset 14: the batch's own moments
                flat = step(
                    context, node, "reshape", moment, shape=(context.tensors[moment].shape[1],)
                )
                context.bind(node, flat, "float32", index)


def _running(context: Context, node: onnx.NodeProto, index: int, moment: str) -> None:
    """Bind output `index` to input * momentum + moment * (1 - momentum)."""
    momentum = f32(float_attribute(node, "momentum", 0.9))
    size = context.tensors[moment].shape[1]
    old = float_input(context, node, index + 2)
    decayed = step(context, node, "mul", old, number(context, node, float(momentum)))
    flat = step(context, node, "reshape", moment, shape=(size,))
    new = step(context, node, "mul", flat, number(context, node, float(f32(1) - momentum)))
    context.bind(node, step(context, node, "add", decayed, new), "float32", index)


def _channels(context: Context, node: onnx.NodeProto, index: int, rank: int) -> str:
    """Return a vector input so that it broadcasts along axis 1 of `rank` axes."""
    vector = float_input(context, node, index)
    size = context.tensors[vector].shape[0]
    return step(context, node, "reshape", vector, shape=(size, *[1] * (rank - 2)))


# -- Dropout -------------------------------------------------------------------------------


@takes("Dropout")
def dropout(context: Context, node: onnx.NodeProto) -> None:
    """Do nothing at inference; else zero what the seed's mask drops and scale the rest."""
    x = context.value(node, 0)
    ratio = _ratio(context, node)
    training = context.has(node, 2) and bool(context.constant(node, 2).any())
    keep = np.ones(x.shape, np.bool_)
    if training and ratio:
        keep = _kept(context, node, x.shape, ratio)
        factors = keep * (f32(1) / (f32(1) - f32(ratio)))
        factor = context.add_constant(f"{node.output[0]}/keep", factors.astype(f32))
        finish(context, node, step(context, node, "mul", float_input(context, node), factor))
    else:
        context.values[node.output[0]] = x
    if len(node.output) > 1 and node.output[1]:
        context.values[node.output[1]] = Value("bool", x.shape, array=keep)


def _ratio(context: Context, node: onnx.NodeProto) -> float:
    """Return the probability of dropping an element."""
    ratio = context.scalar(node, 1, 0.5)
    if not 0 <= ratio < 1:
        raise context.unsupported(node, f"ratio {ratio} is outside [0, 1)", "correct the model")
    return ratio


def _kept(
    context: Context, node: onnx.NodeProto, shape: tuple[int, ...], ratio: float
) -> np.ndarray:
    """Return which elements stay, drawn as ONNX's reference draws them."""
    seed = attribute(node, "seed")
    if not isinstance(seed, int) or not 0 <= seed < 1 << 32:
        raise context.unsupported(
            node,
            "training mode without a seed of 32 bits has no mask to compile",
            "give the node a seed, or export for inference",
        )
    return np.random.RandomState(seed).uniform(0, 1, shape) >= ratio
