"""Random chips that ChipConfig accepts, each with a small network: run right, or refused by a rule.

In: how many, and the first seed. Out: counts of chips that ran right and of rules that refused the
others, the slowest and the most memory; exit code 1 when a chip gave a wrong value, a traceback,
a refusal that names no field, took more than 60 s of processor time or 2 GiB of memory.

    python -m bench.fuzz_chips                        # 500 chips
    python -m bench.fuzz_chips --first 7 --count 1

A network is `digits` or drawn: convolutions, depthwise ones, poolings and sums in int8, or the
vision, attention and move networks of the house test as the quantiser leaves them. Right: the
static checker finds nothing, the functional engine gives what the graph gives, the timing engine
ends, and so does the naive one, cycle by cycle, where the run is short.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.agree.chip_trials import MOST_BYTES, MOST_SECONDS, Trial, try_chip


def main() -> int:
    """Try the chips one after another; print what is wrong and the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=10_000)
    parser.add_argument("--count", type=int, default=500)
    arguments = parser.parse_args()
    trials: list[Trial] = []
    for seed in range(arguments.first, arguments.first + arguments.count):
        trials.append(try_chip(seed))
        if trials[-1].fault:
            print(f"seed {seed}, {trials[-1].network}: {trials[-1].fault}", flush=True)
    refused = Counter(trial.rule for trial in trials if trial.rule)
    right = sum(not trial.fault and not trial.rule for trial in trials)
    faults = sum(bool(trial.fault) for trial in trials)
    print(f"{len(trials)} chips: {right} run right, {refused.total()} refused, {faults} faults")
    print(f"refused for: {dict(refused.most_common())}")
    print(f"networks: {dict(Counter(trial.network for trial in trials).most_common())}")
    print(f"checked by the naive engine: {sum(trial.naive for trial in trials)}")
    print(f"slowest {max(trial.seconds for trial in trials):.1f} of {MOST_SECONDS:.0f} s")
    peak = max(trial.peak_bytes for trial in trials)
    print(f"most memory {peak / 2**30:.2f} of {MOST_BYTES / 2**30:.0f} GiB")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
