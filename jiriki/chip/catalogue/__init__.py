"""The named chips: one TOML a chip in this folder, units in the key names.

In: a name, or a path to a TOML of the user's own. Out: a checked `ChipConfig`.
"""

import tomllib
from dataclasses import fields
from functools import cache
from importlib import resources
from pathlib import Path

from jiriki.chip.config import ChipConfig
from jiriki.chip.errors import ChipError


def chip_names() -> tuple[str, ...]:
    """Return the names of the catalogue in alphabetical order."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


@cache
def load_chip(name: str) -> ChipConfig:
    """Read a chip by catalogue name or by path to a TOML file.

    Raises ChipError when there is no such chip, the file is not TOML, or a rule is broken.
    """
    if name in chip_names():
        return _parse(name, (resources.files(__name__) / f"{name}.toml").read_text())
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return _parse(name, path.read_text())
    known = ", ".join(chip_names())
    raise ChipError(f"chip {name!r} is not in the catalogue; choose {known}, or a path to a .toml")


def _parse(name: str, text: str) -> ChipConfig:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ChipError(f"chip {name}: not valid TOML ({error}); mend the file") from None
    known = {f.name: f.type for f in fields(ChipConfig)}
    for key in table.keys() - known.keys():
        raise ChipError(f"chip {name}: unknown key {key!r}; known are {', '.join(known)}")
    for key in known.keys() - table.keys():
        raise ChipError(f"chip {name}: key {key!r} is missing; add it")
    for key, value in table.items():
        wanted = {str: str, int: int, float: (int, float)}[known[key]]  # type: ignore[index]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ChipError(f"chip {name}: {key} = {value!r} is not a {known[key]}; correct it")
    return ChipConfig(**table)
