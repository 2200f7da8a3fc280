"""The op table: every operation a Graph may hold, said once.

In: the op families (`ops_linear`, `ops_quant`, `ops_float`, `ops_move`).
Out: `OPS`, name -> `Op` (inputs, attributes, shape and type rule, NumPy reference).
References follow the contract of docs/numerics.md: int32 accumulation, float32 add and
mul without FMA, round half to even, saturation.
"""

from __future__ import annotations

from collections.abc import Mapping

from jiriki.graph.op import Op
from jiriki.graph.ops_float import FLOAT_OPS
from jiriki.graph.ops_linear import LINEAR_OPS
from jiriki.graph.ops_move import MOVE_OPS
from jiriki.graph.ops_quant import QUANT_OPS

OPS: Mapping[str, Op] = {op.name: op for op in (*LINEAR_OPS, *QUANT_OPS, *FLOAT_OPS, *MOVE_OPS)}
