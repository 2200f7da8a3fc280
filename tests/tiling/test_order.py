"""The cut of a graph does not depend on the hash seed of the process."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from jiriki.chip.catalogue import load_chip
from jiriki.tiling.cut import Plan, cut_graph
from tests.agree.networks import NetworkBuilder

SEEDS = ("1", "2", "3")  # before the order was fixed, each gave another program
PROGRAM = "from tests.tiling.test_order import cut_hash; print(cut_hash())"


def test_tensors_of_equal_size_leave_the_scratchpad_in_the_same_order() -> None:
    assert len({_hash_under(seed) for seed in SEEDS}) == 1


def cut_hash() -> str:
    """Return the hash of a cut in which residents of equal size give way to a convolution."""
    chip = load_chip("nano")
    net = NetworkBuilder(0, (1, 16, 32, 32))
    branches = [net.conv("x", 16) for _ in range(4)]
    y = net.conv(net.conv(branches[0], 64, kernel=(3, 3), pads=(1, 1, 1, 1)), 16)
    for branch in branches:
        y = net.add(y, branch)
    program = cut_graph(net.graph(y), chip, Plan(chip.scratchpad_bytes, chip.scratchpad_bytes))
    assert program.meta["not_resident"] != "0"
    return hashlib.sha256(repr((program.ops, program.meta)).encode()).hexdigest()


def _hash_under(seed: str) -> str:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return done.stdout
