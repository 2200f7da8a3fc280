"""What random programs exercise of the ISA: counted bins, and those that nothing hits.

In: the programs of `make test-full` (`--programs` of them), run by the timing simulator, whose
cycles and counters those tests compare with the gates. Out: tables on standard output; exit code 1
when a bin is never hit that could be (`tests/rtl/coverage.py` says which could not, and why).
"""

from __future__ import annotations

import argparse
import sys

from jiriki.sim.timing import TimingEngine
from tests.rtl.coverage import TABLES, Coverage, bins, impossible
from tests.rtl.lockstep import NANO, PHASES, RARE
from tests.rtl.pieces import PARAMETERS
from tests.rtl.programs import gates_program

FIRST_SEED = 1000


def measure(programs: int) -> Coverage:
    """Run so many programs, and those for what these miss, and count."""
    engine, coverage = TimingEngine(NANO), Coverage()
    for seed in (*RARE, *range(FIRST_SEED, FIRST_SEED + programs)):
        program = gates_program(seed, NANO, PHASES)
        coverage.add(program, NANO, engine.run(program, PARAMETERS, events=True))
    return coverage


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=5000)
    parser.add_argument("--rows", action="store_true", help="print every row")
    arguments = parser.parse_args()
    coverage = measure(arguments.programs)
    print(f"{coverage.programs} programs on {NANO.name}\n")
    print("| table | bins | hit | least hit | cannot be |\n|---|--:|--:|--:|--:|")
    for table in TABLES:
        counts = [n for row in coverage.table(table).values() for n in row.values()]
        never = sum(1 for each in bins() if each[0] == table and impossible(each))
        hit = sum(map(bool, counts))
        print(f"| {table} | {len(counts)} | {hit} | {min(counts)} | {never} |")
    if arguments.rows:
        _print_rows(coverage)
    holes = coverage.holes()
    print("\nNever hit: " + ("; ".join(" ".join(hole) for hole in holes) or "none"))
    return int(bool(holes))


def _print_rows(coverage: Coverage) -> None:
    for table in TABLES:
        print(f"\n{table}")
        for row, columns in coverage.table(table).items():
            print(f"  {row:40}", "  ".join(f"{name}: {n}" for name, n in columns.items()))


if __name__ == "__main__":
    sys.exit(main())
