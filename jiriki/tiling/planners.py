"""The planner of every operation that the matrix unit's own planners do not take.

`PLANNERS[op](builder, node)` emits the tile operations of one unfused node.
"""

from collections.abc import Callable, Mapping

from jiriki.graph.graph import Node
from jiriki.tiling.builder import Builder
from jiriki.tiling.matrix import gemm, transpose_conv
from jiriki.tiling.moves import relayout
from jiriki.tiling.vector import f32 as vector_f32
from jiriki.tiling.vector import int8 as vector_int8
from jiriki.tiling.vector import pool, reduce

PLANNERS: Mapping[str, Callable[[Builder, Node], None]] = {
    **relayout.PLANNERS,
    **vector_int8.PLANNERS,
    **vector_f32.PLANNERS,
    **pool.PLANNERS,
    **reduce.PLANNERS,
    **gemm.PLANNERS,
    **transpose_conv.PLANNERS,
}
