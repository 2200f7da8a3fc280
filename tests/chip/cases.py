"""Chips for the tests of rules: the sizes of nano, some of them changed, as value and TOML."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from jiriki.chip import ChipConfig, load_chip

NANO = load_chip("nano")


def chip_with(**changes: object) -> ChipConfig:
    """Return nano with some fields changed. Raises ChipError when a rule is broken."""
    return ChipConfig(**{**asdict(NANO), **changes})  # type: ignore[arg-type]


def toml_of(table: dict[str, object]) -> str:
    """Return the TOML text of a flat table of text, whole numbers and floats."""
    rows = (f'{k} = "{v}"' if isinstance(v, str) else f"{k} = {v!r}" for k, v in table.items())
    return "\n".join(rows) + "\n"


def nano_lines(**changes: str) -> str:
    """Return nano's TOML with the right-hand sides of some keys changed."""
    rows = (line.split(" = ") for line in toml_of(asdict(NANO)).splitlines())
    return "".join(f"{key} = {changes.get(key, value)}\n" for key, value in rows)


def write(folder: Path, content: str | bytes, name: str = "own.toml") -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)
