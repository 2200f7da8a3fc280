"""The named chips: one TOML a chip in this folder, units in the key names.

In: a name, or a path to a TOML of the user's own. Out: a checked `ChipConfig`; its TOML again.
"""

import json
import tomllib
from dataclasses import fields
from functools import cache
from importlib import resources
from os import PathLike, fspath
from pathlib import Path

from jiriki.chip.config import LIMITS, POWERS_OF_TWO, ChipConfig
from jiriki.chip.errors import ChipError

LARGEST_FILE_BYTES = 1 << 20


def chip_names() -> tuple[str, ...]:
    """Return the names of the catalogue in alphabetical order."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_chip(name: str | PathLike[str]) -> ChipConfig:
    """Read a chip by catalogue name or by path to a TOML file.

    Raises ChipError when there is no such chip, the file is not TOML, or a rule is broken.

    >>> import jiriki
    >>> chip = jiriki.load_chip("nano")
    >>> chip
    <ChipConfig nano: 64 MAC/cycle at 1 GHz, 64 KiB of scratchpad>
    >>> chip.macs_per_cycle
    64
    """
    name = fspath(name)
    if name in chip_names():
        return _catalogue_chip(name)
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return parse_chip(name, _text_of(path))
    known = ", ".join(chip_names())
    raise ChipError(f"chip {name!r} is not in the catalogue; choose {known}, or a path to a .toml")


@cache
def _catalogue_chip(name: str) -> ChipConfig:
    return parse_chip(name, (resources.files(__name__) / f"{name}.toml").read_text("utf-8"))


def _text_of(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise ChipError(
                f"chip {path}: {size} bytes exceeds {LARGEST_FILE_BYTES}; name the TOML of a chip"
            )
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChipError(f"chip {path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise ChipError(f"chip {path}: {error.strerror}; name a file that can be read") from None


def parse_chip(name: str, text: str) -> ChipConfig:
    """Read the text of a chip's TOML; `name` stands for it in errors.

    Raises ChipError when it is not TOML, a key is unknown or missing, or a rule is broken.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise ChipError(f"chip {name}: not valid TOML ({error}); mend the file") from None
    known = [f.name for f in fields(ChipConfig)]
    for key in sorted(table.keys() - set(known)):
        raise ChipError(
            f"chip {name}: unknown key {key[:60]!r}; remove it, known are {', '.join(known)}"
        )
    for key in known:
        if key not in table:
            raise ChipError(f"chip {name}: key {key!r} is missing; add it")
    try:
        return ChipConfig(**table)
    except ChipError as error:
        raise ChipError(f"{name}: {error}") from None


def chip_toml(chip: ChipConfig) -> str:
    """Write a chip as the TOML that reads back equal, with each field's bounds as a comment."""
    lines = [f"{field.name} = {_toml_value(getattr(chip, field.name))}" for field in fields(chip)]
    width = max(len(line) for line in lines if not line.startswith("summary"))
    bounds = [_bounds(field.name) for field in fields(chip)]
    pairs = zip(lines, bounds, strict=True)
    return "".join(f"{line:<{width}}{bound}".rstrip() + "\n" for line, bound in pairs)


def _toml_value(value: str | float) -> str:
    """Spell a value; JSON's strings are TOML's but for the control character DEL."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _bounds(name: str) -> str:
    if name not in LIMITS:
        return ""
    least, greatest, _ = LIMITS[name]
    return f"  # {least} to {greatest}" + (", a power of two" if name in POWERS_OF_TWO else "")
