"""The descriptor registers of the MX queue, and its work joined with them."""

from typing import Any

from jiriki.isa.errors import IsaError
from jiriki.isa.fields import Handlers, Unit, positive
from jiriki.isa.matrix.instructions import Conv, Dw, Gemm, Gemv, Gstr, Ldw
from jiriki.isa.matrix.operations import ConvOp, DwOp, GemmOp, GemvOp, LdwOp
from jiriki.isa.windows import Wina, Winb, WindowRegisters

CONV_ACC_ROWS = 4  # accumulator rows a unit of CONV's field acc


class MatrixRegisters:
    """Window registers and the strides of GEMM."""

    def __init__(self) -> None:
        self._windows = WindowRegisters(Unit.MX)
        self._strides: dict[str, Any] | None = None
        self.handlers: Handlers = {
            Wina: self._windows.wina, Winb: self._windows.winb, Gstr: self._gstr,
            Gemm: self._gemm, Conv: self._conv, Ldw: self._ldw, Dw: self._dw, Gemv: self._gemv,
        }  # fmt: skip

    def _gstr(self, v: dict[str, int]) -> None:
        self._strides = Gstr.typed(v)

    def _gemm(self, v: dict[str, int]) -> GemmOp:
        if self._strides is None:
            raise IsaError("strides were never set; add a GSTR before it")
        for name in ("m", "steps", "n_tiles"):
            positive(name, v[name])
        return GemmOp(**Gemm.typed(v), **self._strides)

    def _conv(self, v: dict[str, int]) -> ConvOp:
        for name in ("p", "groups", "n_tiles"):
            positive(name, v[name])
        row = CONV_ACC_ROWS * v["acc"]
        window = self._windows.window(v["win"])
        return ConvOp(window=window, acc=row, **Conv.typed(v, "win", "acc"))

    def _ldw(self, v: dict[str, int]) -> LdwOp:
        positive("lines", v["lines"])
        return LdwOp(**Ldw.typed(v))

    def _dw(self, v: dict[str, int]) -> DwOp:
        for name in ("p", "tiles"):
            positive(name, v[name])
        return DwOp(window=self._windows.window(v["win"]), **Dw.typed(v, "win"))

    def _gemv(self, v: dict[str, int]) -> GemvOp:
        for name in ("steps", "n_tiles"):
            positive(name, v[name])
        return GemvOp(**Gemv.typed(v))
