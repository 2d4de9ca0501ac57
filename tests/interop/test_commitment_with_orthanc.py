"""Orthanc asks for storage commitment, and is asked how many instances a series has."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from medaet.clock import SystemClock
from medaet.config.model import Config, Listener
from medaet.demo.site import free_ports
from medaet.network.engine import Engine
from medaet.network.query import count_instances
from medaet.network.spooling import SpoolSink
from medaet.store import migrate
from medaet.store.commitments import CommitmentStore
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.testing.phantom import write_series
from medaet_daemon.confirm import Confirm
from tests.interop.orthanc import Orthanc, running
from tests.stages.receiving import wait_for

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CT, STRANGER = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.4.5"


@pytest.fixture
def medaet_port() -> int:
    (port,) = free_ports(1)
    return port


@pytest.fixture
def orthanc(tmp_path: Path, medaet_port: int) -> Iterator[Orthanc]:
    """An Orthanc that knows MedAET."""
    modality = {"AET": "MEDAET", "Host": "127.0.0.1", "Port": medaet_port, "AllowFind": True}
    with running(tmp_path, {"DicomModalities": {"medaet": modality}}) as found:
        yield found


def test_orthanc_counts_sends_and_gets_its_commitment(
    orthanc: Orthanc, medaet_port: int, tmp_path: Path
) -> None:
    paths = write_series(tmp_path / "series", shape=(5, 16, 16))
    for path in paths:
        orthanc.ask("/instances", path.read_bytes())
    first = dcmread(paths[0])
    series = (first.StudyInstanceUID, first.SeriesInstanceUID)
    assert count_instances(orthanc.peer, "MEDAET", *series) == 5
    assert count_instances(orthanc.peer, "MEDAET", first.StudyInstanceUID, STRANGER) is None

    url = f"sqlite:///{tmp_path / 'medaet.db'}"
    migrate.upgrade(url)
    spool, clock = Spool(tmp_path / "spool"), SystemClock()
    with closing(Database(url)) as database:
        commitments = CommitmentStore(database, spool, clock)
        listener = Listener(
            host="127.0.0.1", port=medaet_port, storage_commitment="new-association"
        )
        sink = SpoolSink(spool, database, clock)
        scp = Engine(listener, [orthanc.peer], sink, commitments=commitments)
        scp.start()
        try:
            sent = orthanc.ask("/instances")
            orthanc.ask("/modalities/medaet/store", json.dumps(sent).encode())
            wanted = [[CT, str(dcmread(path).SOPInstanceUID)] for path in paths]
            request = json.dumps({"DicomInstances": [*wanted, [CT, STRANGER]]}).encode()
            transaction = orthanc.ask("/modalities/medaet/storage-commitment", request)["ID"]
            confirm = Confirm(commitments, Config(peers=(orthanc.peer,)))

            def report() -> Any:
                confirm.step()
                found = orthanc.ask(f"/storage-commitment/{transaction}")
                return found if found["Status"] != "Pending" else None

            wait_for(report, 60)
            found = report()
        finally:
            scp.stop(drain_seconds=5)
    assert found["Status"] == "Failure"
    assert {one["SOPInstanceUID"] for one in found["Success"]} == {uid for _, uid in wanted}
    [failure] = found["Failures"]
    assert failure["SOPInstanceUID"] == STRANGER
    assert "not available" in failure["Description"]
