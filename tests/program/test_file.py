"""The file form comes back whole, refuses anything else in one line, and is never half-written."""

import errno
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from jiriki.program import ProgramError
from jiriki.program.file import from_bytes, load, save, to_bytes


def resealed(data: bytes, old: bytes, new: bytes) -> bytes:
    """Alter the body and make its digest right again, as an attacker would."""
    assert old in data
    body = data[48:].replace(old, new)
    return data[:16] + hashlib.sha256(body).digest() + body


def test_a_program_comes_back_the_same(program, tmp_path):
    program.instructions[3].note = 0
    path = tmp_path / "example.jiriki"

    save(program, path)

    assert load(path) == program
    assert [p.name for p in tmp_path.iterdir()] == ["example.jiriki"]


def test_the_same_program_gives_the_same_bytes(program, make_program, code):
    assert to_bytes(program) == to_bytes(make_program(code))
    assert program.content_hash() == hashlib.sha256(to_bytes(program)).hexdigest()


def test_any_change_changes_the_hash(program):
    other = replace(program, segments=(program.segments[0],))
    assert other.content_hash() != program.content_hash()


def test_every_truncation_is_refused_in_one_line(program):
    data = to_bytes(program)
    for size in (0, 7, 8, 47, 48, 100, len(data) - 1):
        with pytest.raises(ProgramError) as caught:
            from_bytes(data[:size])
        assert "\n" not in str(caught.value)


def test_one_flipped_bit_is_refused(program):
    data = bytearray(to_bytes(program))
    data[len(data) // 2] ^= 4

    with pytest.raises(ProgramError, match="SHA-256"):
        from_bytes(bytes(data))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"instructions":15', b'"instructions":99', "data where"),
        (b'"instructions":15', b'"instructions":-1', "not a count"),
        (b'"dram_bytes":256', b'"dram_bytes":100', "passes the image"),
        (b'"axis":1', b'"bxis":1', "binding with keys"),
        (b'"dtype":"int8"', b'"dtype":"nono"', "malformed header"),
        (b'"name":', b'"mane":', "malformed header"),
        (b"{", b"[", "malformed header"),
    ],
)
def test_a_forged_header_is_refused(program, old, new, message):
    with pytest.raises(ProgramError, match=message):
        from_bytes(resealed(to_bytes(program), old, new))


def test_a_word_that_is_no_instruction_is_refused(program):
    word = bytes([31]) + bytes(15)
    data = to_bytes(program)
    at = data.index(b'"x"') and len(data) - sum(len(s.data) for s in program.segments) - 15 * 20
    body = data[48:at] + word + data[at + 16 :]
    forged = data[:16] + hashlib.sha256(body).digest() + body

    with pytest.raises(ProgramError, match=r"instruction 0: .*opcode 31 is unknown"):
        from_bytes(forged)


def test_another_version_or_another_file_is_refused(program, tmp_path):
    data = bytearray(to_bytes(program))
    data[8] = 9
    with pytest.raises(ProgramError, match="version 9 is not 1"):
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
