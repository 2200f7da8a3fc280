"""The command `jiriki`: runs the app and turns every exception into one line and an exit code.

In: `sys.argv`. Out: the process's exit code. `--debug` shows the traceback as well.
"""

import logging
import sys
import traceback

import typer

from jiriki.cli.app import app
from jiriki.cli.screen import json_text
from jiriki.errors import JirikiError

EXIT_USER = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells expect

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer names only this kind of it


def main() -> None:
    """Run the command line of this process and exit."""
    debug = "--debug" in sys.argv[1:]
    logging.getLogger().setLevel(logging.WARNING if debug else logging.ERROR)
    try:
        sys.exit(app(prog_name="jiriki", standalone_mode=False))
    except JirikiError as error:
        _report(type(error).__name__, error.in_shell, debug)
        sys.exit(EXIT_USER)
    except UsageError as error:
        _report_usage(error, debug)
        sys.exit(EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        what = f"internal error, {type(error).__name__}: {error}"
        hint = "" if debug else "; please report it with the output of `jiriki --debug ...`"
        _report("InternalError", what + hint, debug)
        sys.exit(EXIT_INTERNAL)


def _report_usage(error: Exception, debug: bool) -> None:
    """Say what is wrong with the arguments; without any, the help has been printed."""
    message = str(error.format_message())  # type: ignore[attr-defined]
    if len(sys.argv) == 1 or not message:
        return
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "jiriki"
    _report("UsageError", f"{message.rstrip('.')}; see `{command} --help`", debug)


def _report(kind: str, message: str, debug: bool) -> None:
    """Print one line on standard error; with --json also one object on standard output."""
    line = " ".join(message.split())
    if debug:
        traceback.print_exc()
    print(f"jiriki: {line}", file=sys.stderr)
    if "--json" in sys.argv[1:]:
        print(json_text("error", {"error": {"kind": kind, "message": line}}))
