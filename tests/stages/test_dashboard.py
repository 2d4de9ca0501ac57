"""The dashboard's pages against tables with rows in them, on both databases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from medaet.cli.explain import sentence
from medaet.errors import DatabaseUnavailableError, PeerRefusedError
from medaet.queue.jobs import JobQueue
from medaet.queue.trainings import TrainingQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.tables import DeliveryState, JobState, StudyRow
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE, Shelf
from medaet_daemon.dashboard.listings import ROWS_A_PAGE, Listings
from tests.stages.dashboards import (
    MARKUP,
    PICTURE,
    Hall,
    configured,
    deliveries,
    filled,
    running,
    with_users,
)

PAGES = ("/", "/studies", "/studies/1", "/jobs", "/jobs/1", "/deliveries", "/peers", "/plugins")


@pytest.fixture
def shelf(tmp_path: Path, database_url: str, database: Database, clock: FakeClock) -> Shelf:
    return filled(database, configured(tmp_path, database_url), clock)


@pytest.fixture
def hall(shelf: Shelf, tmp_path: Path, database_url: str, clock: FakeClock) -> Iterator[Hall]:
    with running(with_users(configured(tmp_path, database_url)), clock) as one:
        yield one


def test_every_page_shows_what_the_tables_hold(
    hall: Hall, shelf: Shelf, database: Database, clock: FakeClock
) -> None:
    queue = deliveries(database, clock)
    (taken,) = queue.lease_batch("sender", LEASE)
    queue.fail(taken, PeerRefusedError("A900: no such class"))
    TrainingQueue(database, clock).enqueue(name="lungs", version="2", configuration={}, folder="x")
    visitor = hall.operator()

    said = {path: visitor.get(path).text for path in (*PAGES, "/trainings")}
    assert "1 job is dead." in said["/"]
    assert "1 delivery is dead for pacs." in said["/"]
    assert "CT1" in said["/"]
    assert "slices are missing" in said["/jobs"]
    assert "A900: no such class" in said["/deliveries"]
    assert "10.0.0.11:104" in said["/peers"]
    assert "chest-ct" in said["/plugins"]
    assert "lungs" in said["/trainings"]
    events = EventStore(database).of_study("1.2")
    assert events
    words = said["/studies/1"].replace("&#39;", "'")
    places = [words.index(sentence(one)) for one in events]
    assert places == sorted(places)


def test_what_a_scanner_sends_is_never_markup(hall: Hall) -> None:
    page = hall.viewer().get("/studies/1").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert MARKUP not in page
    assert "<script" not in page


def test_titles_and_addresses_name_no_uid(hall: Hall) -> None:
    visitor = hall.operator()
    for path in PAGES:
        page = visitor.get(path).text
        title = page.partition("<title>")[2].partition("</title>")[0]
        assert title.endswith(" - MedAET")
        assert "1.2" not in title
        assert "1.2" not in "".join(part.partition('"')[0] for part in page.split('href="')[1:])


def test_study_is_found_by_its_uid_which_stays_out_of_the_address(hall: Hall) -> None:
    visitor = hall.viewer()
    found = visitor.post("/studies/find", {"uid": " 1.2 "})
    assert (found.status, found.headers["location"]) == (303, "/studies/1")
    lost = visitor.post("/studies/find", {"uid": "1.2.3.4' OR 1=1"})
    assert lost.headers["location"] == "/studies"
    assert "No study of that UID" in visitor.get("/studies").text
    assert "No study of that UID" not in visitor.get("/studies").text


def test_pictures_are_served_by_number_and_nothing_else_is(hall: Hall) -> None:
    visitor = hall.viewer()
    picture = visitor.get("/jobs/1/pictures/1")
    assert (picture.status, picture.body) == (200, PICTURE)
    assert picture.headers["content-type"] == "image/png"
    assert '<img src="/jobs/1/pictures/1" alt="Overlay of lungs: ct"' in visitor.get("/jobs/1").text
    for path in ("2", "0", "-1", "ct.png", "..%2f..%2fmedaet.db", "1%00", "other.dcm"):
        assert visitor.get(f"/jobs/1/pictures/{path}").status == 404, path
    folder = hall.config.spool.path / "results" / "1"
    (folder / "a.png").symlink_to(folder / "other.dcm")
    assert visitor.get("/jobs/1/pictures/1").status == 404


def test_dead_job_is_retried_and_a_waiting_one_buried_with_who_did_it(
    hall: Hall, shelf: Shelf
) -> None:
    visitor = hall.operator()
    assert visitor.post("/jobs/2/retry").status == 303
    assert "Job 2 is ready again." in visitor.get("/jobs/2").text
    assert shelf.queue.get(2).state is JobState.READY
    assert visitor.post("/jobs/3/bury", {"reason": "of no\r\nuse"}).status == 303
    buried = shelf.queue.get(3)
    assert (buried.state, buried.last_error) == (JobState.DEAD, "buried by anna: of no use")
    visitor.post("/jobs/1/retry")
    assert "Nothing was changed: job 1 is done" in visitor.get("/jobs/1").text


def test_dead_delivery_is_retried(hall: Hall, database: Database, clock: FakeClock) -> None:
    queue = deliveries(database, clock)
    (taken,) = queue.lease_batch("sender", LEASE)
    queue.fail(taken, PeerRefusedError("no"))
    assert hall.operator().post(f"/deliveries/{taken.id}/retry").status == 303
    assert [one.state for one in queue.list()] == [DeliveryState.READY]


def test_who_may_only_look_is_offered_nothing_and_decides_nothing(hall: Hall, shelf: Shelf) -> None:
    visitor = hall.viewer()
    for path in PAGES:
        assert "/retry" not in visitor.get(path).text
    for path in ("/jobs/2/retry", "/jobs/3/bury", "/deliveries/1/retry"):
        assert visitor.post(path).status == 403
    assert [one.state for one in shelf.queue.list()] == [
        JobState.READY,
        JobState.DEAD,
        JobState.DONE,
    ]


def test_lists_turn_pages_without_leaving_a_row_out(
    hall: Hall, shelf: Shelf, database: Database, clock: FakeClock
) -> None:
    for number in range(60):
        shelf.enqueue(shelf.job(f"more {number}", analysis=f"a{number}"))
    with database.write() as session:
        session.add_all(
            StudyRow(
                study_instance_uid=f"1.3.{number}",
                first_received_at=clock.now(),
                last_received_at=clock.now(),
            )
            for number in range(60)
        )
    listings = Listings(hall.board.reader)
    queue = JobQueue(hall.board.reader, hall.board.clock)
    first = queue.list(limit=ROWS_A_PAGE)
    rest = queue.list(before=first[-1].id, limit=ROWS_A_PAGE)
    assert [one.id for one in (*first, *rest)] == list(range(63, 0, -1))
    pages = [one.id for number in (1, 2) for one in listings.studies(number)]
    assert sorted(pages) == list(range(1, 62))
    visitor = hall.viewer()
    assert f'href="/jobs?before={first[-1].id}"' in visitor.get("/jobs").text
    assert 'href="/studies?page=2"' in visitor.get("/studies").text


HOSTILE = (
    *("/jobs?before=-1", "/jobs?before=1%00", "/jobs?before=" + "9" * 10, "/jobs?state=DROP"),
    *("/studies?page=0x1", "/studies?page=" + "9" * 4000, "/jobs/" + "9" * 3000, "/jobs/01"),
    *("/studies/1%2f..%2f2", "/static/../medaet.css", "/static/%2e%2e/board.py", "/%ff%fe"),
    *("/jobs?state=dead&state='", "//jobs/1", "/pages/a/b", "/studies/999999999"),
)


def test_hostile_address_gets_a_plain_refusal(hall: Hall) -> None:
    visitor = hall.viewer()
    for path in HOSTILE:
        answer = visitor.get(path)
        assert answer.status in (400, 404), path
        assert "9" * 30 not in answer.text


def test_largest_numbers_that_are_taken_find_nothing(hall: Hall) -> None:
    visitor = hall.viewer()
    assert visitor.get("/studies?page=" + "9" * 9).status == 200
    assert visitor.get("/jobs?before=" + "9" * 9).status == 200
    assert visitor.get("/jobs/" + "9" * 9).status == 404


def test_database_itself_refuses_what_pages_would_write(hall: Hall) -> None:
    with (
        pytest.raises((DatabaseUnavailableError, InternalError), match=r"read-?only"),
        hall.board.reader.write() as session,
    ):
        session.execute(text("DELETE FROM study"))
    assert hall.board.reader.engine.pool is not hall.board.writer.engine.pool


def test_health_says_nothing_but_whether_the_database_answers(hall: Hall) -> None:
    answer = hall.visitor().get("/healthz")
    assert (answer.status, answer.body) == (200, b"ok\n")
