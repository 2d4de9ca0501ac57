"""Archives and readers of others take every object that MedAET makes: dcmtk's dcmqrscp, dcmqi's tid1500reader."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from medaet import Findings, Measurement
from medaet.config.model import Peer
from medaet.demo.site import free_ports
from medaet.errors import MedaetError
from medaet.network import scu
from medaet.results.profile import PROFILES, pairs, plan
from medaet.results.recipe import EXTRAS
from medaet.testing.phantom import write_series
from medaet.testing.run import algorithm, encoded, source_of, two_boxes
from tests.acceptance.hospital import wait_until
from tests.peers import system_program
from tests.readers import DCMQI

pytestmark = pytest.mark.interop

CONFIGURATION = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 4
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {folder} RW (100, 1024mb) ANY
AETable END
"""


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Peer]:
    """dcmtk's image central test node, running."""
    (port,) = free_ports(1)
    folder = tmp_path / "archive"
    folder.mkdir()
    configuration = tmp_path / "dcmqrscp.cfg"
    configuration.write_text(CONFIGURATION.format(port=port, folder=folder), encoding="ascii")
    peer = Peer(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=port)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [system_program("dcmqrscp"), "-c", str(configuration)], stdout=log, stderr=log
        )
    try:
        wait_until(lambda: _answers(peer), 30, "dcmqrscp answers")
        yield peer
    finally:
        process.terminate()
        process.wait(30)


def _answers(peer: Peer) -> bool:
    try:
        scu.echo(peer, "MEDAET")
    except MedaetError:
        return False
    return True


def test_dcmqrscp_accepts_all_that_it_is_asked_for(archive: Peer, tmp_path: Path) -> None:
    source = source_of(write_series(tmp_path / "ct", shape=(8, 32, 32)))
    findings = two_boxes(source.volumes["ct"])
    sent = list(source.paths["ct"])
    for name, profile in PROFILES.items():
        accepted = scu.accepted(archive, "MEDAET", pairs(profile, EXTRAS))
        recipe = plan(profile, accepted, extras=EXTRAS).recipe
        run = algorithm(instance_key=name)
        sent += [one.path for one in encoded(findings, source, run, recipe=recipe)]
    outcomes = list(scu.send(archive, "MEDAET", sent))
    assert [one.error for one in outcomes] == [None] * len(sent)
    kept = {
        str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in (tmp_path / "archive").iterdir()
        if path.suffix == ".dcm" or pydicom.misc.is_dicom(path)
    }
    assert kept == {one.sop_instance_uid for one in outcomes}


def test_tid1500reader_reads_every_measurement(tmp_path: Path) -> None:
    source = source_of(write_series(tmp_path / "ct", shape=(8, 16, 16)))
    boxes = two_boxes(source.volumes["ct"])
    findings = Findings(
        boxes.segments, [*boxes.measurements, Measurement.mean(of="Left box")]
    ).resolved(source.volumes)
    segmentation, report = encoded(findings, source)
    done = subprocess.run(
        [
            *(str(DCMQI / "tid1500reader"), "--inputDICOM", str(report.path)),
            *("--outputMetadata", str(tmp_path / "read.json")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    groups = json.loads((tmp_path / "read.json").read_text(encoding="utf-8"))["Measurements"]
    read = {
        (group["TrackingIdentifier"], item["quantity"]["CodeMeaning"]): float(item["value"])
        for group in groups
        for item in group["measurementItems"]
    }
    expected = {
        (str(one.of), one.name.meaning): pytest.approx(one.value, rel=1e-6)
        for one in findings.measurements
    }
    assert read == expected
    assert {group["segmentationSOPInstanceUID"] for group in groups} == {
        segmentation.sop_instance_uid
    }
    assert [group["ReferencedSegment"] for group in groups] == [1, 2]
