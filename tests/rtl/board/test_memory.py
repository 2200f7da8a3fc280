"""The memory side of a board: values whatever the traffic, the data sheet's times at any clock.

What must be read comes from a plain array, what is allowed from a model of the SDRAM that decodes
pins and counts nanoseconds.
"""

import pytest

from jiriki.rtl.board.settings import BoardSettings, SdramSettings
from jiriki.rtl.errors import RtlError
from tests.rtl.board.memory_bench import board, run

CYCLES = 60_000
FAST_CLOCK = board(133_000_000, cas_latency=3)


@pytest.mark.parametrize("stall", [0.0, 0.6])
@pytest.mark.parametrize(
    ("settings", "beat"),
    [
        (board(25_000_000), 4),
        pytest.param(board(25_000_000), 16, marks=pytest.mark.full),
        (FAST_CLOCK, 16),
        pytest.param(FAST_CLOCK, 4, marks=pytest.mark.full),
    ],
    ids=lambda value: f"{value.clock_hz // 10**6}MHz" if isinstance(value, BoardSettings) else None,
)
def test_random_traffic_reads_what_was_written(
    settings: BoardSettings, beat: int, stall: float
) -> None:
    trial = run(settings, beat, seed=beat, cycles=CYCLES, stall=stall)
    assert trial.fault == ""
    assert trial.beats > 4000 and trial.beyond > 10
    due = CYCLES / settings.clock_hz / settings.sdram.refresh_s
    assert trial.refreshes >= due


@pytest.mark.parametrize(
    ("time", "complaint"),
    [(1, "access behind ACTIVE"), (3, "PRECHARGE behind ACTIVE"), (5, "behind REFRESH")],
)
def test_a_slower_memory_than_the_controller_knows_is_noticed(time: int, complaint: str) -> None:
    sheet = [100_000.0, 20.0, 20.0, 45.0, 67.5, 67.5, 14.0, 14.0, 7812.5]
    sheet[time] += 10
    trial = run(FAST_CLOCK, 16, seed=1, cycles=CYCLES, stall=0.0, sheet_ns=tuple(sheet))
    assert complaint in trial.fault


def test_a_speed_that_the_clock_cannot_make_is_refused() -> None:
    with pytest.raises(RtlError, match="baud = 3000000 is no whole part of the clock"):
        BoardSettings(baud=3_000_000)


def test_an_sdram_with_too_few_address_pins_is_refused() -> None:
    with pytest.raises(RtlError, match="row_bits = 10 is not 11 to 13"):
        SdramSettings(row_bits=10)
