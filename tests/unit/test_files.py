"""The spool: results that are complete and synced before anyone hears of them, and where everything lies."""

import hashlib
import os
from pathlib import Path

import pytest

from medaet.dicom.identity import hashed
from medaet.errors import OutOfSpaceError
from medaet.store.files import Spool

HUGE = 1 << 62


def _files(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def test_write_result_writes_the_pieces_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.write_result(1, "1.2.9", [b"DI", memoryview(b"xCMx")[1:3], bytearray(b"!")])
    assert spool.path(stored.path).read_bytes() == b"DICM!"
    assert stored.size_bytes == 5
    assert stored.sha256 == hashlib.sha256(b"DICM!").hexdigest()


def test_write_result_writes_more_pieces_than_a_call_takes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.write_result(1, "1.2.9", [bytes([n % 256]) for n in range(5000)])
    assert spool.path(stored.path).read_bytes() == bytes(n % 256 for n in range(5000))


def test_write_result_refuses_when_the_reserve_would_be_touched(tmp_path: Path) -> None:
    spool = Spool(tmp_path, minimum_free_bytes=HUGE)
    with pytest.raises(OutOfSpaceError, match="minimum_free_bytes"):
        spool.write_result(1, "1.2.9", b"SEG")
    assert _files(tmp_path) == []


def test_write_result_is_synced_even_in_mode_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, durable=False)
    calls = _listen(monkeypatch, tmp_path)
    stored = spool.write_result(12, "1.2.9", b"SEG")
    assert stored.path == f"results/12/{hashed('1.2.9')}.dcm"
    assert spool.path(stored.path).read_bytes() == b"SEG"
    assert [call.split()[0] for call in calls[:3]] == ["fsync", "rename", "fsync"]


def test_write_result_replaces_an_earlier_copy(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.write_result(12, "1.2.9", b"old")
    stored = spool.write_result(12, "1.2.9", [b"n", b"ew"])
    assert spool.path(stored.path).read_bytes() == b"new"
    assert len(_files(tmp_path)) == 1


def test_recover_removes_what_was_being_written_and_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    kept = spool.write_result(1, "1.2.9", b"SEG")
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
