"""Weights less their zero point as parts that int8 holds."""

from __future__ import annotations

import numpy as np

from jiriki.tiling.matrix.conv import split_weights


def test_every_weight_is_the_sum_of_its_parts():
    w = np.arange(-255, 256, dtype=np.int16)
    np.testing.assert_array_equal(sum(p.astype(np.int16) for p in split_weights(w)), w)


def test_weights_of_int8_need_one_part():
    w = np.arange(-128, 128, dtype=np.int16)
    assert len(split_weights(w)) == 1
