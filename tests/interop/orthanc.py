"""An Orthanc that a test starts, asks and ends."""

import base64
import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medaet.config.model import Peer
from medaet.demo.site import free_ports
from tests.acceptance.hospital import wait_until
from tests.peers import system_program

USER, PASSWORD = "test", "test"
START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Orthanc:
    """One that runs.

    Attributes:
        http: Port of its REST interface.
        peer: It as an application entity.
    """

    http: int
    peer: Peer

    def ask(self, path: str, content: bytes | None = None) -> Any:
        """Call its REST interface."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", content)
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            self.ask("/system")
        except OSError:
            return False
        return True

    def store(self, paths: list[Path]) -> list[str]:
        """Send files with dcmtk's storescu; return what it has then."""
        command = [system_program("storescu"), "-R", "-aec", self.peer.ae_title, self.peer.host]
        files = [str(path) for path in paths]
        subprocess.run([*command, str(self.peer.port), *files], check=True, timeout=60)
        found: list[str] = self.ask("/instances")
        return found


@contextmanager
def running(
    folder: Path, settings: Mapping[str, object] | None = None, *, profile: str = "default"
) -> Iterator[Orthanc]:
    """Run an Orthanc on loopback.

    Args:
        folder: Gets its configuration, its log and what it stores.
        settings: Of its configuration, over the usual ones.
        profile: Of the peer that it is.
    """
    http, dicom = free_ports(2)
    folder.mkdir(parents=True, exist_ok=True)
    usual = {
        "Name": "judge",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [],
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps({**usual, **(settings or {})}), encoding="utf-8")
    peer = Peer.model_validate(
        {
            "name": "orthanc", "ae_title": "ORTHANC", "host": "127.0.0.1", "port": dicom,
            "profile": profile,
        }
    )  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [system_program("Orthanc"), str(configuration)], stdout=log, stderr=log
        )
    found = Orthanc(http, peer)
    try:
        wait_until(found.answers, START_SECONDS, "Orthanc answers")
        yield found
    finally:
        process.terminate()
        process.wait(60)
