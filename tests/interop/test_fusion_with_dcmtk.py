"""A CT study and an MR study of one patient, sent by storescu one after the other, come back fused; strangers judge."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom import Dataset

from medaet.clock import SystemClock
from medaet.demo.site import free_ports
from medaet.dicom.volume import Volume
from medaet.plugin import folder as findings_folder
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.engine import Database
from medaet.store.events import EventStore
from medaet.store.tables import DeliveryState, JobState
from medaet.testing.head import write_head
from tests.acceptance.hospital import wait_until
from tests.heads import Head, Matrix, View, motion
from tests.interop.orthanc import running
from tests.peers import system_program
from tests.readers import errors_by_dciodvfy

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(290)]

CONFIGURATION = """\
[listener]
host = "127.0.0.1"
port = {listener}
[spool]
path = "spool"
minimum_free_bytes = 200_000_000
[series]
quiet_period_seconds = 1
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
analyses = ["ct-mr-fusion"]
send_to = ["pacs"]
"""
CT = View("CT", (4.0, 1.8, 1.8), noise=0.1)
MR = View("MR", (3.0, 2.0, 2.0), ((0.05, 0.0), (0.0, 0.0), (0.0, 0.0)))


@dataclass(slots=True)
class Returned:
    """What storescp wrote, and the motion that was hidden between the two studies.

    Attributes:
        true: (4, 4), from the MR's frame of reference to the CT's, mm.
    """

    head: Head
    true: Matrix
    database: Database
    spool: Path
    studies: dict[str, str] = field(default_factory=dict)
    objects: list[tuple[Path, Dataset]] = field(default_factory=list)

    def one(self, modality: str) -> tuple[Path, Dataset]:
        (found,) = [one for one in self.objects if one[1].Modality == modality]
        return found

    def paths(self, modality: str) -> list[Path]:
        return [path for path, header in self.objects if header.Modality == modality]


@pytest.fixture(scope="module")
def returned(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Returned]:
    folder = tmp_path_factory.mktemp("fusion")
    head = Head(scans / "head_mr_t1_1mm")
    true = motion(np.random.default_rng(4), head.centre, degrees=20, shift_mm=25)
    sent = {"ct": _written(head, CT, true, folder), "mr": _written(head, MR, np.eye(4), folder)}
    (folder / "archive").mkdir()
    listener, archive = free_ports(2)
    (folder / "medaet.toml").write_text(
        CONFIGURATION.format(listener=listener, archive=archive), encoding="utf-8"
    )
    receive = [system_program("storescp"), "-aet", "ARCHIVE", "+B", "-od", "archive", str(archive)]
    daemon = [sys.executable, "-P", "-m", "medaet_daemon", "--config", "medaet.toml"]
    with (folder / "log").open("ab") as log:
        processes = [
            subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            for command in (receive, daemon)
        ]
    database = Database(f"sqlite:///{folder / 'medaet.db'}")
    result = Returned(head, true, database, folder / "spool")
    try:
        wait_until(lambda: _echoes(listener), 120, "the daemon answers echoscu")
        for modality, files in sent.items():
            result.studies[modality] = str(pydicom.dcmread(files[0]).StudyInstanceUID)
            _send(listener, files)
            wait_until(lambda: _told(result), 120, "the study is matched, or waits")
        wait_until(lambda: _settled(result.database), 200, "the job is done and delivered")
        for path in sorted((folder / "archive").iterdir()):
            result.objects.append((path, pydicom.dcmread(path, stop_before_pixels=True)))
        yield result
    finally:
        result.database.close()
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            process.wait(60)


def _written(head: Head, view: View, lies: Matrix, folder: Path) -> list[Path]:
    seen = head.seen(view, seed=7)
    voxels = np.rint(np.clip(seen.voxels, -1024, 3071)).astype(np.int16)
    volume = Volume(voxels, lies @ seen.affine, view.modality)
    return write_head(volume, folder / view.modality, study=view.modality)


def _send(port: int, files: list[Path]) -> None:
    command = [system_program("storescu"), "-aec", "MEDAET", "127.0.0.1", str(port)]
    subprocess.run([*command, *map(str, files)], check=True, timeout=120)


def _echoes(port: int) -> bool:
    command = [system_program("echoscu"), "-aet", "STORESCU", "-aec", "MEDAET", "127.0.0.1"]
    return subprocess.run([*command, str(port)], capture_output=True, check=False).returncode == 0


def _told(returned: Returned) -> bool:
    """Whether the last study that was sent has met the analysis."""
    events = EventStore(returned.database).of_study(list(returned.studies.values())[-1])
    return any(one.name in ("analysis.waiting", "analysis.matched") for one in events)


def _settled(database: Database) -> bool:
    jobs = JobQueue(database, SystemClock()).list()
    deliveries = DeliveryQueue(database, SystemClock()).list()
    waiting = (DeliveryState.READY, DeliveryState.LEASED)
    is_ended = [job.state in (JobState.DONE, JobState.DEAD) for job in jobs]
    return is_ended == [True] and not any(one.state in waiting for one in deliveries)


def test_every_object_comes_back_to_the_study_of_the_ct(returned: Returned) -> None:
    (job,) = JobQueue(returned.database, SystemClock()).list()
    assert job.state is JobState.DONE, job.last_error
    slices = len(
        {header.SOPInstanceUID for _, header in returned.objects if header.Modality == "MR"}
    )
    found = Counter(str(header.Modality) for _, header in returned.objects)
    assert set(found) == {"SEG", "REG", "MR", "PR", "OT", "SR"}
    assert (found["SEG"], found["REG"], found["PR"], found["SR"]) == (1, 1, 1, 1)
    assert slices == found["MR"] > 15
    assert {header.StudyInstanceUID for _, header in returned.objects} == {returned.studies["ct"]}


def test_the_study_that_came_first_waited(returned: Returned) -> None:
    events = EventStore(returned.database).of_study(returned.studies["ct"])
    names = [one.name for one in events]
    assert names.index("analysis.waiting") < names.index("analysis.matched")


def _dumped(path: Path) -> list[Matrix]:
    """Read matrices with dcmdump: no code of ours or of pydicom's is between the file and the comparison."""
    command = [system_program("dcmdump"), "-q", "+L", "+P", "3006,00c6", str(path)]
    dumped = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = [line.split("[")[1].split("]")[0] for line in dumped.splitlines()]
    return [np.array(row.split("\\"), dtype=float).reshape(4, 4) for row in rows]


def test_an_independent_reader_reads_the_registration_that_was_found(returned: Returned) -> None:
    (job,) = JobQueue(returned.database, SystemClock()).list()
    (found,) = findings_folder.load(returned.spool / str(job.findings_path)).registrations
    identity, matrix = _dumped(returned.one("REG")[0])
    assert np.array_equal(identity, np.eye(4))
    assert np.abs(matrix - found.matrix).max() < 1e-6


def test_the_registration_is_the_motion_that_was_hidden(returned: Returned) -> None:
    _, matrix = _dumped(returned.one("REG")[0])
    errors_mm = returned.head.errors_mm(matrix, returned.true)
    assert float(np.median(errors_mm)) < 0.5
    assert float(errors_mm.max()) < 1.5
    turn = matrix[:3, :3]
    assert np.abs(turn @ turn.T - np.eye(3)).max() < 1e-6


def test_simpleitk_resamples_by_that_registration_to_the_series_that_was_sent(
    returned: Returned, tmp_path: Path
) -> None:
    _, header = returned.one("REG")
    items = header.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    matrix = np.array(items[0].FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
    back = np.linalg.inv(matrix)
    sent = _read(returned.paths("MR"))
    way = SimpleITK.AffineTransform(back[:3, :3].ravel().tolist(), back[:3, 3].tolist())
    moving = _read(_written(returned.head, MR, np.eye(4), tmp_path))
    again = SimpleITK.Resample(moving, sent, way, SimpleITK.sitkLinear, -1.0)
    wanted, found = (SimpleITK.GetArrayFromImage(one) for one in (again, sent))
    inside = wanted >= 0
    assert inside.mean() > 0.5
    assert float(np.percentile(np.abs(wanted - found)[inside], 99.9)) <= 1.0


def _read(paths: list[Path]) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    ordered = sorted(paths, key=lambda one: int(pydicom.dcmread(one).InstanceNumber))
    reader.SetFileNames([str(one) for one in ordered])
    return SimpleITK.Cast(reader.Execute(), SimpleITK.sitkFloat64)


def test_dciodvfy_finds_no_error_in_any_sort_of_object(returned: Returned) -> None:
    one_of_each = {header.Modality: path for path, header in returned.objects}
    found = {modality: errors_by_dciodvfy(path) for modality, path in one_of_each.items()}
    assert found == {modality: [] for modality in one_of_each}


def test_orthanc_takes_every_object(returned: Returned, tmp_path: Path) -> None:
    paths = [path for path, _ in returned.objects]
    with running(tmp_path) as orthanc:
        assert len(orthanc.store(paths)) == len(paths)
