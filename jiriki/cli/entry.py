"""The command `jiriki`: runs the app and turns every exception into one line and an exit code.

In: `sys.argv`. Out: the process's exit code. `--debug` shows the traceback as well.
"""

import json
import logging
import sys
import traceback

from jiriki.cli.app import app
from jiriki.errors import JirikiError

EXIT_USER = 1
EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells expect


def main() -> None:
    """Run the command line of this process and exit."""
    debug = "--debug" in sys.argv[1:]
    logging.getLogger().setLevel(logging.WARNING if debug else logging.ERROR)
    try:
        app(prog_name="jiriki")
    except JirikiError as error:
        _report(type(error).__name__, str(error), debug)
        sys.exit(EXIT_USER)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        what = f"internal error, {type(error).__name__}: {error}"
        hint = "" if debug else "; please report it with the output of `jiriki --debug ...`"
        _report("InternalError", what + hint, debug)
        sys.exit(EXIT_INTERNAL)


def _report(kind: str, message: str, debug: bool) -> None:
    """Print one line on standard error; with --json also one object on standard output."""
    line = " ".join(message.split())
    if debug:
        traceback.print_exc()
    print(f"jiriki: {line}", file=sys.stderr)
    if "--json" in sys.argv[1:]:
        print(json.dumps({"error": {"kind": kind, "message": line}}))
