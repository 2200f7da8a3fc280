"""`Assumptions`: what a price rests on besides silicon, and what running a server costs.

In: `assumptions.toml`, or a TOML of the user's that replaces some of its entries. Out: figures by
name. All of them are assumptions unless their source says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from jiriki.cost.yields import YieldModel
from jiriki.products.errors import FactError
from jiriki.products.figure import Figure
from jiriki.products.range import Range
from jiriki.products.table import Table, load_table

_CHIP = {"units": "1", "test_per_die": "USD", "assembly_yield": "1"}
_PACKAGE = {"fixed": "USD", "per_area": "USD/mm2"}
_BOARD = {"fixed": "USD", "per_watt": "USD/W"}
_SERVER = {
    "host_price": "USD", "host_power": "W", "life": "s", "upkeep": "1", "electricity": "USD/J",
    "pue": "1", "utilisation": "1", "idle_power": "1",
}  # fmt: skip
_SHARES = ("assembly_yield", "server.utilisation", "server.idle_power")


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Figures by name (`server.life`, `package.flip-chip.fixed`), and two choices."""

    figures: Mapping[str, Figure]
    yield_model: YieldModel
    chips_per_server: int

    def __getitem__(self, name: str) -> Range:
        if name not in self.figures:
            known = ", ".join(self.figures)
            raise FactError(f"assumption {name!r} is not known; known are {known}")
        return Range.of(self.figures[name])


def load_assumptions(path: Path | None = None) -> Assumptions:
    """Read a user's file; what it leaves out, or all without a path, is as in the package.

    Raises FactError.
    """
    if path is None:
        return _packaged()
    return _assumptions(load_table(path, f"assumptions {path}").over(_package_table()))


@cache
def _packaged() -> Assumptions:
    return _assumptions(_package_table())


def _package_table() -> Table:
    return load_table(resources.files("jiriki.cost") / "assumptions.toml", "assumptions.toml")


def _assumptions(table: Table) -> Assumptions:
    figures = table.figures(_CHIP)
    packages = table.inner("package").parts("package")
    parts = {f"package.{name}": (part, _PACKAGE) for name, part in packages.items()}
    parts |= {"board": (table.inner("board"), _BOARD)}
    server = table.inner("server")
    chips = server.whole("chips", 1)
    parts |= {"server": (server, _SERVER)}
    for name, (part, units) in parts.items():
        figures |= {f"{name}.{key}": figure for key, figure in part.figures(units).items()}
        part.close()
    models = tuple(model.value for model in YieldModel)
    model = YieldModel(table.choice("yield_model", models))
    table.close()
    _check(figures, table.where)
    return Assumptions(figures, model, chips)


def _check(figures: Mapping[str, Figure], where: str) -> None:
    for name in _SHARES:
        if figures[name].high > 1:
            raise FactError(f"{where}: {name} = {figures[name].high} is a share; at most 1")
    pue = figures["server.pue"].low
    if pue < 1:
        raise FactError(f"{where}: server.pue = {pue} is below 1, less than its servers take")
