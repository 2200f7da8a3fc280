"""Optional dependencies: what a command needs beyond the base install.

In: the name of an extra. Out: nothing, or a CliError that says what to install.
"""

from jiriki.cli.errors import CliError
from jiriki.extras import how_to_install, missing_modules


def need_extra(extra: str) -> None:
    """Refuse to go on without the packages of an extra."""
    if missing := missing_modules(extra):
        raise CliError(
            f"this command needs {' and '.join(missing)}; install with: {how_to_install(extra)}"
        )
