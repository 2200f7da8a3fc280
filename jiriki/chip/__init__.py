"""The chip as data: `ChipConfig`, the rules it must keep, and the catalogue of named chips."""

from jiriki.chip.catalogue import chip_names, chip_toml, load_chip
from jiriki.chip.config import ChipConfig
from jiriki.chip.errors import ChipError

__all__ = ["ChipConfig", "ChipError", "chip_names", "chip_toml", "load_chip"]
