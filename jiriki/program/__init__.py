"""Program, Run, Session and Engine: the documents between the compiler and the engines."""

from jiriki.program.errors import ProgramError
from jiriki.program.program import Binding, Entry, Note, Parameter, Program, Segment, State
from jiriki.program.run import Event, Run, UnitCounters
from jiriki.program.session import Engine, Placement, Session

__all__ = [
    "Binding", "Engine", "Entry", "Event", "Note", "Parameter", "Placement", "Program",
    "ProgramError", "Run", "Segment", "Session", "State", "UnitCounters",
]  # fmt: skip
