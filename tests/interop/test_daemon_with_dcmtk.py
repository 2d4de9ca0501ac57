"""The daemon among strangers: storescu sends, storescp receives, dciodvfy, dsrdump and Orthanc judge."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.demo.site import free_ports
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.tables import DeliveryState, JobState
from tests.acceptance.hospital import wait_until
from tests.interop.orthanc import running
from tests.peers import environment_program, system_program

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(290)]

ANALYSED = ("chest_ct", "brain_mr", "head_mr_t1_1mm", "head_mr_pd_native")
SENT = (*ANALYSED, "head_ct")
ILLEGAL_ROOT = "Illegal root for UID uses non-existent ITU-T arc"

CONFIGURATION = """\
[listener]
host = "127.0.0.1"
port = {listener}
[spool]
path = "spool"
minimum_free_bytes = 200_000_000
[series]
quiet_period_seconds = 2
[[peers]]
name = "scanner"
ae_title = "STORESCU"
host = "127.0.0.1"
[[peers]]
name = "pacs"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {archive}
[[routes]]
analyses = ["chest-ct", "brain-mr"]
send_to = ["pacs"]
"""


@dataclass(slots=True)
class Returned:
    """What storescp wrote, by the name of the series that was sent."""

    folder: Path
    database: Database
    studies: dict[str, str] = field(default_factory=dict)
    objects: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))

    def one(self, name: str, modality: str) -> Path:
        (path,) = [
            path
            for path in self.objects[name]
            if pydicom.dcmread(path, stop_before_pixels=True).Modality == modality
        ]
        return path


@pytest.fixture(scope="module")
def returned(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Returned]:
    folder = tmp_path_factory.mktemp("dcmtk")
    listener, archive = free_ports(2)
    (folder / "medaet.toml").write_text(
        CONFIGURATION.format(listener=listener, archive=archive), encoding="utf-8"
    )
    (folder / "archive").mkdir()
    with (folder / "log").open("ab") as log:
        processes = [
            subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            for command in (
                [
                    system_program("storescp"),
                    "-aet",
                    "ARCHIVE",
                    "+B",
                    "-od",
                    "archive",
                    str(archive),
                ],
                [sys.executable, "-P", "-m", "medaet_daemon", "--config", "medaet.toml"],
            )
        ]
    config = load(folder / "medaet.toml", {})
    database = Database(f"sqlite:///{folder / 'medaet.db'}")
    result = Returned(folder / "archive", database)
    try:
        wait_until(lambda: _echoes(listener), 60, "the daemon answers echoscu")
        for name in SENT:
            files = sorted(str(path) for path in (scans / name).glob("*.dcm"))
            result.studies[name] = str(pydicom.dcmread(files[0]).StudyInstanceUID)
            subprocess.run(
                [
                    system_program("storescu"),
                    "-aec",
                    config.listener.ae_title,
                    "127.0.0.1",
                    str(listener),
                    *files,
                ],
                check=True,
                timeout=120,
            )
        wait_until(lambda: _settled(database), 200, "four jobs are done and delivered")
        for path in sorted(result.folder.iterdir()):
            study = str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)
            name = next(one for one, uid in result.studies.items() if uid == study)
            result.objects[name].append(path)
        yield result
    finally:
        database.close()
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            process.wait(60)


def _echoes(port: int) -> bool:
    command = [
        system_program("echoscu"),
        "-aet",
        "STORESCU",
        "-aec",
        "MEDAET",
        "127.0.0.1",
        str(port),
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _settled(database: Database) -> bool:
    jobs = JobQueue(database, SystemClock()).list()
    deliveries = DeliveryQueue(database, SystemClock()).list()
    ended = [job for job in jobs if job.state in (JobState.DONE, JobState.DEAD)]
    waiting = [
        one for one in deliveries if one.state in (DeliveryState.READY, DeliveryState.LEASED)
    ]
    return len(ended) == len(ANALYSED) and not waiting


@pytest.mark.parametrize("name", ANALYSED)
def test_series_comes_back_as_one_seg_and_one_sr(returned: Returned, name: str) -> None:
    assert sorted(_read(path).Modality for path in returned.objects[name]) == ["SEG", "SR"]


def test_head_ct_comes_back_as_nothing_and_the_events_say_why(returned: Returned) -> None:
    assert not returned.objects["head_ct"]
    events = EventStore(returned.database).of_study(returned.studies["head_ct"])
    reasons = [str(one.details) for one in events if one.name == "analysis.unmatched"]
    assert any("BodyPartExamined is 'HEAD', wanted CHEST" in reason for reason in reasons)
    assert any("Modality is 'CT', wanted MR" in reason for reason in reasons)


@pytest.mark.parametrize("name", ANALYSED)
def test_dciodvfy_finds_no_error(returned: Returned, name: str) -> None:
    """The one series whose own UIDs are illegal keeps them, since they name the study; nothing else may be wrong."""
    for path in returned.objects[name]:
        done = subprocess.run(
            [environment_program("dciodvfy"), "-new", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]
        if name == "head_mr_pd_native":
            errors = [line for line in errors if ILLEGAL_ROOT not in line]
        assert not errors


@pytest.mark.parametrize("name", ANALYSED)
def test_dsrdump_prints_the_volume(returned: Returned, name: str) -> None:
    done = subprocess.run(
        [system_program("dsrdump"), str(returned.one(name, "SR"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Imaging Measurement" in done.stdout
    assert "Volume" in done.stdout


def test_orthanc_indexes_every_object(returned: Returned, tmp_path: Path) -> None:
    paths = [path for name in ANALYSED for path in returned.objects[name]]
    with running(tmp_path) as orthanc:
        assert len(orthanc.store(paths)) == len(paths) == 2 * len(ANALYSED)


def _read(path: Path) -> Dataset:
    return pydicom.dcmread(path, stop_before_pixels=True)
