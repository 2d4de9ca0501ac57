"""The spool: files that are complete and synced before anyone hears of them."""

import errno
import hashlib
import os
import re
import stat
from pathlib import Path

import pytest

from medaet.dicom.identity import hashed
from medaet.errors import OutOfSpaceError
from medaet.store.files import Spool, StoredFile
from medaet.testing.rows import header

HUGE = 1 << 62


def _files(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def test_put_writes_the_pieces_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.put(header(), [b"DI", memoryview(b"xCMx")[1:3], bytearray(b"!")])
    assert spool.path(stored.path).read_bytes() == b"DICM!"
    assert stored.size_bytes == 5
    assert stored.sha256 == hashlib.sha256(b"DICM!").hexdigest()


def test_put_names_files_by_hashes_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.put(header(7), [b"bytes"])
    name = hashed("1.2.1.1.7")
    digest = hashlib.sha256(b"bytes").hexdigest()
    assert stored.path == f"instances/{name[:2]}/{name}/{digest}.dcm"
    assert re.fullmatch(r"instances/[0-9a-f]{2}/[0-9a-f]{64}/[0-9a-f]{64}\.dcm", stored.path)
    assert _files(tmp_path) == [stored.path]


def test_put_keeps_both_when_bytes_under_one_uid_differ(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    first, second = spool.put(header(), [b"one"]), spool.put(header(), [b"two"])
    assert spool.path(first.path).read_bytes() == b"one"
    assert spool.path(second.path).read_bytes() == b"two"


def test_put_makes_one_file_of_the_same_bytes_twice(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    assert spool.put(header(), [b"one"]) == spool.put(header(), [b"one"])
    assert len(_files(tmp_path)) == 1


def test_put_takes_more_pieces_than_one_system_call_does(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.put(header(), [bytes([n % 256]) for n in range(5000)])
    assert spool.path(stored.path).read_bytes() == bytes(n % 256 for n in range(5000))


def test_put_takes_an_empty_piece(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    stored = spool.put(header(), [b"", b"a", b"", b"b", b""])
    assert spool.path(stored.path).read_bytes() == b"ab"


def test_put_lets_nobody_else_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    mode = spool.path(spool.put(header(), [b"a"]).path).stat().st_mode
    assert stat.S_IMODE(mode) & stat.S_IRWXO == 0


def test_put_refuses_when_the_reserve_would_be_touched(tmp_path: Path) -> None:
    spool = Spool(tmp_path, minimum_free_bytes=HUGE)
    with pytest.raises(OutOfSpaceError, match="minimum_free_bytes"):
        spool.put(header(), [b"a"])
    assert _files(tmp_path) == []


@pytest.mark.parametrize("name", ["open", "writev", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_put_leaves_no_part_behind_when_a_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    spool = Spool(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(os, name, fail)
        with pytest.raises(OutOfSpaceError, match=os.strerror(number)):
            spool.put(header(), [b"a"])
    assert _files(tmp_path) == []
    assert spool.path(spool.put(header(), [b"a"]).path).read_bytes() == b"a"


def test_put_syncs_the_file_before_its_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    calls = _listen(monkeypatch, tmp_path)
    stored = spool.put(header(), [b"a"])
    folder = str(Path(stored.path).parent)
    shelf = str(Path(folder).parent)
    assert calls == [
        "fsync in/*.part",
        f"rename {stored.path}",
        f"fsync {folder}",
        f"fsync {shelf}",
        "fsync instances",
        "fsync .",
    ]


def test_put_syncs_only_what_changed_once_the_folders_above_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    spool.put(header(), [b"a"])
    calls = _listen(monkeypatch, tmp_path)
    spool.put(header(), [b"b"])
    assert [call.split()[0] for call in calls] == ["fsync", "rename", "fsync", "fsync"]


def test_put_syncs_nothing_in_mode_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, durable=False)
    calls = _listen(monkeypatch, tmp_path)
    spool.put(header(), [b"a"])
    assert [call.split()[0] for call in calls] == ["rename"]


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


def test_adopt_result_replaces_an_earlier_copy(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    _adopted(spool, b"old")
    stored = _adopted(spool, b"new")
    assert spool.path(stored.path).read_bytes() == b"new"
    assert len(_files(tmp_path)) == 1


def test_recover_removes_what_was_being_written_and_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    kept = spool.put(header(), [b"a"])
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
