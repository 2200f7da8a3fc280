"""Chips by name and from files: every kind of file that is no chip is refused in one line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from jiriki.chip import ChipError, catalogue, chip_names, chip_toml, load_chip
from tests.chip.cases import NANO, chip_with, nano_lines, toml_of, write


def refuses(source: str, *words: str) -> None:
    with pytest.raises(ChipError) as refusal:
        load_chip(source)
    message = str(refusal.value)
    assert "chip" in message and "\n" not in message and len(message) < 700, message
    for word in words:
        assert word in message


def test_the_catalogue_names_its_files_in_order() -> None:
    folder = Path(catalogue.__file__).parent
    assert chip_names() == tuple(sorted(path.stem for path in folder.glob("*.toml")))
    assert {"nano", "e256", "vta256"} <= set(chip_names())


@pytest.mark.parametrize("name", chip_names())
def test_a_chip_has_the_name_of_its_file(name: str) -> None:
    assert load_chip(name).name == name


@pytest.mark.parametrize("name", chip_names())
def test_a_chip_s_toml_gives_the_chip(name: str, tmp_path: Path) -> None:
    assert load_chip(write(tmp_path, toml_of(asdict(load_chip(name))))) == load_chip(name)


@pytest.mark.parametrize("name", chip_names())
def test_a_chip_s_own_toml_reads_back_equal(name: str, tmp_path: Path) -> None:
    chip = load_chip(name)
    assert load_chip(write(tmp_path, chip_toml(chip))) == chip


@pytest.mark.parametrize("summary", ['"quoted" \\ text', "lines\nand\ttabs\x7f\x00", "数 é 🙂", ""])
def test_any_summary_reads_back_equal(summary: str, tmp_path: Path) -> None:
    chip = chip_with(summary=summary, clock_hz=123456789.125)
    assert load_chip(write(tmp_path, chip_toml(chip))) == chip


def test_a_chip_s_own_toml_says_the_bounds() -> None:
    line = next(t for t in chip_toml(load_chip("nano")).splitlines() if t.startswith("columns"))
    assert line.split("  # ")[1] == "8 to 256, a power of two"


def test_a_whole_number_of_hertz_is_a_clock(tmp_path: Path) -> None:
    assert load_chip(write(tmp_path, nano_lines(clock_hz="25000000"))).clock_hz == 25e6


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, nano_lines(dram_latency_cycles="10"))
    assert load_chip(path).dram_latency_cycles == 10
    write(tmp_path, nano_lines(dram_latency_cycles="999"))
    assert load_chip(path).dram_latency_cycles == 999


@pytest.mark.parametrize("source", ["e257", "", "E256", "e256.toml", "/", "no/such.toml", "a\0b"])
def test_an_unknown_name_is_answered_with_the_known(source: str) -> None:
    refuses(source, "e256", "nano", ".toml")


def test_a_folder_named_like_a_toml_is_no_chip(tmp_path: Path) -> None:
    (tmp_path / "own.toml").mkdir()
    refuses(str(tmp_path / "own.toml"), "own.toml", "not in the catalogue")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (nano_lines().encode("utf-16"), "not UTF-8"),
        (nano_lines(summary='"caf\xe9"').encode("latin-1"), "not UTF-8"),
        (b"\x00\x01\x02\x03", "not valid TOML"),
        (b"", "'name' is missing"),
        (b"mu", "not valid TOML"),
        (b"mu = 8\nmu = 8\n", "not valid TOML"),
        (b"x = " + b"[" * 5000, "not valid TOML"),
        (b"mu = 1" + b"0" * 5000, "not valid TOML"),
        (b"mu = \xef\xbc\x98", "not valid TOML"),
        (b"# " + b"x" * (1 << 20), "bytes exceeds 1048576"),
    ],
)
def test_what_is_no_toml_of_a_chip_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    refuses(write(tmp_path, content), "own.toml", word)


@pytest.mark.parametrize("key", list(asdict(NANO)))
def test_an_absent_key_is_named(tmp_path: Path, key: str) -> None:
    table = asdict(NANO)
    del table[key]
    refuses(write(tmp_path, toml_of(table)), f"key '{key}' is missing; add it")


@pytest.mark.parametrize("key", list(asdict(NANO)))
def test_a_key_said_twice_is_refused(tmp_path: Path, key: str) -> None:
    again = f"{key} = {nano_lines().splitlines()[list(asdict(NANO)).index(key)].split(' = ')[1]}\n"
    refuses(write(tmp_path, nano_lines() + again), "not valid TOML")


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    refuses(write(tmp_path, nano_lines() + "mus = 4\n"), "unknown key 'mus'", "mu, nu")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("mu", "true", "mu = True must be a whole number"),
        ("mu", "4.0", "mu = 4.0 must be a whole number"),
        ("mu", '"4"', "mu = '4' must be a whole number"),
        ("mu", "[4]", "mu = [4] must be a whole number"),
        ("mu", "{ a = 4 }", "must be a whole number"),
        ("mu", "2026-01-01", "must be a whole number"),
        ("mu", "inf", "mu = inf must be a whole number"),
        ("mu", "0", "mu = 0 is outside 1..256"),
        ("mu", "-4", "mu = -4 is outside 1..256"),
        ("mu", "0x" + "f" * 6000, "mu = a number of 24000 bits is outside 1..256"),
        ("clock_hz", "inf", "clock_hz = inf is outside"),
        ("clock_hz", "nan", "clock_hz = nan is outside"),
        ("clock_hz", "true", "clock_hz = True must be a number"),
        ("clock_hz", "1e999", "clock_hz = inf is outside"),
        ("vx_stages", "1", "vx_stages = 1 must be text"),
        ("summary", "[]", "summary = [] must be text"),
        ("name", '"a\\nb"', "must be 1 to 64 letters"),
        ("name", '"' + "n" * 5000 + '"', "must be 1 to 64 letters"),
    ],
)
def test_a_value_of_another_kind_is_refused(
    tmp_path: Path, key: str, value: str, word: str
) -> None:
    refuses(write(tmp_path, nano_lines(**{key: value})), word)
