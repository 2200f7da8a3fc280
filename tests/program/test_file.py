"""The file form comes back whole, refuses anything else in one line, and is never half-written."""

import errno
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from jiriki.program import Binding, Parameter, ProgramError, State
from jiriki.program.file import from_bytes, load, save, to_bytes
from tests.small_program import two_entries, with_entry


def resealed(program, **changes: object) -> bytes:
    """Alter the header and make its digest right again, as an attacker would."""
    header = json.loads(program.header()) | changes
    forged = replace(program)
    object.__setattr__(forged, "_header", json.dumps(header).encode())
    return to_bytes(forged)


def test_a_program_comes_back_the_same(program, tmp_path):
    program.instructions[3].note = 0
    path = tmp_path / "example.jiriki"

    save(program, path)

    assert load(path) == program
    assert [p.name for p in tmp_path.iterdir()] == ["example.jiriki"]


def test_the_same_program_gives_the_same_bytes(program, make_program, code):
    assert to_bytes(program) == to_bytes(make_program(code))
    assert bytes.fromhex(program.content_hash()) == to_bytes(program)[16:48]


def test_any_change_changes_the_hash(program):
    other = replace(program, segments=(program.segments[0],))
    assert other.content_hash() != program.content_hash()


def test_every_truncation_is_refused_in_one_line(program):
    data = to_bytes(program)
    for size in (0, 7, 8, 47, 48, 100, len(data) - 1):
        with pytest.raises(ProgramError) as caught:
            from_bytes(data[:size])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["name", "code", "segment", "state"])
def test_one_flipped_bit_is_refused(program, part):
    state = State(Binding("kept", 256, (2, 4), 1, "int8", "int8"), b"contents")
    program = replace(program, states=(state,), dram_bytes=264)
    marks = {
        "name": b'"example"', "code": program.code_bytes()[:64],
        "segment": bytes(program.segments[0].data), "state": b"contents",
    }  # fmt: skip
    data = bytearray(to_bytes(program))
    data[data.index(marks[part]) + 5] ^= 4

    with pytest.raises(ProgramError, match="SHA-256"):
        from_bytes(bytes(data)).image()


def test_a_file_of_the_first_version_is_read(make_program, code):
    """`version-1.jiriki` was written before there were entries and states."""
    moved = code.replace("LD.LD sp=0 dram=0", "PARM.CTL reg=1 index=0\nLD.LD sp=0 areg=1 dram=0")
    program = load(Path(__file__).with_name("version-1.jiriki"))
    assert program == with_entry(make_program(moved), parameters=(Parameter("offset"),))
    assert from_bytes(to_bytes(program)).content_hash() == program.content_hash()


def test_an_altered_file_of_the_first_version_is_refused():
    data = bytearray(Path(__file__).with_name("version-1.jiriki").read_bytes())
    data[len(data) // 2] ^= 4
    with pytest.raises(ProgramError, match="SHA-256"):
        from_bytes(bytes(data))


def test_entries_states_and_ranges_come_back(program, tmp_path):
    whole = two_entries(program)
    save(whole, tmp_path / "two.jiriki")
    read = load(tmp_path / "two.jiriki")
    assert read == whole
    assert [entry.name for entry in read.entries] == ["prompt", "token"]
    assert read.entry("token").parameters == (Parameter("position", 0, 512, 64),)
    assert read.state("kept").initial == b"contents"


def test_data_are_mapped_not_read(program, tmp_path):
    save(program, tmp_path / "example.jiriki")
    read = load(tmp_path / "example.jiriki")
    assert all(isinstance(segment.data, memoryview) for segment in read.segments)
    assert np.array_equal(read.image(), program.image())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instructions": 99}, "truncated"),
        ({"instructions": -1}, "not a count"),
        ({"dram_bytes": 100}, "passes the image"),
        ({"segments": []}, "bytes where"),
        ({"states": [[{}, 0, hashlib.sha256(b"").hexdigest()]]}, "binding with keys"),
        ({"entries": [{"name": "main", "first": 0}]}, "malformed header"),
        ({"entries": [[1]]}, "malformed header"),
        ({"name": None, "notes": 7}, "malformed header"),
        ({"code": "zz"}, "malformed header"),
    ],
)
def test_a_forged_header_is_refused(program, changes, message):
    with pytest.raises(ProgramError, match=message):
        from_bytes(resealed(program, **changes))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("axis", "1", "of another type"), ("dtype", "nono", "malformed"), ("shape", [-1], "count")],
)
def test_a_forged_binding_is_refused(program, key, value, message):
    entry = json.loads(program.header())["entries"][0]
    entry["inputs"][0][key] = value
    with pytest.raises(ProgramError, match=message):
        from_bytes(resealed(program, entries=[entry]))


@pytest.mark.parametrize("limits", [{"low": 0.5}, {"low": True}, {"lower": 3}, {"high": None}])
def test_a_forged_parameter_is_refused(program, limits):
    entry = json.loads(program.header())["entries"][0]
    entry["parameters"] = [{"name": "n", **limits}]
    with pytest.raises(ProgramError, match="malformed header"):
        from_bytes(resealed(program, entries=[entry]))


def test_a_word_that_is_no_instruction_is_refused(program):
    code = bytes([31]) + bytes(15) + program.code_bytes()[16:]
    data = resealed(program, code=hashlib.sha256(code).hexdigest())
    with pytest.raises(ProgramError, match=r"instruction 0: .*opcode 31 is unknown"):
        from_bytes(data.replace(program.code_bytes(), code))


def test_another_version_or_another_file_is_refused(program, tmp_path):
    data = bytearray(to_bytes(program))
    data[8] = 9
    with pytest.raises(ProgramError, match="version 9 is none of 1, 2"):
        from_bytes(bytes(data))
    with pytest.raises(ProgramError, match="does not start like one"):
        from_bytes(b"\x08\x07\x12 an ONNX model, not one of ours, long enough to look at")
    with pytest.raises(ProgramError, match=r"cannot read .*missing\.jiriki: No such file"):
        load(tmp_path / "missing.jiriki")


class FullDisk(io.BytesIO):
    """A file that takes a few bytes and then has no room."""

    def write(self, data):
        super().write(data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(program, tmp_path, monkeypatch):
    path = tmp_path / "example.jiriki"
    path.write_bytes(b"old")

    def create_full(self, mode):
        self.touch()
        return FullDisk()

    monkeypatch.setattr(Path, "open", create_full)
    with pytest.raises(
        ProgramError, match=r"cannot write .*No space left on device; free some space"
    ):
        save(program, path)
    monkeypatch.undo()

    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["example.jiriki"]


def test_a_missing_folder_is_one_clear_line(program, tmp_path):
    with pytest.raises(ProgramError, match=r"cannot write .*No such file or directory"):
        save(program, tmp_path / "nowhere" / "example.jiriki")
