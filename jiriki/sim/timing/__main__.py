"""`python -m jiriki.sim.timing`: compile the kernel into the disk cache, as an installer may."""

from jiriki.sim.timing.compiled import compiled

compiled()
