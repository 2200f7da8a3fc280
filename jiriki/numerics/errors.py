"""Error tree of Jiriki.

Concept: every refusal the toolkit makes is a `JirikiError`, so a caller needs one `except`.
In: the object, the rule it broke, the offending value and what to do, as one message.
Out: `JirikiError` (root, subclassed once per room) and `NumericsError` (this room).
"""

from __future__ import annotations


class JirikiError(Exception):
    """Root of every error raised on purpose by Jiriki."""


class NumericsError(JirikiError):
    """A value, format or table that the chip's arithmetic cannot represent."""
