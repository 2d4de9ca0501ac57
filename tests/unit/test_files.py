"""The spool: results that are complete and synced before anyone hears of them, and where everything lies."""

import hashlib
import os
from pathlib import Path

import pytest

from medaet.dicom.identity import hashed
from medaet.errors import OutOfSpaceError
from medaet.store.files import Spool, StoredFile


def _files(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def _adopted(spool: Spool, content: bytes) -> StoredFile:
    path = spool.root / "in" / "result"
    path.write_bytes(content)
    return spool.adopt_result(12, "1.2.9", path)


def test_adopt_result_is_synced_even_in_mode_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, durable=False)
    calls = _listen(monkeypatch, tmp_path)
    stored = _adopted(spool, b"SEG")
    assert stored.path == f"results/12/{hashed('1.2.9')}.dcm"
    assert spool.path(stored.path).read_bytes() == b"SEG"
    assert [call.split()[0] for call in calls[:3]] == ["fsync", "rename", "fsync"]


def test_adopt_result_knows_its_size_and_digest(tmp_path: Path) -> None:
    stored = _adopted(Spool(tmp_path), b"SEG")
    assert (stored.size_bytes, stored.sha256) == (3, hashlib.sha256(b"SEG").hexdigest())


def test_adopt_result_replaces_an_earlier_copy(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _adopted(spool, b"old")
    stored = _adopted(spool, b"new")
    assert spool.path(stored.path).read_bytes() == b"new"
    assert len(_files(tmp_path)) == 1


def test_recover_removes_what_was_being_written_and_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    kept = _adopted(spool, b"SEG")
    (tmp_path / "in" / "0123.part").write_bytes(b"half")
    assert Spool(tmp_path).recover() == 1
    assert _files(tmp_path) == [kept.path]


def test_folders_of_a_job_are_apart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    folders = {spool.work(1, 2), spool.work(1, 3), spool.findings(1, 2), spool.results(1)}
    assert len(folders) == 4
    assert all(tmp_path in one.parents for one in folders)


def test_spool_says_when_its_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutOfSpaceError, match="cannot be written"):
        Spool(tmp_path / "file" / "spool")


def _listen(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """Write down each sync and rename, by path relative to the spool."""
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def fsync_noted(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root)
        calls.append(f"fsync {'in/*.part' if path.suffix == '.part' else path}")
        fsync(descriptor)

    def rename_noted(source: Path, target: Path) -> None:
        calls.append(f"rename {target.relative_to(root)}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync_noted)
    monkeypatch.setattr(os, "rename", rename_noted)
    return calls
