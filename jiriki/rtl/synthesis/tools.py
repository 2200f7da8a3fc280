"""Tools as processes with a limit of time.

In: a command. Out: what it said, in a file; on the limit it and all that it started are ended.
"""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def run(command: Sequence[str], work: Path, log: Path, limit_s: float) -> int | None:
    """Run a tool in the folder `work`; return its exit code, None when the limit ended it."""
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=work, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.poll() is None:
                _end(process.pid)
                process.wait()


def _end(pid: int) -> None:
    """End a process after all that it started (yosys starts ABC, which would go on alone)."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(OSError):
        for child in children.read_text().split():
            _end(int(child))
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
