"""Pages of plugins: rendered and escaped by the dashboard, made elsewhere, and never the end of it."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from medaet.errors import PluginError
from medaet.plugin.hooks import Delivered
from medaet.plugin.registry import discover
from medaet.plugin.web import WebPage
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE
from medaet_daemon.dashboard import plugin_pages
from medaet_daemon.dashboard.plugin_page import answer_to, said_of
from tests.stages.dashboards import Hall, configured, deliveries, running, with_users

PLUGIN = """
import os, time
from medaet import hookimpl
from medaet.plugin.web import Paragraph, Table, WebPage

def markup(context):
    print("what plugins print is not part of the answer")
    os.write(1, b"nor is this")
    return [Paragraph("<b>bold</b>"), Table("<i>", ["<u>", "n"], [["{{ 7 * 7 }}", None], ["</td><script>", 3]])]

def raises(context):
    raise ValueError("DOE^JANE")

def hangs(context):
    if os.fork() == 0:
        time.sleep(600)
    while True:
        pass

def dies(context):
    os._exit(3)

def eats(context):
    return [bytearray(1 << 33)]

def nonsense(context):
    return ["<b>markup of its own</b>"]

def ragged(context):
    return [Table("t", ["a", "b"], [[1]])]

def long(context):
    return [Table("t", ["a"] * 30, [["x" * 500] * 30] * 1000)]

def writes(context):
    context.rows("DELETE FROM study")

def asks(context):
    rows = context.rows("SELECT analysis FROM job WHERE study_id = :study ORDER BY id", study=1)
    return [Table("Jobs", ["Analysis"], [(row["analysis"],) for row in rows])]

@hookimpl
def medaet_web_pages():
    return [WebPage(one.__name__, "Page " + one.__name__, one)
            for one in (markup, raises, hangs, dies, eats, nonsense, ragged, long, writes, asks)]
"""
WRONG = """
from medaet import hookimpl

@hookimpl
def medaet_web_pages():
    return ["no page"]
"""


def _install(folder: Path, **modules: str) -> None:
    """Lay out installed plugins."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
        info = folder / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[medaet.plugins]\n{name} = {name}\n")


@pytest.fixture
def hall(
    dashboard_url: str, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Hall]:
    packages = tmp_path / "packages"
    packages.mkdir()
    _install(packages, pages=PLUGIN, wrong=WRONG)
    monkeypatch.syspath_prepend(packages)
    monkeypatch.setenv("PYTHONPATH", str(packages))
    hooks = {"plugins": ["wrong", "pages", "delivery-ledger"]}
    config = with_users(configured(tmp_path, dashboard_url, hooks=hooks))
    with running(config, clock) as one:
        yield one


def test_page_of_a_plugin_is_text_in_a_table_of_ours(hall: Hall) -> None:
    visitor = hall.viewer()
    page = visitor.get("/pages/pages/markup")
    assert page.status == 200
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "&lt;/td&gt;&lt;script&gt;" in page.text
    assert "<script" not in page.text
    assert 'href="/pages/pages/markup" aria-current="page">Page markup</a>' in page.text


@pytest.mark.parametrize(
    ("name", "said", "error"),
    [
        ("raises", "could not make this page: ValueError", "ValueError"),
        ("hangs", "did not make this page within 3 seconds", "TimeoutExpired"),
        ("dies", "ended without an answer", None),
        ("eats", "could not make this page: MemoryError", "MemoryError"),
    ],
)
def test_bad_page_is_shown_as_failed_and_logged_by_class(
    hall: Hall, name: str, said: str, error: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_pages, "PAGE_SECONDS", 3.0 if name == "hangs" else 30.0)
    visitor = hall.viewer()
    with capture_logs() as logged:
        page = visitor.get(f"/pages/pages/{name}")
    assert page.status == 502
    assert said in page.text
    assert "DOE" not in page.text + json.dumps(logged, default=str)
    (failed,) = [one for one in logged if one["event"] == "hook.failed"]
    assert failed["plugin"] == "pages"
    assert failed.get("error") == error
    assert visitor.get("/jobs").status == 200
    assert _children() == []


def _children() -> list[str]:
    """List the processes of this test that make pages, grandchildren too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if (
                "dashboard.plugin_page" in command
                and os.environ["PYTHONPATH"].encode() in environment
            ):
                found.append(entry.name)
    return found


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("nonsense", "PluginError"),
        ("ragged", "PluginError"),
        ("writes", "DatabaseUnavailableError"),
    ],
)
def test_page_that_is_none_answers_with_its_error(hall: Hall, name: str, error: str) -> None:
    assert _answered(hall, name)["error"] == error


def test_page_that_is_too_long_answers_with_that(hall: Hall) -> None:
    assert "more than" in json.loads(said_of(_answered(hall, "long")))["error"]


def test_page_asks_the_database(hall: Hall) -> None:
    (table,) = _answered(hall, "asks")["blocks"]
    assert table["rows"] == [["lungs"], ["lungs"], ["airways"]]


def _answered(hall: Hall, name: str) -> Mapping[str, Any]:
    """Make a page in this process."""
    asked = {"plugin": "pages", "page": name, "folder": "none"}
    return answer_to({**asked, "database_url": hall.config.database_url})


def test_plugin_that_offers_no_pages_costs_the_others_nothing(hall: Hall) -> None:
    page = hall.viewer().get("/jobs").text
    assert "/pages/wrong/" not in page
    assert "/pages/delivery-ledger/ledger" in page


def test_ledger_is_a_page_that_is_held_against_the_database(hall: Hall, clock: FakeClock) -> None:
    visitor = hall.viewer()
    queue = deliveries(hall.board.writer, clock)
    (taken,) = queue.lease_batch("sender", LEASE)
    queue.sent(taken, 0)
    assert "1 are not in the ledger" in visitor.get("/pages/delivery-ledger/ledger").text
    result = Delivered(taken.job_id, taken.kind, taken.sop_instance_uid, taken.peer, 0)
    discover().hooks(["delivery-ledger"]).delivered(result, hall.config.hooks_path)
    page = visitor.get("/pages/delivery-ledger/ledger").text
    assert "the ledger has every one" in page
    assert "<td>0000</td>" in page


@pytest.mark.parametrize(
    ("name", "title"), [("A", "t"), ("a/b", "t"), ("", "t"), ("a", ""), ("a", "t" * 61)]
)
def test_page_with_a_name_or_title_that_cannot_be_used_is_refused(name: str, title: str) -> None:
    with pytest.raises(PluginError, match="page"):
        WebPage(name, title, lambda _: [])
