"""A whole network on the whole board in simulation: host, line, link, SDRAM, tile, and back."""

import os
import pty
import threading
import tty
from contextlib import suppress

import numpy as np
import pytest

from jiriki.chip import load_chip
from jiriki.cli.screen import Screen
from jiriki.compiler import compile_graph
from jiriki.engines import load_engine
from jiriki.models import Reading, open_model
from jiriki.rtl.board.engine import BoardEngine
from jiriki.rtl.board.simulate import FAST, BoardSimulation, board_library
from jiriki.sim.functional import FunctionalEngine

pytestmark = pytest.mark.full  # the library of a whole tile with its board compiles for minutes

CHIP = load_chip("ulx3s")
TIMEOUT_S = 10e-3  # of the board's time


def test_digits_run_on_the_board_as_on_the_functional_simulator() -> None:
    model = open_model("digits", Reading(), Screen("test", as_json=True))
    program = compile_graph(model.graph(), CHIP)
    assert model.zoo is not None
    with BoardSimulation(CHIP) as board:
        engine = BoardEngine(CHIP, stream=board, timeout_s=TIMEOUT_S)
        for photo in model.zoo.photos()[:3]:
            feed = model.zoo.prepare(photo.data)
            expected = FunctionalEngine(CHIP).run(program, feed).outputs
            run = engine.run(program, feed)
            assert expected is not None and run.outputs is not None
            assert np.array_equal(run.outputs["logits"], expected["logits"])
            assert engine.repeats == 0 and run.cycles is not None and run.cycles > 0
            assert int(np.argmax(run.outputs["logits"])) == photo.label


def test_a_serial_port_carries_the_same() -> None:
    """The engine by name, through pyserial and a pseudo-terminal, to the simulated board."""
    model = open_model("digits", Reading(), Screen("test", as_json=True))
    program = compile_graph(model.graph(), CHIP)
    assert model.zoo is not None
    feed = model.zoo.calibration()[0]
    expected = FunctionalEngine(CHIP).run(program, feed).outputs
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    stop = threading.Event()

    library = board_library(CHIP, FAST)

    def carry() -> None:
        with BoardSimulation(CHIP, library=library) as board:
            while not stop.is_set():
                with suppress(BlockingIOError):
                    board.write(os.read(ours, 4096))
                if reply := board.read(64, 1e-3):
                    os.write(ours, reply)

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        engine = load_engine("board", CHIP, os.ttyname(theirs))
        engine.timeout_s = 20.0
        run = engine.run(program, feed)
    finally:
        stop.set()
        thread.join()
        os.close(ours)
        os.close(theirs)
    assert expected is not None and run.outputs is not None
    assert np.array_equal(run.outputs["logits"], expected["logits"])
