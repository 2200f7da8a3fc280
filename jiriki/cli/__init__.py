"""The command line: one thin command a room.

In: arguments. Out: text or one JSON object on standard output, everything else on standard error,
and an exit code: 0 done, 1 the user can mend it, 2 wrong usage, 3 a fault of ours.
"""

from jiriki.cli.entry import main

__all__ = ["main"]
