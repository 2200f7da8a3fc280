"""`BoardSettings`: the sizes of a board around the tile, checked at birth.

In: the clock, the speed of the serial line, the SDRAM's sizes and times. Out: a frozen value that
the gates, the host and the model of the SDRAM read.
"""

from dataclasses import dataclass, field
from math import ceil

from jiriki.rtl.errors import RtlError

MOST_BAUD_ERROR = 0.02  # of the line's speed, from a divisor that is not whole
ADDRESS_PINS = 13  # of an SDRAM
LEAST_ROW_BITS = 11  # pin 10 says which banks PRECHARGE closes
LEAST_DIVISOR = 4  # cycles of a bit


@dataclass(frozen=True)
class SdramSettings:
    """An SDR SDRAM of 16-bit words; times are the slowest of ISSI's and Alliance's -7 grades.

    Defaults: IS42S16160G-7 and AS4C16M16SA-7, 4 banks of 8192 rows of 512 words, 32 MiB.
    """

    row_bits: int = 13
    column_bits: int = 9
    bank_bits: int = 2
    cas_latency: int = 2  # cycles
    power_up_s: float = 200e-6
    rcd_s: float = 20e-9  # ACTIVE to READ or WRITE
    rp_s: float = 20e-9  # PRECHARGE to anything
    ras_s: float = 45e-9  # ACTIVE to PRECHARGE
    rfc_s: float = 67.5e-9  # REFRESH to anything
    wr_s: float = 15e-9  # last word written to PRECHARGE
    mode_cycles: int = 2  # MODE to anything
    refresh_s: float = 64e-3 / 8192  # between two REFRESH, on average

    def __post_init__(self) -> None:
        if not LEAST_ROW_BITS <= self.row_bits <= ADDRESS_PINS:
            raise RtlError(
                f"SDRAM: row_bits = {self.row_bits} is not {LEAST_ROW_BITS} to {ADDRESS_PINS}, "
                "what its address pins take; correct it"
            )

    @property
    def memory_bytes(self) -> int:
        return 2 << (self.row_bits + self.column_bits + self.bank_bits)


@dataclass(frozen=True)
class BoardSettings:
    """The ULX3S by default; a simulation shortens the bits of the line and its silence."""

    clock_hz: int = 25_000_000
    baud: int = 1_000_000
    quiet_s: float = 40e-3  # silence that ends a frame: more than a USB host's pauses
    sdram: SdramSettings = field(default_factory=SdramSettings)

    def __post_init__(self) -> None:
        off = abs(self.clock_hz / self.divisor / self.baud - 1)
        if self.divisor < LEAST_DIVISOR or off > MOST_BAUD_ERROR:
            raise RtlError(
                f"baud = {self.baud} is no whole part of the clock of {self.clock_hz} Hz (at least "
                f"{LEAST_DIVISOR} cycles a bit, at most {MOST_BAUD_ERROR:.0%} off); choose another"
            )

    @property
    def divisor(self) -> int:
        """Cycles of a bit."""
        return round(self.clock_hz / self.baud)

    @property
    def quiet_cycles(self) -> int:
        return self.cycles(self.quiet_s)

    def cycles(self, seconds: float) -> int:
        """Return the cycles that last at least so long."""
        return max(1, ceil(seconds * self.clock_hz * (1 - 1e-9)))
