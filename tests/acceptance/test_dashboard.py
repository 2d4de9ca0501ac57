"""The dashboard as a process of the daemon: over TLS, kept running, and holding nothing up."""

import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from medaet.demo.site import free_ports
from medaet.store.users import Users, WebRole
from tests.acceptance.hospital import process_ids, wait_until
from tests.peers import system_program
from tests.stages.certificates import Authority

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

PASSWORD = "a password of words"
CONFIGURATION = """\
[listener]
host = "127.0.0.1"
port = {listener}
processes = 1
[spool]
path = "spool"
minimum_free_bytes = 0
[worker]
devices = "cpu"
[hooks]
plugins = ["delivery-ledger"]
[web]
enabled = true
port = {web}
[web.tls]
cert_file = "web.pem"
key_file = "web.key"
"""


@contextmanager
def _daemon(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """Run a whole daemon; yield it, the port of its listener and that of its dashboard."""
    listener, web = free_ports(2)
    certificate, key = Authority.made(folder / "authority").issue("dashboard")
    certificate.rename(folder / "web.pem")
    key.rename(folder / "web.key")
    (folder / "medaet.toml").write_text(CONFIGURATION.format(listener=listener, web=web))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-P", "-m", "medaet_daemon", "--config", "medaet.toml"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield daemon, listener, web
    finally:
        daemon.terminate()
        daemon.wait(60)


def _healthy(port: int, authority: Path) -> bool:
    context = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    with closing(connection):
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().read() == b"ok\n"
        except OSError:
            return False


def test_person_logs_in_by_a_browser_that_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    Users(tmp_path / "web-users").keep("anna", WebRole.OPERATE, PASSWORD)
    authority = tmp_path / "authority" / "ca.pem"
    with _daemon(tmp_path) as (daemon, listener, port), ExitStack() as stack:
        wait_until(lambda: _healthy(port, authority), 60, "the dashboard answers")
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=system_program("chromium"), args=["--no-sandbox"]
        )
        stack.callback(browser.close)
        page = browser.new_context(ignore_https_errors=True).new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"https://127.0.0.1:{port}/studies")
        assert page.url.endswith("/login")
        page.get_by_label("Name").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"https://127.0.0.1:{port}/")
        headings = []
        for link in [one.text_content() for one in page.locator("nav a").all()]:
            page.locator("nav").get_by_role("link", name=str(link), exact=True).click()
            page.locator("[aria-current=page]", has_text=str(link)).wait_for()
            headings.append(page.locator("h1").text_content())
        assert headings == [
            *("Overview", "Studies", "Jobs", "Deliveries", "Peers", "Plugins", "Training runs"),
            "Ledger",
        ]
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"https://127.0.0.1:{port}/login")
        assert complaints == []

        (web,) = process_ids(daemon.pid, "medaet_daemon", "--role web")
        os.kill(web, signal.SIGKILL)
        wait_until(lambda: process_ids(daemon.pid, "--role web") not in ([], [web]), 30, "another")
        socket.create_connection(("127.0.0.1", listener), timeout=5).close()
        wait_until(lambda: _healthy(port, authority), 60, "the dashboard answers again")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0


def test_only_the_web_process_loads_a_web_server() -> None:
    script = (
        "import sys, medaet_daemon.app, medaet_daemon.receive, medaet.worker.main, medaet.cli.studies\n"
        "print(*sorted({'starlette', 'uvicorn', 'jinja2', 'prometheus_client'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == ""
