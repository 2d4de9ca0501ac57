"""What stands around the dashboard: a reverse proxy before it, and Prometheus that asks it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse
from starlette.types import Message
from structlog.testing import capture_logs

from medaet.testing.clock import FakeClock
from medaet_daemon.dashboard.guard import Neighbours
from tests.stages.dashboards import Hall, configured, running, with_users

TOKEN = "a token of some length"


@pytest.fixture
def hall(dashboard_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Hall]:
    with running(with_users(configured(tmp_path, dashboard_url)), clock) as one:
        yield one


def test_behind_a_proxy_cookies_are_sealed_and_the_browser_s_address_counts(
    dashboard_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    web = {"host": "0.0.0.0", "proxy_addresses": ["127.0.0.1"]}
    with running(with_users(configured(tmp_path, dashboard_url, web=web)), clock) as hall:
        visitor = hall.visitor()
        page = visitor.get("/login", X_Forwarded_For="10.1.2.3", X_Forwarded_Proto="https")
        cookie = page.headers["set-cookie"]
        assert cookie.startswith("__Host-medaet-login=")
        assert "Secure" in cookie
        with capture_logs() as logged:
            visitor.post(
                "/login", {"name": "anna", "password": "no"}, **{"X-Forwarded-For": "10.1.2.3"}
            )
        assert [one["address"] for one in logged] == ["10.1.2.3"]


def _asked_from(address: str) -> list[Message]:
    """Ask what lets in a proxy at 192.0.2.0/30 from an address; what was answered."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    guard = Neighbours(PlainTextResponse("let in"), ["192.0.2.0/30"])
    asyncio.run(guard({"type": "http", "client": (address, 1), "method": "GET"}, receive, send))
    return sent


def test_beside_a_proxy_only_this_host_is_answered() -> None:
    statuses = {one: _asked_from(one)[0]["status"] for one in ("192.0.2.1", "127.0.0.1", "::1")}
    assert set(statuses.values()) == {200}
    assert [_asked_from(one)[0]["status"] for one in ("192.0.2.9", "2001:db8::1", "")] == [403] * 3


def test_metrics_are_read_by_prometheus_and_name_nobody(hall: Hall) -> None:
    answer = hall.visitor().get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {one.name: one for one in text_string_to_metric_families(answer.text)}
    jobs = {
        (one.labels["analysis"], one.labels["state"]): one.value
        for one in found["medaet_jobs"].samples
    }
    assert jobs == {("lungs", "done"): 1, ("lungs", "dead"): 1, ("airways", "ready"): 1}
    (received,) = found["medaet_last_received_timestamp_seconds"].samples
    assert received.labels == {"peer": "ct1"}
    assert found["medaet_spool_free_bytes"].samples[0].value > 0
    assert "1.2." not in answer.text
    assert "CT1" not in answer.text


def test_metrics_are_for_this_host_alone_unless_a_token_is_shown(
    hall: Hall, dashboard_url: str, tmp_path: Path, clock: FakeClock
) -> None:
    assert hall.visitor().get("/metrics", X_Forwarded_For="10.1.2.3").status == 403
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    with running(
        configured(tmp_path, dashboard_url, web={"metrics_token_file": token}), clock
    ) as other:
        visitor = other.visitor()
        assert visitor.get("/metrics").status == 403
        assert visitor.get("/metrics", Authorization=f"Bearer {TOKEN}x").status == 403
        assert visitor.get("/metrics", Authorization=f"Basic {TOKEN}").status == 403
        assert visitor.get("/metrics", Authorization=f"Bearer {TOKEN}").status == 200
        for worthless in ("", "short"):
            token.write_text(worthless)
            assert visitor.get("/metrics", Authorization=f"Bearer {worthless}").status == 403
