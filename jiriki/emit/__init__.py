"""From TileProgram to Program: instructions, addresses, synchronisation."""

from jiriki.emit.emit import emit
from jiriki.emit.errors import EmitError, OutOfMemory

__all__ = ["EmitError", "OutOfMemory", "emit"]
