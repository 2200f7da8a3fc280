"""Pages are whole or absent; numbers read well."""

from __future__ import annotations

from pathlib import Path

import pytest

from jiriki.files import FileError, write_text
from jiriki.report.quantities import change, count, data, percent, rate, seconds


def test_a_page_is_written_in_a_new_folder(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a" / "b" / "page.html", "é")
    assert path.read_bytes() == b"\xc3\xa9"
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = write_text(tmp_path / "page.html", "old")
    with pytest.raises(FileError, match="cannot write"):
        write_text(path / "inside.html", "new")
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (count(0), "0"),
        (count(999), "999"),
        (count(1_234_567), "1.23 M"),
        (count(4_089_184_256), "4.09 G"),
        (data(512), "512 B"),
        (data(13_786_704), "13.8 MB"),
        (rate(1e9), "1 GHz"),
        (rate(5e8), "500 MHz"),
        (seconds(1.986902e-3), "1.99 ms"),
        (seconds(15e-6), "15 µs"),
        (seconds(2.5e-10), "0.25 ns"),
        (seconds(123.4), "123 s"),
        (percent(0.757), "75.7 %"),
        (change(-0.004), "0%"),
        (change(0.0004, 1), "0.0%"),
        (change(-0.126), "-13%"),
        (change(0.0126, 1), "+1.3%"),
    ],
)
def test_numbers_read_well(text: str, expected: str) -> None:
    assert text == expected
