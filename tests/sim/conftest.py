"""The small program that these tests share."""

from tests.small_program import code, make_program, program, weights

__all__ = ["code", "make_program", "program", "weights"]
