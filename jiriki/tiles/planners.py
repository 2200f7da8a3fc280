"""The planner of every operation that the matrix unit's own planners do not take.

`PLANNERS[op](builder, node)` emits the tile operations of one unfused node.
"""

from collections.abc import Callable, Mapping

from jiriki.graph.graph import Node
from jiriki.tiles import (
    gemm,
    pool,
    reduce,
    relayout,
    transpose_conv,
    vector_f32,
    vector_int8,
)
from jiriki.tiles.builder import Builder

PLANNERS: Mapping[str, Callable[[Builder, Node], None]] = {
    **relayout.PLANNERS,
    **vector_int8.PLANNERS,
    **vector_f32.PLANNERS,
    **pool.PLANNERS,
    **reduce.PLANNERS,
    **gemm.PLANNERS,
    **transpose_conv.PLANNERS,
}

supports_resident: frozenset[str] = frozenset(PLANNERS)
