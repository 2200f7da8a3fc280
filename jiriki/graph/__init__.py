"""The tensor graph: op table, document, references and hardware-free passes."""

from jiriki.graph.builder import GraphBuilder
from jiriki.graph.errors import GraphError
from jiriki.graph.evaluate import evaluate, evaluate_tensors
from jiriki.graph.graph import Graph, Port
from jiriki.graph.op import Op
from jiriki.graph.ops import OPS
from jiriki.graph.tensor import Attr, DType, Node, TensorType
from jiriki.graph.text import parse_graph, print_graph

__all__ = [
    "OPS",
    "Attr",
    "DType",
    "Graph",
    "GraphBuilder",
    "GraphError",
    "Node",
    "Op",
    "Port",
    "TensorType",
    "evaluate",
    "evaluate_tensors",
    "parse_graph",
    "print_graph",
]
