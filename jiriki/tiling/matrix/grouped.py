"""Weights of grouped convolutions as dense blocks that fill whole words, and corrected biases."""

import numpy as np


def weight_blocks(w: np.ndarray, group: int, ku: int) -> list[np.ndarray]:
    """Merge groups of w [o, c/group, kh, kw] until blocks fill whole words of ku channels.

    Returns block-diagonal weights, one a block, each [outputs, inputs, kh, kw].
    """
    outputs, per, kh, kw = w.shape
    each = outputs // group
    merge = next(
        m
        for m in range(1, group + 1)
        if group % m == 0 and (m == group or (m * per % ku == 0 and m * each % ku == 0))
    )
    blocks = []
    for start in range(0, group, merge):
        block = np.zeros((merge * each, merge * per, kh, kw), w.dtype)
        for j in range(merge):
            at = (start + j) * each
            block[j * each : (j + 1) * each, j * per : (j + 1) * per] = w[at : at + each]
        blocks.append(block)
    return blocks


def corrected_bias(bias: np.ndarray, w: np.ndarray, x_zp: int) -> np.ndarray:
    """Return bias - x_zp * sum(w) per output channel as int32 (wraps like the accumulator)."""
    sums = w.reshape(len(w), -1).sum(axis=1, dtype=np.int64)
    return (bias.astype(np.int64) - x_zp * sums).astype(np.int32)
