"""One command of `jiriki` in this process, with its exit code, output, time and memory.

In: arguments. Out: a `Trial`; `fault` says what it did that no input may make it do.
"""

from __future__ import annotations

import contextlib
import io
import resource
import sys
import time
from dataclasses import dataclass

from jiriki.cli import main

MOST_SECONDS = 60.0  # of this process's own time, whatever else the machine does
MOST_BYTES = 2 << 30  # resident
ALLOWED_CODES = (0, 1, 2)


@dataclass(frozen=True)
class Trial:
    """What a command did; `peak_bytes`: the most this process ever held until its end."""

    code: int
    out: str
    err: str
    seconds: float
    peak_bytes: int

    @property
    def fault(self) -> str:
        """Say what is wrong with how the command ended; nothing when all is well."""
        if self.code not in ALLOWED_CODES:
            return f"exit code {self.code}: {self.err.strip()[-300:]}"
        if "Traceback" in self.err or "Traceback" in self.out:
            return "a traceback"
        if self.code == 1 and not self.err.startswith("jiriki: "):
            return f"no message: {self.err[:200]!r}"
        if self.code and self.err.count("\n") != 1:
            return f"{self.err.count(chr(10))} lines: {self.err[:300]!r}"
        if self.seconds > MOST_SECONDS:
            return f"{self.seconds:.0f} s"
        return ""


def try_command(arguments: tuple[str, ...]) -> Trial:
    """Run a command as the shell would; exceptions that leave it count as exit code 3."""
    out, err, began = io.StringIO(), io.StringIO(), time.process_time()
    before, sys.argv = sys.argv, ["jiriki", *arguments]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException as error:  # nothing may pass the entry point
        code = 3
        err.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.argv = before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = time.process_time() - began
    return Trial(code, out.getvalue(), err.getvalue(), seconds, peak)
