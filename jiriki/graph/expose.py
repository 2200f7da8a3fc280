"""Every tensor an output: the same network with nothing left inside, to compare layer by layer.

In: a Graph. Out: a Graph whose outputs are the results of all its nodes, in their order; those that
were outputs keep their format, the others leave as they are inside (int8 codes, float32).
"""

from dataclasses import replace

from jiriki.graph.graph import Graph, Port


def with_every_tensor(graph: Graph) -> Graph:
    """Return the graph with the result of every node among its outputs."""
    known = {port.name: port for port in graph.outputs}
    outputs = [known.pop(name, None) or _port(graph, name) for name in _results(graph)]
    return replace(graph, outputs=(*outputs, *known.values()))  # known: inputs that are outputs


def _results(graph: Graph) -> list[str]:
    return [name for node in graph.nodes for name in node.outputs]


def _port(graph: Graph, name: str) -> Port:
    type_ = graph.tensors[name]
    return Port(name, type_.dtype.numpy.name, type_.shape, None, 0)
