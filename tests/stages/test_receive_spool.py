"""The storage SCP with the spool and the index behind it, on each kind of database."""

from pathlib import Path

import pytest
from pydicom import dcmread
from sqlalchemy import func, select
from structlog.testing import capture_logs

from medaet.clock import SystemClock
from medaet.network.scu import send
from medaet.network.spooling import SpoolSink
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.instances import Conflict
from medaet.store.tables import InstanceRow, SeriesRow
from tests.stages.receiving import Listening, changed, data_set, is_answered, sample, statuses


def _sink(spool: Path, database: Database, conflict: Conflict = "use-newest") -> SpoolSink:
    return SpoolSink(Spool(spool, durable=False), database, SystemClock(), conflict=conflict)


def _files(spool: Path) -> list[Path]:
    return [path for path in spool.rglob("*") if path.is_file()]


def _rows(database: Database) -> list[InstanceRow]:
    with database.read() as session:
        return list(session.scalars(select(InstanceRow).order_by(InstanceRow.id)))


def _series(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(SeriesRow)) or 0


def test_row_says_where_the_pixels_lie_and_how_to_read_them(
    serve_own: Listening, database: Database, spool: Spool
) -> None:
    with serve_own(SpoolSink(spool, database, SystemClock())) as peer:
        assert statuses(peer, sample()) == [0]
    [row] = _rows(database)
    assert row.pixel_offset is not None
    assert row.pixel_length is not None
    content = spool.path(row.path).read_bytes()
    dataset = dcmread(sample())
    assert content[row.pixel_offset :][: row.pixel_length] == dataset.PixelData
    assert len(content) == row.size_bytes
    assert (row.attributes["Rows"], row.attributes["BitsAllocated"]) == (128, 16)
    assert row.attributes["ImagePositionPatient"] == "-158.135803\\-179.035797\\-75.699997"


@pytest.mark.parametrize("count", [1, 3])
def test_repeated_instance_is_stored_once(
    serve: Listening, database: Database, tmp_path: Path, count: int
) -> None:
    with serve(_sink(tmp_path / "spool", database)) as peer:
        assert statuses(peer, sample(), *[sample()] * count) == [0] * (count + 1)
    assert (len(_rows(database)), _series(database)) == (1, 1)
    assert len(_files(tmp_path / "spool")) == 1


def test_other_bytes_under_a_known_uid_are_kept_beside_and_logged(
    serve: Listening, database: Database, tmp_path: Path
) -> None:
    other = changed(tmp_path, SeriesDescription="reconstructed again")
    spool = tmp_path / "spool"
    with capture_logs() as events, serve(_sink(spool, database)) as peer:
        assert statuses(peer, sample(), other, sample(), other) == [0, 0, 0, 0]
    first, second = _rows(database)
    assert first.replaced_at is not None
    assert second.replaced_at is None
    assert data_set((spool / second.path).read_bytes()) == data_set(other.read_bytes())
    assert len(_files(spool)) == 2
    assert len([one for one in events if one["event"] == "instance.replaced"]) == 1


def test_other_bytes_under_a_known_uid_are_kept_but_not_used_where_the_first_count(
    serve_own: Listening, database: Database, tmp_path: Path
) -> None:
    other = changed(tmp_path, SeriesDescription="reconstructed again")
    sink = _sink(tmp_path / "spool", database, "use-first")
    with serve_own(sink) as peer:
        assert statuses(peer, sample(), other, other) == [0, 0, 0]
    first, second = _rows(database)
    assert first.replaced_at is None
    assert second.replaced_at is not None
    assert len(_files(tmp_path / "spool")) == 2


def test_other_bytes_under_a_known_uid_are_refused_where_that_is_wished(
    serve_own: Listening, database: Database, tmp_path: Path
) -> None:
    other = changed(tmp_path, SeriesDescription="reconstructed again")
    sink = _sink(tmp_path / "spool", database, "refuse")
    with serve_own(sink) as peer:
        assert statuses(peer, sample(), other, sample()) == [0, 0xC000, 0]
    assert len(_rows(database)) == 1
    assert len(_files(tmp_path / "spool")) == 1


def test_disk_that_fills_up_leaves_neither_file_nor_row(
    serve: Listening, database: Database, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", durable=False)
    with serve(SpoolSink(spool, database, SystemClock())) as peer:
        outcomes = send(peer, "SCANNER", [sample(), sample("MR_small.dcm")])
        assert next(outcomes).status == 0
        spool._minimum_free_bytes = 1 << 62
        full = next(outcomes)
        assert full.status == 0xA700
        assert str(tmp_path) not in full.comment
        assert list(outcomes) == []
        assert not is_answered(peer)
    assert len(_rows(database)) == 1
    assert len(_files(spool.root)) == 1


def test_refused_instance_leaves_neither_file_nor_row(
    serve: Listening, database: Database, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(sample().read_bytes()[:-1000])
    with serve(_sink(tmp_path / "spool", database)) as peer:
        assert statuses(peer, cut) == [0xC000]
    assert _rows(database) == []
    assert _files(tmp_path / "spool") == []
