"""Which function takes which ONNX operator: one line per operator.

In: (domain, operator). Out: the handler, which reads the ONNX node and writes graph nodes.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx

from jiriki.frontend.onnx.context import Context

Handler = Callable[[Context, onnx.NodeProto], None]
HANDLERS: dict[tuple[str, str], Handler] = {}


def takes(*operators: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register the decorated function for these operators of the domain."""

    def register(handler: Handler) -> Handler:
        for operator in operators:
            key = (domain, operator)
            assert key not in HANDLERS, f"two handlers for {key}"
            HANDLERS[key] = handler
        return handler

    return register


def find_handler(node: onnx.NodeProto) -> Handler | None:
    """Return the handler of a node, or None."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return HANDLERS.get((domain, node.op_type))


def supported_operators() -> list[str]:
    """Return every operator that the import takes, `domain.` in front when not standard."""
    return sorted(f"{domain}.{op}" if domain else op for domain, op in HANDLERS)
