"""The smallest chip with everything: two pixels of two channels, the least latency."""

from dataclasses import replace

from jiriki.chip import ChipConfig
from jiriki.chip.catalogue import load_chip


def tiny_chip() -> ChipConfig:
    """Return a chip that is built in seconds."""
    return replace(
        load_chip("nano"), name="tiny", mu=2, nu=2, ku=2, vx_lanes=4, columns=8,
        scratchpad_bytes=32768, vx_stages="AF", vx_latency_cycles=15,
    )  # fmt: skip
