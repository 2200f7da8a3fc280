"""Shared inputs of the numerics tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

SEED = 20260714


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator (the seed is SEED, printed on failure)."""
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


@pytest.fixture(scope="session")
def corner_bits() -> NDArray[np.uint32]:
    """Bit patterns on every edge of fp32: zeros, subnormals, limits, infinities, NaNs, ties."""
    magnitudes = [
        0x00000000, 0x00000001, 0x00400000, 0x007FFFFF, 0x00800000, 0x00800001, 0x00FFFFFF,
        0x01000000, 0x33800000, 0x3E99999A, 0x3F000000, 0x3F7FFFFF, 0x3F800000, 0x3F800001,
        0x3FC00000, 0x40490FDB, 0x4B000000, 0x4B7FFFFF, 0x4B800001, 0x4EFFFFFF, 0x4F000000,
        0x5F3504F3, 0x7EFFFFFF, 0x7F000000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000,
        0x7FFFFFFF,
    ]  # fmt: skip
    positive = np.array(magnitudes, dtype=np.uint32)
    return np.concatenate((positive, positive | np.uint32(0x80000000)))


@pytest.fixture(scope="session")
def exact() -> ModuleType:
    """The module exact_fp32.py beside this file: fp32 by exact fractions."""
    path = Path(__file__).with_name("exact_fp32.py")
    spec = importlib.util.spec_from_file_location("exact_fp32", path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
