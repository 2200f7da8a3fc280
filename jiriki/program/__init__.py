"""Program, Run and the Engine protocol: the documents between the compiler and the engines."""

from jiriki.program.errors import ProgramError
from jiriki.program.program import Binding, Note, Program, Segment
from jiriki.program.run import Engine, Event, Run, UnitCounters

__all__ = [
    "Binding", "Engine", "Event", "Note", "Program", "ProgramError", "Run", "Segment",
    "UnitCounters",
]  # fmt: skip
