"""The compiled kernel, kept on disk and renewed when any of its sources changes.

In: nothing. Out: `compiled()`, the kernel as a function. Numba's disk cache watches only the file
of the cached function. So the cached entry point carries a digest of all the kernel's files in its
closure, which is part of the cache key. `python -m jiriki.sim.timing` fills the cache.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import resources

import numpy as np
from numba import njit

from jiriki.sim.timing.kernel import simulate
from jiriki.sim.timing.layout import Bits, Ints

_SOURCES = ("layout", "access", "matrix", "dma", "vector", "kernel")
_SIGNATURE = "(int64[::1], uint64[::1])"


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

    return njit(_SIGNATURE, cache=True)(run)
