"""Engines by name: ours, and those that installed packages offer.

Concept: anything that keeps the Engine protocol of `program/` runs under a name. A package offers
one through the entry point group `jiriki.engines`: name -> class or function taking a ChipConfig.
In: a name and a chip. Out: an Engine; EngineError when there is none of that name.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from jiriki.chip import ChipConfig
from jiriki.errors import JirikiError
from jiriki.extras import how_to_install
from jiriki.program import Engine

GROUP = "jiriki.engines"

BUILT_IN = {
    "functional": "jiriki.sim.functional:FunctionalEngine",
    "timing": "jiriki.sim.timing:TimingEngine",
    "rtl": "jiriki.rtl.engine:GatesEngine",
    "board": "jiriki.rtl.board.engine:BoardEngine",
}
ATTACHED = {"board"}  # those that are reached through a port


class EngineError(JirikiError):
    """An engine that is not installed, or a plug-in that does not load."""


def engine_names() -> tuple[str, ...]:
    """Return every name, ours first, then plug-ins in alphabetical order."""
    return (*BUILT_IN, *sorted(_plug_ins().keys() - BUILT_IN.keys()))


def load_engine(name: str, chip: ChipConfig, port: str | None = None) -> Engine:
    """Return the engine of this name for a chip. A plug-in cannot take a name of ours.

    - `name`: `"functional"`, `"timing"`, `"rtl"`, `"board"`, or that of an installed plug-in.
    - `chip`: what `jiriki.load_chip` returned.
    - `port`: where an attached engine is, such as `"/dev/ttyUSB0"`.

    `Engine.load(program)` gives a `Session`, `Engine.run(program, inputs)` a `Run`. Raises
    EngineError for an unknown name, for a plug-in that cannot be imported, or for a port of an
    engine that has none.

    >>> import jiriki
    >>> engine = jiriki.load_engine("functional", jiriki.load_chip("nano"))
    >>> engine.load(jiriki.compile("digits", chip="nano"))
    <Session functional; digits; states none>
    """
    if port is not None and name not in ATTACHED:
        raise EngineError(f"engine {name!r} has no port; leave --port out or use --engine board")
    if name in ATTACHED:
        return _ours(name)(chip, port)
    if name in BUILT_IN:
        return _ours(name)(chip)
    plug_in = _plug_ins().get(name)
    if plug_in is None:
        raise EngineError(f"engine {name!r} is not installed; choose {', '.join(engine_names())}")
    return _import(name, plug_in)(chip)


def _ours(name: str) -> Callable[..., Engine]:
    module, _, attribute = BUILT_IN[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("jiriki"):
            raise
        raise EngineError(
            f"engine {name!r} needs {error.name}; install with: {how_to_install(name)}"
        ) from None


def _import(name: str, plug_in: EntryPoint) -> Callable[[ChipConfig], Engine]:
    try:
        return plug_in.load()
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"engine {name!r}: {plug_in.value} cannot be imported ({error}); reinstall its package"
        ) from None


def _plug_ins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
