"""Accuracy against exact values: figures that are known by hand."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
import pytest

from jiriki.numerics.accuracy import SQNR_BOUND_DB, Accuracy, measure


def accuracy(computed: list[float], exact: list[float]) -> Accuracy:
    return measure([(np.array(computed, np.float32), np.array(exact, np.float32))])


def test_noise_of_a_hundredth_of_the_power_is_20_db():
    measured = accuracy([10, 1], [10, 0])  # signal 100, noise 1
    assert measured.sqnr_db == pytest.approx(20)
    assert measured.cosine == pytest.approx(10 / sqrt(101))
    assert (measured.worst_error, measured.largest, measured.elements) == (1, 10, 2)


def test_noise_of_a_tenth_of_the_power_is_the_bound():
    assert accuracy([3, 1], [3, 0]).sqnr_db < SQNR_BOUND_DB < accuracy([4, 1], [4, 0]).sqnr_db
    assert accuracy([3, 1], [3, 0]).poor and not accuracy([4, 1], [4, 0]).poor


def test_several_arrays_are_one_vector():
    parts = [(np.array([3.0]), np.array([3.0])), (np.array([[4, 1]]), np.array([[4, 0]]))]
    assert measure(parts).sqnr_db == pytest.approx(10 * np.log10(25))


def test_equal_values_have_no_noise():
    measured = accuracy([0, nan, inf], [0, nan, inf])
    assert (measured.sqnr_db, measured.cosine, measured.worst_error) == (inf, 1, 0)
    assert str(measured) == "equal in every element" and not measured.poor


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_value_that_is_none_leaves_no_accuracy(value):
    measured = accuracy([1, value], [1, 2])
    assert (measured.sqnr_db, measured.cosine, measured.worst_error) == (
        -inf,
        0,
        inf,
    ) and measured.poor


def test_noise_without_signal_leaves_no_accuracy():
    measured = accuracy([1, 0], [0, 0])
    assert (measured.sqnr_db, measured.cosine, measured.worst_error) == (-inf, 0, 1)


def test_silence_without_noise_is_exact():
    assert accuracy([0], [0]).cosine == 1


def test_large_integers_are_compared_beyond_32_bits():
    measured = measure([(np.array([2**40 + 1]), np.array([2**40]))])
    assert measured.worst_error == 1


def test_wrong_sign_is_cosine_minus_one():
    assert accuracy([-1, -2], [1, 2]).cosine == pytest.approx(-1)
