"""The compiled kernel, kept on disk and renewed when any of its sources changes.

In: nothing. Out: `compiled()`, the kernel as a function. Numba's disk cache watches only the file
of the cached function. So the cached entry point carries a digest of all the kernel's files in its
closure, which is part of the cache key. The cache lies beside the sources, or in the home folder
where those cannot be written, or nowhere. `python -m jiriki.sim.timing` fills it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numba import config as numba_config
from numba import njit

from jiriki.files import can_write, writable_folder
from jiriki.sim.timing.kernel import simulate
from jiriki.sim.timing.layout import Bits, Ints

_SOURCES = ("layout", "access", "matrix", "dma", "vector", "kernel")
_SIGNATURE = "(int64[::1], uint64[::1])"
_settings: Any = numba_config  # Numba gives this module its attributes at run time


@cache
def compiled() -> Callable[[np.ndarray, np.ndarray], None]:
    """Return the kernel, from the disk cache or compiled (half a minute) and put there."""
    folder = resources.files("jiriki.sim.timing")
    digest = sha256()
    for name in _SOURCES:
        digest.update((folder / f"{name}.py").read_bytes())
    stamp = digest.hexdigest()

    def run(m: Ints, b: Bits) -> None:
        _ = stamp
        simulate(m, b)

    with _cache_folder():
        try:
            return njit(_SIGNATURE, cache=True)(run)
        except (OSError, EOFError, UnpicklingError):  # a full disk, half a file
            return njit(_SIGNATURE)(run)


@contextmanager
def _cache_folder() -> Iterator[None]:
    """Have Numba keep what it compiles beside the sources or in our home folder, if we may."""
    beside = Path(str(resources.files("jiriki.sim.timing"))) / "__pycache__"
    was = _settings.CACHE_DIR
    if not was and not can_write(beside):
        _settings.CACHE_DIR = str(writable_folder("compiled"))
    try:
        yield
    finally:
        _settings.CACHE_DIR = was
