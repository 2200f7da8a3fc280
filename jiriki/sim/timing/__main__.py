"""Compile the timing kernel into the disk cache: `python -m jiriki.sim.timing`, part of set-up."""

from jiriki.chip import load_chip
from jiriki.isa.control import Halt
from jiriki.program import Program
from jiriki.sim.timing.engine import TimingEngine


def main() -> None:
    """Time the shortest program, which compiles everything."""
    chip = load_chip("e256")
    program = Program("halt", chip.name, chip.content_hash(), (Halt.new(),), (), 64, (), ())
    assert TimingEngine(chip).run(program).cycles, "a program takes at least a cycle"


if __name__ == "__main__":
    main()
