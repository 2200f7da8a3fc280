"""The chips of a sweep: a base chip with some fields varied.

In: fields with their values, from the command line or a TOML. Out: one `Candidate` a combination:
a checked `ChipConfig`, or the rule that the combination breaks.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from math import prod
from pathlib import Path

from jiriki.chip import ChipConfig, ChipError
from jiriki.plan.errors import PlanError

Value = int | float | str
MOST_COMBINATIONS = 10_000
FIXED = ("name", "summary")
LARGEST_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination of values; chip is None where it breaks a rule, and `refused` says which."""

    values: Mapping[str, Value]
    chip: ChipConfig | None
    refused: str = ""


def parse_vary(texts: Sequence[str]) -> dict[str, tuple[Value, ...]]:
    """Parse `FIELD=V,V,...`, numbers or words. Raises PlanError."""
    grid: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not all(values.split(",")):
            raise PlanError(f"--vary {text}: write FIELD=V,V,... such as acc_rows=512,1024")
        if name in grid:
            raise PlanError(
                f"--vary {text}: field {name} is varied twice; list all its values once"
            )
        grid[name] = tuple(_value(value) for value in values.split(","))
    return _checked(grid, "--vary")


def _value(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_grid(path: Path) -> dict[str, tuple[Value, ...]]:
    """Read a TOML whose keys are fields and whose values are lists. Raises PlanError."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise PlanError(f"grid {path} exceeds {LARGEST_FILE_BYTES:,} bytes; list fewer values")
        table = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise PlanError(f"grid {path}: {error.strerror}; name a TOML file") from None
    except (ValueError, RecursionError) as error:
        raise PlanError(f"grid {path} is no TOML ({error}); mend the file") from None
    for name, values in table.items():
        if not isinstance(values, list) or not values:
            raise PlanError(f"grid {path}: {name} is no list of values; write {name} = [V, V]")
    return _checked({name: tuple(values) for name, values in table.items()}, f"grid {path}")


def _checked(grid: dict[str, tuple[Value, ...]], source: str) -> dict[str, tuple[Value, ...]]:
    known = [field.name for field in fields(ChipConfig) if field.name not in FIXED]
    for name, values in grid.items():
        if name not in known:
            raise PlanError(
                f"{source}: {name[:60]!r} is no size of a chip; vary {', '.join(known)}"
            )
        odd = next((v for v in values if not isinstance(v, int | float | str)), None)
        if odd is not None or len({*map(repr, values)}) < len(values):
            raise PlanError(f"{source}: {name} needs unlike numbers or words; list each once")
    combinations = prod(map(len, grid.values()))
    if combinations > MOST_COMBINATIONS:
        raise PlanError(
            f"{source}: {combinations:,} combinations exceed {MOST_COMBINATIONS:,}; vary fewer"
        )
    return grid


def candidates(base: ChipConfig, grid: Mapping[str, Sequence[Value]]) -> Iterator[Candidate]:
    """Yield every combination in the order of the values, the last field fastest."""
    for number, values in enumerate(product(*grid.values())):
        chosen = dict(zip(grid, values, strict=True))
        name = f"{base.name[:56]}-{number}"
        try:
            chip = replace(base, name=name, summary="", **chosen)  # type: ignore[arg-type]
        except ChipError as error:
            rule = (
                str(error).removeprefix(f"chip {name}: ").removesuffix("; change the chip's TOML")
            )
            yield Candidate(chosen, None, rule)
            continue
        yield Candidate(chosen, chip)
