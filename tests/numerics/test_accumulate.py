"""The longest exact int32 accumulation, against the worst case itself."""

from __future__ import annotations

import pytest

from jiriki.numerics import NumericsError, largest_exact_k


@pytest.mark.parametrize(
    ("a", "b", "start"), [(128, 128, 0), (255, 128, 0), (128, 8, 1 << 20), (1, 1, 2**31 - 1)]
)
def test_the_worst_sum_fits_at_k_and_not_at_k_plus_one(a: int, b: int, start: int) -> None:
    k = largest_exact_k(a, b, start)
    assert start + k * a * b <= 2**31 - 1 < start + (k + 1) * a * b


def test_int8_products_allow_131071() -> None:
    assert largest_exact_k(128, 128) == 131_071


def test_a_bias_beyond_int32_is_refused() -> None:
    with pytest.raises(NumericsError, match="start 2147483648"):
        largest_exact_k(128, 128, 2**31)
