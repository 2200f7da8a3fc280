"""Errors of graph/: a document that breaks one of its own rules."""

from __future__ import annotations

from jiriki.errors import JirikiError


class GraphError(JirikiError):
    """A Graph, Node or text form breaks a rule; the message names which and what to do."""
