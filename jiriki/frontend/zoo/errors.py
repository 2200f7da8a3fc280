"""Errors of the zoo.

Concept: everything that can go wrong between a model's name and its graph.
In: the package, archive or checkpoint at fault. Out: one-line messages naming it and the remedy.
"""

from __future__ import annotations

from jiriki.errors import JirikiError


class ZooError(JirikiError):
    """A model name or a request that the zoo cannot serve."""


class PackageError(ZooError):
    """A package that cannot be fetched, or is not the file that was pinned."""


class ArchiveError(ZooError):
    """A wheel or zip that is damaged or tries to reach outside itself."""


class CheckpointError(ZooError):
    """A weights file that is damaged or asks for anything but rebuilding tensors."""
