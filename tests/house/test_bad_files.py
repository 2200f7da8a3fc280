"""Every command refuses bad files and words in one line: exit code 0, 1 or 2, never a traceback.

A sample of what `python -m bench.fuzz_inputs` draws by the thousand; the seeds are in the names.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.good_files import CHIP, GoodFiles, write_good_files
from tests.house.harness import ALLOWED_CODES, try_command
from tests.house.mutants import make_mutant

SEEDS = range(60)
AS_PROCESSES = (5, 21)  # a chip, a model


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> GoodFiles:
    return write_good_files(tmp_path_factory.mktemp("good"))


def test_the_good_files_are_taken(good: GoodFiles, tmp_path: Path) -> None:
    chip = ("--chip", CHIP)
    commands = [
        *(("run", str(model), "--input", str(good.input), *chip) for model in good.models),
        *(("compile", str(model), "-o", str(tmp_path / "o.jprog"), *chip,
           "--calibration", str(good.calibration)) for model in good.floats),
        ("run", str(good.program), "--input", str(good.input)),
        ("run", str(good.text), "--input", str(good.matrices)),
        ("chips", str(good.chip)), ("products", str(good.product)),
        ("cost", "h100", "--assumptions", str(good.assumptions)), ("plan", str(good.demand)),
    ]  # fmt: skip
    for arguments in commands:
        trial = try_command(arguments)
        assert trial.code == 0, (arguments, trial.err)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mutant_is_taken_or_refused_in_one_line(
    seed: int, good: GoodFiles, tmp_path: Path
) -> None:
    mutant = make_mutant(good, tmp_path, seed)
    trial = try_command(mutant.arguments)
    assert not trial.fault, (mutant, trial.fault)


@pytest.mark.parametrize("seed", AS_PROCESSES)
def test_a_process_ends_as_the_command_in_this_one_does(
    seed: int, good: GoodFiles, tmp_path: Path
) -> None:
    mutant = make_mutant(good, tmp_path, seed)
    command = [sys.executable, "-m", "jiriki.cli", *mutant.arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in ALLOWED_CODES and "Traceback" not in done.stderr
    assert done.returncode == try_command(mutant.arguments).code
