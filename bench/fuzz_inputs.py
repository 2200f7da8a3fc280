"""Mutated models, arrays, programs and TOML files, each fed to a command that reads it.

In: how many, and the first seed. Out: counts of exit codes and a line a fault; exit code 1 when a
command left another exit code than 0, 1 or 2, a traceback, more than one line of error, took more
than 60 s of processor time, or more than 2 GiB of memory.

    python -m bench.fuzz_inputs                       # 2,000 files
    python -m bench.fuzz_inputs --first 7 --count 1 --show

The commands run in processes of 100 each, in this machine's `--jobs` at once: a crash of one is
told with its seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

BATCH = 100


def main() -> int:
    """Run every batch, print what is wrong and the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print every command and its message")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return _work(arguments.first, arguments.count)
    starts = range(arguments.first, arguments.first + arguments.count, BATCH)
    end = arguments.first + arguments.count
    with ThreadPoolExecutor(arguments.jobs) as pool:
        trials = [
            trial
            for batch in pool.map(lambda s: list(_batch(s, min(end, s + BATCH))), starts)
            for trial in _told(batch, arguments.show)
        ]
    codes, kinds = Counter(t["code"] for t in trials), Counter(t["kind"] for t in trials)
    faults = sum(bool(t["fault"]) for t in trials)
    peak = max((t["peak_bytes"] for t in trials), default=0)
    print(f"{len(trials)} files: exit codes {dict(sorted(codes.items(), key=str))}")
    print(f"commands: {dict(kinds.most_common())}")
    print(f"{faults} faults; most memory {peak / 2**30:.2f} GiB")
    return int(faults > 0)


def _told(batch: list[dict[str, Any]], show: bool) -> list[dict[str, Any]]:
    for trial in batch:
        if trial["fault"] or show:
            print(f"seed {trial['seed']}: {trial['change']}\n  {' '.join(trial['arguments'])}")
            print(f"  {trial['fault'] or trial['code']}: {trial['err'].strip()[-500:]}", flush=True)
    return batch


def _batch(first: int, end: int) -> Iterator[dict[str, Any]]:
    """Yield the trials of seeds [first, end), starting a new process after a crash."""
    while first < end:
        command = [sys.executable, "-m", "bench.fuzz_inputs", "--worker"]
        command += ["--first", str(first), "--count", str(end - first)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        trials = [line for line in lines if "code" in line]
        yield from trials
        first += len(trials)
        if first < end:
            begun = next((line for line in lines if line["seed"] == first), {"seed": first})
            fault = f"the process ended with code {done.returncode}: {done.stderr[-500:]}"
            ended = {"code": "crash", "kind": "?", "fault": fault, "err": "", "peak_bytes": 0}
            yield {"change": "?", "arguments": [], **begun, **ended}
            first += 1


def _work(first: int, count: int) -> int:
    """Run seeds one after another; print a line of JSON before and after each."""
    from tests.house.good_files import write_good_files
    from tests.house.harness import MOST_BYTES, try_command
    from tests.house.mutants import make_mutant

    with tempfile.TemporaryDirectory() as home:
        os.environ["JIRIKI_HOME"] = home
        good = write_good_files(Path(home))
        before = try_command(("chips",)).peak_bytes
        for seed in range(first, first + count):
            with tempfile.TemporaryDirectory() as folder:
                mutant = make_mutant(good, Path(folder), seed)
                row = {"seed": seed, "change": mutant.change, "arguments": mutant.arguments}
                print(json.dumps(row), flush=True)
                trial = try_command(mutant.arguments)
            fault = trial.fault
            if not fault and trial.peak_bytes > max(MOST_BYTES, before):
                fault = f"{trial.peak_bytes / 2**30:.1f} GiB of memory"
            before = max(before, trial.peak_bytes)
            end = {"code": trial.code, "kind": mutant.arguments[0], "fault": fault}
            row |= end | {"err": trial.err, "peak_bytes": trial.peak_bytes}
            print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
