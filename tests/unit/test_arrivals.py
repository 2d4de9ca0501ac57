"""Instances on their way into the spool: never half there, and as durable as was promised."""

import errno
import hashlib
import os
import re
import stat
import threading
from pathlib import Path

import pytest

from medaet.errors import OutOfSpaceError
from medaet.store import arrivals as module
from medaet.store import folder as names
from medaet.store.arrivals import Arrivals
from medaet.store.files import ReceivedFile, Spool

HUGE = 1 << 62


def _files(root: Path) -> list[str]:
    return sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())


def _put(arrivals: Arrivals, *pieces: bytes) -> ReceivedFile:
    arrival = arrivals.open()
    try:
        arrival.write(pieces)
        stored = arrival.settle()
    except OutOfSpaceError:
        arrival.discard()
        raise
    arrival.close()
    return stored


def test_pieces_are_written_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    arrival = Arrivals(spool).open()
    arrival.write([b"DI", memoryview(b"xCMx")[1:3]])
    arrival.write([b"", b"!"])
    assert arrival.read(1, 3) == b"ICM"
    assert arrival.sha256() == hashlib.sha256(b"DICM!").hexdigest()
    stored = arrival.settle()
    arrival.close()
    assert spool.path(stored.path).read_bytes() == b"DICM!"
    assert stored.size_bytes == 5


def test_names_are_numbers_in_a_folder_of_the_process(tmp_path: Path) -> None:
    arrivals = Arrivals(Spool(tmp_path))
    first, second = _put(arrivals, b"1"), _put(arrivals, b"2")
    assert re.fullmatch(r"instances/[0-9a-f]{16}/0001\.dcm", first.path)
    assert second.path == first.path.replace("0001", "0002")
    assert Arrivals(Spool(tmp_path)).open().read(0, 1) == b""
    other = _put(Arrivals(Spool(tmp_path)), b"3")
    assert Path(other.path).parent != Path(first.path).parent


def test_full_folder_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "FILES_A_FOLDER", 2)
    arrivals = Arrivals(Spool(tmp_path))
    folders = [Path(_put(arrivals, b"x").path).parent for _ in range(5)]
    assert [folders.count(one) for one in dict.fromkeys(folders)] == [2, 2, 1]


def test_folder_that_was_removed_is_followed_by_another(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    arrivals = Arrivals(spool)
    path = spool.path(_put(arrivals, b"1").path)
    path.unlink()
    path.parent.rmdir()
    assert spool.path(_put(arrivals, b"2").path).read_bytes() == b"2"


def test_threads_never_share_a_name(tmp_path: Path) -> None:
    arrivals = Arrivals(Spool(tmp_path, durable=False))
    paths: list[str] = []
    threads = [
        threading.Thread(target=lambda: paths.extend(_put(arrivals, b"x").path for _ in range(50)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 400 == len(_files(tmp_path))


def test_nobody_else_may_read(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    mode = spool.path(_put(Arrivals(spool), b"a").path).stat().st_mode
    assert stat.S_IMODE(mode) & stat.S_IRWXO == 0


def test_open_refuses_when_the_reserve_is_touched(tmp_path: Path) -> None:
    with pytest.raises(OutOfSpaceError, match="minimum_free_bytes"):
        Arrivals(Spool(tmp_path, minimum_free_bytes=HUGE)).open()
    assert _files(tmp_path) == []


def test_write_refuses_once_the_reserve_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    arrival = Arrivals(spool).open()
    arrival.write([b"x" * 100])
    monkeypatch.setattr(module, "BYTES_A_CHECK", 10)
    arrival = Arrivals(spool).open()
    arrival.write([b"x" * 100])
    spool._minimum_free_bytes = HUGE
    with pytest.raises(OutOfSpaceError, match="minimum_free_bytes"):
        arrival.write([b"x"])


def test_disk_that_takes_a_part_of_a_write_gets_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, pieces: writev(fd, [memoryview(pieces[0])[:3]]))
    spool = Spool(tmp_path)
    stored = _put(Arrivals(spool), b"0123456789", b"", b"ab", b"c")
    assert spool.path(stored.path).read_bytes() == b"0123456789abc"
    assert stored.size_bytes == 13


@pytest.mark.parametrize("name", ["open", "writev", "fdatasync", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_nothing_is_left_behind_when_a_call_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    spool = Spool(tmp_path)
    arrivals = Arrivals(spool)
    kept = _put(arrivals, b"earlier")
    with monkeypatch.context() as broken:
        broken.setattr(os, name, fail)
        with pytest.raises(OutOfSpaceError, match=os.strerror(number)):
            _put(arrivals, b"a")
    assert [one for one in _files(tmp_path) if one != kept.path] in ([], ["instances"])
    assert spool.path(_put(arrivals, b"a").path).read_bytes() == b"a"


def test_folder_whose_names_could_not_be_synced_gets_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals = Arrivals(Spool(tmp_path))
    first = _put(arrivals, b"1")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
        with pytest.raises(OutOfSpaceError):
            _put(arrivals, b"2")
    assert Path(_put(arrivals, b"3").path).parent != Path(first.path).parent


def test_bytes_and_name_are_synced_before_anybody_hears_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path)
    arrivals = Arrivals(spool)
    calls = _listen(monkeypatch, tmp_path)
    stored = _put(arrivals, b"a")
    folder = str(Path(stored.path).parent)
    syncs = {f"fdatasync {stored.path}", f"fsync {folder}"}
    assert calls[:3] == ["fsync instances", "fsync .", f"rename {stored.path}"]
    assert (len(calls), set(calls[3:])) == (5, syncs)
    calls.clear()
    again = _put(arrivals, b"b")
    assert calls[0] == f"rename {again.path}"
    assert sorted(calls[1:]) == [f"fdatasync {again.path}", f"fsync {folder}"]


def test_nothing_is_synced_in_mode_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = Arrivals(Spool(tmp_path, durable=False))
    calls = _listen(monkeypatch, tmp_path)
    _put(arrivals, b"a")
    assert [call.split()[0] for call in calls] == ["rename"]


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    arrivals = Arrivals(Spool(tmp_path))
    early, late = arrivals.open(), arrivals.open()
    early.write([b"half"])
    early.discard()
    late.write([b"whole"])
    late.settle()
    late.discard()
    late.discard()
    assert _files(tmp_path) == []


def _listen(monkeypatch: pytest.MonkeyPatch, root: Path) -> list[str]:
    """Write down each sync and rename, by path relative to the spool."""
    calls: list[str] = []
    rename = os.rename

    def noted(name: str) -> None:
        call = getattr(os, name)

        def noting(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(root)
            calls.append(f"{name} {path}")
            call(descriptor)

        monkeypatch.setattr(os, name, noting)

    def rename_noted(source: str, target: str, *, dst_dir_fd: int) -> None:
        folder = Path(f"/proc/self/fd/{dst_dir_fd}").readlink().relative_to(root)
        calls.append(f"rename {folder}/{target}")
        rename(source, target, dst_dir_fd=dst_dir_fd)

    noted("fsync")
    noted("fdatasync")
    monkeypatch.setattr(os, "rename", rename_noted)
    return calls
