"""A Graph's demands as a Workload: what its layers compute and move.

In: a Graph of the compiler's own operators. Out: a Workload of one phase. A node without products
that follows a layer with products (a residual add, an activation) is taken as its epilogue: only
what it reads besides is added, as every fusing compiler does.
"""

from math import prod

from jiriki.graph import Graph, Node
from jiriki.graph.macs import macs_of
from jiriki.predict.workload import Layer, Phase, Work, Workload

_PLUMBING = {"reshape", "quantize", "dequantize"}  # moves nothing that a layer does not


def from_graph(graph: Graph, id: str, unit: str = "images") -> Workload:
    """Return the demands of one sample: the graph's batch is divided out."""
    batch = graph.inputs[0].shape[0]
    layers = tuple(_layers(graph, batch))
    phase = Phase("network", layers)
    return Workload(
        id=id,
        name=graph.name,
        unit=unit,
        work=Work.CONVOLUTION,
        phases=(phase,),
        units=1.0,
        formats=("int8", "fp8", "fp16"),
        activation_bytes=0,
        stored_weights=phase.weights,
        cache_kept=0.0,
        exchanged=0.0,
        target_s=None,
        source=f"graph {graph.name}, hash {graph.content_hash()}",
    )


def _layers(graph: Graph, batch: int) -> list[Layer]:
    """Return the layers in order, epilogues folded into the layer that they follow."""
    uses: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.inputs:
            uses[name] = uses.get(name, 0) + 1
    layers: list[Layer] = []
    made_by: dict[str, int] = {}  # tensor -> index of the layer whose epilogue may take more
    for node in graph.nodes:
        if node.op in _PLUMBING:
            continue
        host = _host(node, uses, made_by) if macs_of(graph, node) == 0 else None
        if host is None:
            made_by[node.outputs[0]] = len(layers)
            layers.append(_layer(graph, node, batch))
        else:
            layer = layers[made_by[host]]
            extra = sum(_elements(graph, name) for name in node.inputs if name != host) / batch
            made_by[node.outputs[0]] = made_by[host]
            layers[made_by[host]] = Layer(
                layer.name, layer.ops, layer.weights, layer.activations + extra
            )
    return layers


def _host(node: Node, uses: dict[str, int], made_by: dict[str, int]) -> str | None:
    """Return the input whose layer can take this node as its epilogue: the last one made."""
    if node.op in ("maxpool", "softmax") or "pool" in node.op:
        return None
    fitting = [name for name in node.inputs if name in made_by and uses[name] == 1]
    return max(fitting, key=lambda name: made_by[name], default=None)


def _layer(graph: Graph, node: Node, batch: int) -> Layer:
    constants = [name for name in node.inputs if name in graph.constants]
    weights = max((prod(graph.tensors[name].shape) for name in constants), default=0)
    read = sum(_elements(graph, name) for name in node.inputs)
    written = sum(graph.tensors[name].elements for name in node.outputs)
    ops = 2 * macs_of(graph, node) / batch
    return Layer(node.name, ops, weights if ops else 0, (read + written) / batch)


def _elements(graph: Graph, name: str) -> int:
    return 0 if name in graph.constants else graph.tensors[name].elements
