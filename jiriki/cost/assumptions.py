"""`Assumptions`: what a price rests on besides silicon, and what running a server costs.

In: `assumptions.toml`, or a TOML of the user's that replaces some of its entries. Out: figures by
name. All of them are assumptions unless their source says otherwise.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jiriki.cost.yields import YieldModel
from jiriki.products.errors import CostError
from jiriki.products.figure import Figure, read_figure
from jiriki.products.range import Range

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
            raise CostError(
                f"assumption {name!r} is not known; known are {', '.join(self.figures)}"
            )
        return Range.of(self.figures[name])


@cache
def assumptions() -> Assumptions:
    """Return the assumptions that come with the package."""
    return parse_assumptions("assumptions.toml", _table())


def load_assumptions(path: Path) -> Assumptions:
    """Read a user's file; what it leaves out is as in the package. Raises CostError."""
    try:
        own = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CostError(f"assumptions {path}: {error.strerror}; name a readable file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CostError(f"assumptions {path}: not valid TOML ({error}); mend the file") from None
    return parse_assumptions(str(path), _merged(_table(), own))


def parse_assumptions(where: str, table: Mapping[str, Any]) -> Assumptions:
    """Check a full table. Raises CostError."""
    kinds = dict(_CHIP)
    for name in table.get("package", {}):
        kinds |= {f"package.{name}.{key}": unit for key, unit in _PACKAGE.items()}
    kinds |= {f"board.{key}": unit for key, unit in _BOARD.items()}
    kinds |= {f"server.{key}": unit for key, unit in _SERVER.items()}
    flat = _flat(table)
    known = {*kinds, "yield_model", "server.chips"}
    for key in sorted(flat.keys() - known):
        raise CostError(f"{where}: unknown key {key!r}; known are {', '.join(sorted(known))}")
    figures = {name: read_figure(flat, name, unit, where) for name, unit in kinds.items()}
    for name in figures:
        _check(name, figures[name], where)
    return Assumptions(figures, _model(flat, where), _chips(flat, where))


def _check(name: str, figure: Figure, where: str) -> None:
    if figure.low <= 0:
        raise CostError(f"{where}: {name} = {figure.low} must be above 0; correct it")
    if name in _SHARES and figure.high > 1:
        raise CostError(f"{where}: {name} = {figure.high} is a share; at most 1")
    if name == "server.pue" and figure.low < 1:
        raise CostError(f"{where}: {name} = {figure.low} is below 1, less than its servers take")


def _model(flat: Mapping[str, Any], where: str) -> YieldModel:
    try:
        return YieldModel(flat.get("yield_model"))
    except ValueError:
        names = ", ".join(model.value for model in YieldModel)
        raise CostError(
            f"{where}: yield_model = {flat.get('yield_model')!r} is not known; choose {names}"
        ) from None


def _chips(flat: Mapping[str, Any], where: str) -> int:
    chips = flat.get("server.chips")
    if type(chips) is not int or chips < 1:
        raise CostError(f"{where}: server.chips = {chips!r} must be a whole number of at least 1")
    return chips


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return dotted key -> figure or plain value."""
    flat = {}
    for key, value in table.items():
        if isinstance(value, dict) and not {"value", "low", "unit"} & value.keys():
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in own.items():
        nested = isinstance(value, dict) and "unit" not in value and isinstance(out.get(key), dict)
        out[key] = _merged(out[key], value) if nested else value
    return out


def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files("jiriki.cost") / "assumptions.toml").read_text("utf-8"))
