"""Who gets into the dashboard, who does not, and what every answer says to browsers."""

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from medaet.store.users import Users, WebRole
from medaet.testing.clock import FakeClock
from medaet_daemon.dashboard.application import ROUTES
from medaet_daemon.dashboard.guard import HEADERS, OPEN
from tests.stages.dashboards import PASSWORD, Hall, configured, running, with_users

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def hall(dashboard_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Hall]:
    with running(with_users(configured(tmp_path, dashboard_url)), clock) as one:
        yield one


def _paths() -> list[tuple[str, str]]:
    """List every route with a method, numbers and names filled in."""
    filled_in = {"{study_id:row}": "1", "{job_id:row}": "1", "{number:row}": "1"}
    filled_in |= {"{delivery_id:row}": "1", "{plugin}": "delivery-ledger", "{name}": "ledger"}
    found = []
    for route in ROUTES:
        path = route.path
        for key, value in filled_in.items():
            path = path.replace(key, value)
        found += [(method, path) for method in sorted(route.methods or ()) if method != "HEAD"]
    return found


def test_no_route_answers_without_a_login_but_those_that_are_meant_to(hall: Hall) -> None:
    visitor = hall.visitor()
    answered = set()
    for method, path in [*_paths(), ("GET", "/nothing"), ("POST", "/nothing")]:
        answer = visitor.ask(method, path, b"csrf=x" if method == "POST" else None, **FORM)
        if method == "POST":
            assert answer.status in (401, 403), path
            assert hall.board.sessions.find(answer.cookies.get("medaet", "")) is None
        elif answer.status == 200:
            answered.add(path)
        else:
            assert (answer.status, answer.headers["location"]) == (303, "/login"), path
            assert answer.body == b""
    assert answered == OPEN


def test_every_answer_forbids_scripts_frames_and_copies(hall: Hall) -> None:
    visitor = hall.operator()
    answers = [visitor.get(path) for _, path in _paths()]
    answers += [hall.visitor().get("/"), visitor.post("/jobs/2/retry"), visitor.get("/nothing")]
    for answer in answers:
        sent = {key.lower(): value for key, value in answer.headers.items()}
        assert {key: sent.get(key) for key in HEADERS} == HEADERS
        assert "server" not in sent
        assert b"<script" not in answer.body
        assert b" style=" not in answer.body
    assert "script-src" not in HEADERS["content-security-policy"]
    assert HEADERS["content-security-policy"].startswith("default-src 'none'")


def test_cookie_is_out_of_reach_of_scripts_and_of_other_sites(hall: Hall, tmp_path: Path) -> None:
    visitor = hall.visitor()
    visitor.get("/login")
    answer = visitor.post("/login", {"name": "anna", "password": PASSWORD})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie  # this host only; sealed ones are tested below


@pytest.mark.parametrize(
    ("name", "password"),
    [
        *(("anna", "wrong password"), ("anna", ""), ("", ""), ("nobody", PASSWORD)),
        *(("anna' OR '1'='1", PASSWORD), ("anna\0", PASSWORD), ("\ud7ff", "x" * 3000)),
    ],
)
def test_wrong_name_or_password_is_refused_in_the_same_words(
    hall: Hall, name: str, password: str
) -> None:
    answer = hall.visitor().log_in(name, password)
    assert answer.status == 403
    assert "Name and password do not fit" in answer.text
    assert "medaet" not in answer.cookies


def test_sixth_try_of_an_address_waits_even_with_the_right_password(
    hall: Hall, clock: FakeClock
) -> None:
    visitor = hall.visitor()
    assert [visitor.log_in(password="no").status for _ in range(5)] == [403] * 5
    throttled = hall.visitor().log_in()
    assert throttled.status == 429
    assert int(throttled.headers["retry-after"]) > 0
    clock.at += timedelta(minutes=5)
    assert hall.visitor().log_in().status == 303


def test_form_of_another_site_changes_nothing(hall: Hall) -> None:
    visitor = hall.operator()
    right = visitor.csrf
    for csrf in ("", "x", right[:-1], right + "x"):
        visitor.csrf = csrf
        assert visitor.post("/jobs/2/retry").status == 403
    visitor.csrf = right
    assert visitor.post("/jobs/2/retry", Sec_Fetch_Site="cross-site").status == 403
    other = hall.operator()
    visitor.csrf = other.csrf
    assert visitor.post("/jobs/2/retry").status == 403
    visitor.csrf = right
    assert visitor.post("/jobs/2/retry", Sec_Fetch_Site="same-origin").status == 303


def test_a_login_form_stays_good_when_the_browser_asks_for_more_behind_its_back(
    hall: Hall,
) -> None:
    visitor = hall.visitor()
    visitor.get("/login")
    shown = visitor.csrf
    assert visitor.get("/favicon.ico").headers["location"] == "/login"
    visitor.get("/login")
    visitor.csrf = shown
    assert visitor.post("/login", {"name": "anna", "password": PASSWORD}).status == 303


def test_login_takes_the_form_that_this_browser_was_given(hall: Hall) -> None:
    one, other = hall.visitor(), hall.visitor()
    one.get("/login")
    other.get("/login")
    other.csrf = one.csrf
    assert other.post("/login", {"name": "anna", "password": PASSWORD}).status == 403
    assert hall.visitor().post("/login", {"name": "anna", "password": PASSWORD}).status == 403


def test_what_is_no_small_form_is_refused(hall: Hall) -> None:
    visitor = hall.operator()
    wrong = [
        visitor.ask("POST", "/jobs/2/retry", b"x" * 9000, **FORM),
        visitor.ask("POST", "/jobs/2/retry", b"csrf=%ff", **FORM),
        visitor.ask("POST", "/jobs/2/retry", b"\xff=1", **FORM),
        visitor.ask("POST", "/jobs/2/retry", b"&".join([b"a=1"] * 99), **FORM),
        visitor.ask("POST", "/jobs/2/retry", b"{}", **{"Content-Type": "application/json"}),
        visitor.ask("POST", "/jobs/2/retry", b""),
    ]
    assert [one.status for one in wrong] == [400] * 6
    assert [visitor.ask(one, "/jobs", None).status for one in ("PUT", "DELETE", "TRACE")] == [
        405
    ] * 3
    assert visitor.get("/jobs/2/retry").status == 405


def test_slow_form_does_not_hold_the_others_up(hall: Hall) -> None:
    with closing(socket.create_connection(("127.0.0.1", hall.port), timeout=10)) as slow:
        slow.sendall(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ncs"
        )
        assert hall.operator().get("/jobs").status == 200


def test_session_ends_by_logout_by_time_and_with_its_user(hall: Hall, clock: FakeClock) -> None:
    visitor = hall.operator()
    token = dict(visitor.cookies)
    assert visitor.post("/logout").headers["location"] == "/login"
    visitor.cookies = token
    assert visitor.get("/jobs").status == 303

    late = hall.operator()
    clock.at += timedelta(seconds=hall.config.web.session_seconds)
    assert late.get("/jobs").status == 303

    users = Users(hall.config.users_path)
    changed, demoted, removed = hall.operator(), hall.viewer(), hall.viewer()
    users.keep("anna", WebRole.OPERATE, "another password")
    assert changed.get("/jobs").status == 303
    assert demoted.get("/jobs").status == 200
    users.remove("ward")
    assert removed.get("/jobs").status == 303


def test_file_of_users_that_others_may_read_lets_nobody_in(hall: Hall) -> None:
    visitor = hall.operator()
    hall.config.users_path.chmod(0o644)
    with capture_logs() as logged:
        assert visitor.get("/jobs").status == 303
        assert hall.visitor().log_in().status == 403
    assert {one["event"] for one in logged} >= {"users.refused", "login.refused"}


def test_nobody_gets_in_before_there_is_a_password(
    dashboard_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    with running(configured(tmp_path, dashboard_url), clock) as hall:
        assert "medaet web password NAME" in hall.visitor().get("/login").text
        for name in ("", "admin", "nobody"):
            assert hall.visitor().log_in(name, "").status == 403


def test_looks_at_a_study_and_decisions_are_written_down_without_the_patient(hall: Hall) -> None:
    visitor = hall.operator()
    with capture_logs() as logged:
        visitor.get("/studies/1")
        visitor.get("/jobs/1")
        visitor.get("/jobs/1/pictures/1")
        visitor.post("/jobs/2/retry")
    viewed = [one for one in logged if one["event"] == "study.viewed"]
    assert [(one["user"], one["study_id"], one["what"]) for one in viewed] == [
        ("anna", 1, "study"),
        ("anna", 1, "job"),
        ("anna", 1, "picture"),
    ]
    (decided,) = [one for one in logged if one["event"] == "decision.taken"]
    assert (decided["user"], decided["action"], decided["job_id"]) == ("anna", "retry", 2)


def test_defect_of_a_page_is_logged_by_class_and_shown_without_its_words(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = hall.operator()

    def fail(*_: object) -> None:
        raise ValueError("DOE^JANE")

    monkeypatch.setattr("medaet_daemon.dashboard.views.attention", fail)
    with capture_logs() as logged:
        answer = visitor.get("/")
    assert answer.status == 500
    assert "This page could not be made" in answer.text
    assert "DOE" not in answer.text + str(logged)
    assert [one["error"] for one in logged if one["event"] == "page.failed"] == ["ValueError"]
    assert visitor.get("/jobs").status == 200
