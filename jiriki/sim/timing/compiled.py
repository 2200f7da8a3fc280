"""The compiled kernel, kept on disk and renewed when any of its sources changes.

Numba's disk cache watches only the file of the cached function. So the cached entry point carries
a digest of all the kernel's files in its closure, which is part of the cache key.
"""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib import resources

from numba import njit

from jiriki.sim.timing.kernel import simulate
from jiriki.sim.timing.layout import Bits, Ints

_SOURCES = ("layout", "access", "matrix", "dma", "vector", "kernel")


@cache
def compiled() -> Callable[[Ints, Bits], None]:
    """Return the kernel; its first call compiles it or loads it from the disk cache."""
    folder = resources.files("jiriki.sim.timing")
    digest = sha256()
    for name in _SOURCES:
        digest.update((folder / f"{name}.py").read_bytes())
    stamp = digest.hexdigest()

    def run(m: Ints, b: Bits) -> None:
        _ = stamp
        simulate(m, b)

    return njit(cache=True)(run)
