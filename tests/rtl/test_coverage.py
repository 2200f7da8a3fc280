"""The random programs exercise every way of every instruction, or it is said why not."""

from __future__ import annotations

import pytest

from bench.gates_coverage import measure
from jiriki.isa.fields import OPCODES
from tests.rtl.coverage import TABLES, bins, impossible


def test_every_instruction_has_bins() -> None:
    rows = {row.split(".")[0] for table, row, _ in bins() if table == "instructions"}
    assert rows == {kind.__name__.upper() for kind in OPCODES.values()}


def test_few_programs_hit_most_bins() -> None:
    coverage = measure(60)
    possible = [each for each in bins() if not impossible(each)]
    missed = coverage.holes()
    assert set(TABLES) == {table for table, _, _ in possible}
    assert len(missed) < len(possible) / 4, missed


@pytest.mark.full
def test_no_bin_is_missed_without_a_reason() -> None:
    assert measure(5000).holes() == []
