"""`jiriki board`: the bitstream of a chip for a ULX3S 85F.

In: a chip, a folder. Out: the folder (`jiriki.rtl.board.bitstream`), and what the design takes of
the FPGA.
"""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from rich.console import RenderableType

from jiriki.chip import load_chip
from jiriki.cli.extras import need_extra
from jiriki.cli.screen import Screen
from jiriki.report.quantities import data, rate
from jiriki.report.tables import Sheet, rich_table

if TYPE_CHECKING:
    from jiriki.rtl.board.bitstream import Bitstream


def board(chip_name: str, output: Path, limit_s: float, as_json: bool) -> None:
    """Build and print."""
    screen = Screen("board", as_json)
    need_extra("board")
    from jiriki.rtl.board.bitstream import build

    chip = load_chip(chip_name)
    began = perf_counter()
    with screen.step(f"building the bitstream of {chip.name}") as tell:
        bitstream = build(chip, output, limit_s, tell)
    payload = asdict(bitstream) | {"folder": str(output), "wall_s": perf_counter() - began}
    screen.result(payload, lambda: _tables(bitstream, output))


def _tables(bitstream: "Bitstream", output: Path) -> Iterable[RenderableType]:
    rows = tuple(
        (name, f"{used:,}", f"{there:,}", f"{used / there:.0%}")
        for name, (used, there) in bitstream.cells.items()
    )
    title = f"{bitstream.chip} on {bitstream.board}"
    yield rich_table(Sheet(title, ("cells", ">used", ">there are", ">share"), rows))
    yield (
        f"clock: {rate(bitstream.reached_hz)} reached (estimate of nextpnr, slowest corner), "
        f"{rate(bitstream.clock_hz)} used"
    )
    yield (
        f"{output / bitstream.file}: {data(bitstream.bytes)}; load it with: "
        f"openFPGALoader -b ulx3s {output / bitstream.file}"
    )
