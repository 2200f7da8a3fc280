"""What the compiler asks of a chip, beyond the rules of `ChipConfig`.

In: a chip. Out: nothing, or TileError for the first size too small for any network. Everything
else that does not fit depends on the network, and the planner of its layer says so.
"""

from jiriki.chip.config import ChipConfig
from jiriki.tiling.errors import TileError

LEAST_SCRATCHPAD_BYTES = 4096  # the margin for alignment, and as much to work in
BLOCKS = 4  # register tiles that accumulators must hold: a product and its row sums, twice
ACC_ALIGN = 4  # rows: the granularity of CONV's accumulator address


def check_requirements(chip: ChipConfig) -> None:
    """Raise TileError when the scratchpad or the accumulators are too small to plan with."""
    if chip.scratchpad_bytes < LEAST_SCRATCHPAD_BYTES:
        raise TileError(
            f"chip {chip.name}: scratchpad_bytes = {chip.scratchpad_bytes} is less than "
            f"{LEAST_SCRATCHPAD_BYTES}, the least that the compiler plans with; enlarge it in the "
            "chip's TOML"
        )
    least = least_acc_rows(chip)
    if chip.acc_rows < least:
        raise TileError(
            f"chip {chip.name}: acc_rows = {chip.acc_rows} is less than {least}, {BLOCKS} register "
            f"tiles of mu * nu / vx_lanes rows; enlarge it in the chip's TOML"
        )


def least_acc_rows(chip: ChipConfig) -> int:
    """Return the accumulator rows of `BLOCKS` register tiles, each aligned."""
    rows = chip.mu * chip.nu // chip.vx_lanes
    return BLOCKS * -(-rows // ACC_ALIGN) * ACC_ALIGN
