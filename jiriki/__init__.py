"""Jiriki: a general-purpose inference chip, its compiler, simulators and gates."""

__version__ = "0.1.0"
