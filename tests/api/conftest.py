"""A small model in every form in which people hold one, and its program for `nano`."""

from __future__ import annotations

import numpy as np
import pytest

import jiriki
from jiriki.models import Model


@pytest.fixture(scope="session")
def digits() -> Model:
    return jiriki.load_model("digits")


@pytest.fixture(scope="session")
def program(digits: Model) -> jiriki.Program:
    return jiriki.compile(digits, chip="nano")


@pytest.fixture(scope="session")
def image(digits: Model) -> np.ndarray:
    """A handwritten digit, [1, 1, 8, 8] float32."""
    assert digits.zoo
    return digits.zoo.calibration()[0]["image"]
