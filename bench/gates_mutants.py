"""Which random program catches which planted bug of the gates, and by what.

In: the mutations of `tests/rtl/mutations.py`, all in one simulation (compiled once, minutes). Out:
a Markdown table on standard output; exit code 1 when a mutant survives or the design differs.
"""

from __future__ import annotations

import sys

from jiriki.rtl.simulate import tile
from tests.rtl.lockstep import NANO, differences
from tests.rtl.mutations import MUTATIONS, SEEDS
from tests.rtl.planting import choose, mutants_library


def main() -> int:
    """Run mutants until caught, print."""
    library = mutants_library(NANO, MUTATIONS)
    tile.tile_library = lambda chip: library
    choose(library, 0)
    wrong = [seed for seed in range(SEEDS) if differences(seed)]
    print(f"The design itself: {SEEDS} programs, {len(wrong)} that differ.\n")
    print("| unit | planted bug | programs until caught | what differs |\n|---|---|--:|---|")
    survive = 0
    for number, mutation in enumerate(MUTATIONS, 1):
        choose(library, number)
        programs, how = _until_caught()
        survive += not how
        print(f"| {mutation.unit} | {mutation.bug} | {programs} | {', '.join(how) or 'NOTHING'} |")
    print(f"\n{len(MUTATIONS)} mutants, {survive} not caught by {SEEDS} programs.")
    return int(bool(wrong or survive))


def _until_caught() -> tuple[int, tuple[str, ...]]:
    for seed in range(SEEDS):
        if how := differences(seed):
            return seed + 1, how
    return SEEDS, ()


if __name__ == "__main__":
    sys.exit(main())
