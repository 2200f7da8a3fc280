"""Jiriki: an open inference chip, from a trained model to its exact answer and its true cycles.

    import jiriki

    program = jiriki.compile("small.onnx", chip="nano", calibration=samples)
    run = jiriki.run(program, inputs)
    jiriki.profile(program)

This is the face of the package; docs/reference/api.md says what each name takes and returns. A name
is looked up in its room at its first use, so that `import jiriki` itself loads no room.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from jiriki.errors import JirikiError
from jiriki.version import __version__ as __version__

if TYPE_CHECKING:
    from jiriki.api import compile, load_model, profile, run, verify
    from jiriki.chip import load_chip
    from jiriki.engines import load_engine
    from jiriki.program import Program, Run, Session


__all__ = [
    "JirikiError", "Program", "Run", "Session", "compile", "load_chip", "load_engine", "load_model",
    "profile", "run", "verify",
]  # fmt: skip

_ROOMS = {
    "compile": "jiriki.api",
    "load_model": "jiriki.api",
    "profile": "jiriki.api",
    "run": "jiriki.api",
    "verify": "jiriki.api",
    "load_chip": "jiriki.chip",
    "load_engine": "jiriki.engines",
    "Program": "jiriki.program",
    "Run": "jiriki.program",
    "Session": "jiriki.program",
}

if not TYPE_CHECKING:  # a type checker reads the imports above and refuses other names

    def __getattr__(name: str) -> object:
        """Import a name of the face from its room. Raises AttributeError for another name."""
        if name not in _ROOMS:
            raise AttributeError(f"module 'jiriki' has no attribute {name!r}")
        globals()[name] = getattr(import_module(_ROOMS[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    """List the names of the face before their first use too."""
    return sorted({*globals(), *__all__})
