"""fp32 operands that find mistakes: all pairs of corners, of exponents, and random ones.

Random kinds: any bits, ordinary numbers, near-cancellation, exponents close together, ties of
rounding, numbers about to become whole, products about to be subnormal.
"""

import numpy as np
from numpy.typing import NDArray

U32 = NDArray[np.uint32]

_MAGNITUDES = (
    0, 1, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF, 0x01000000, 0x3EFFFFFF, 0x3F000000,
    0x3F000001, 0x3F7FFFFF, 0x3F800000, 0x3F800001, 0x3FC00000, 0x40000000, 0x40200000, 0x42FE0000,
    0x42FF0000, 0x43000000, 0x43008000, 0x47000000, 0x4AFFFFFF, 0x4B000000, 0x4B000001, 0x4B7FFFFF,
    0x4B800000, 0x4EFFFFFF, 0x4F000000, 0x4F000001, 0x4F800000, 0x7E800000, 0x7F000000, 0x7F7FFFFF,
    0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF,
)  # fmt: skip
CORNERS = np.array([m | s for m in _MAGNITUDES for s in (0, 1 << 31)], np.uint32)


def corner_pairs() -> tuple[U32, U32]:
    """Return every corner with every corner."""
    v, x = np.meshgrid(CORNERS, CORNERS)
    return v.ravel().copy(), x.ravel().copy()


def exponent_pairs(rng: np.random.Generator) -> tuple[U32, U32]:
    """Return every exponent with every exponent, for significands least, greatest and random."""
    v, x = (e.ravel().astype(np.uint32) << 23 for e in np.meshgrid(np.arange(256), np.arange(256)))
    signs = rng.integers(0, 2, (2, 3, v.size), dtype=np.uint32) << 31
    significands = rng.integers(0, 1 << 23, (2, 3, v.size), dtype=np.uint32)
    significands[:, 0], significands[:, 1] = 0, (1 << 23) - 1
    bits = np.stack([v, x])[:, None] | signs | significands
    return bits[0].ravel(), bits[1].ravel()


def random_pairs(rng: np.random.Generator, count: int) -> tuple[U32, U32]:
    """Return `count` pairs, a fifth of each kind, after the corners."""
    n = -(-count // 5)
    bits = rng.integers(0, 1 << 32, (5, 2, n), dtype=np.uint32)
    ordinary = (rng.standard_normal((2, n)) * 2.0 ** rng.integers(-20, 20, (2, n))).astype("f4")
    bits[1] = ordinary.view(np.uint32)
    bits[2, 1] = (bits[2, 0] ^ 0x80000000) + rng.integers(-4, 5, n).astype(np.uint32)
    gap = rng.integers(-27, 28, n)
    exponent = rng.integers(30, 220, n)
    bits[3] = (bits[3] & 0x807FFFFF) | (np.stack([exponent, exponent + gap]) << 23).astype("u4")
    halves = rng.integers(-(1 << 24), 1 << 24, n) * 2.0 ** rng.integers(-25, 2, n)
    bits[4, 0] = halves.astype(np.float32).view(np.uint32)
    small = rng.integers(0, 3, n)  # exponents of a product near 2^-126, or short significands
    bits[4, 1] = np.where(
        small == 0, (bits[4, 1] & 0x807FFFFF) | (((127 - exponent) % 255) << 23).astype("u4"),
        np.where(small == 1, bits[4, 1] & 0xFFFFF000, bits[4, 1]),
    )  # fmt: skip
    return bits[:, 0].ravel()[:count].copy(), bits[:, 1].ravel()[:count].copy()


def pairs(seed: int, count: int) -> tuple[U32, U32]:
    """Return the corners, all pairs of exponents and `count` random pairs."""
    rng = np.random.default_rng(seed)
    v, x = zip(corner_pairs(), exponent_pairs(rng), random_pairs(rng, count), strict=True)
    return np.concatenate(v), np.concatenate(x)
