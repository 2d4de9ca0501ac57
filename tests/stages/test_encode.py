"""Findings to proven results, and what cannot be proven to dead letters."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydicom
import pytest

from medaet import Analysis, Findings, Measurement, Segment, SeriesSelector
from medaet.codes import LUNG
from medaet.config.model import Config
from medaet.plugin.registry import Registry
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore
from medaet.store.studies import StudyStore
from medaet.store.tables import DeliveryState, JobState
from medaet.testing.phantom import write_series
from medaet.testing.work import Work
from medaet_daemon.encode import Encode
from medaet_daemon.inputs import Inputs
from medaet_daemon.plans import PeerPlans


class Tame(Analysis):
    """What the job says it ran."""

    name: ClassVar[str] = "zoo-tame"
    version: ClassVar[str] = "1"
    title: ClassVar[str] = "Threshold"
    inputs: ClassVar[Mapping[str, SeriesSelector]] = {"ct": SeriesSelector(modality="CT")}


class Newer(Tame):
    """The same after an update."""

    version: ClassVar[str] = "2"


@pytest.fixture
def work(tmp_path: Path, spool: Spool, instances: InstanceStore, jobs: JobQueue) -> Work:
    return Work.received(write_series(tmp_path / "ct"), spool, instances, jobs)


def _encode(work: Work, analysis: type[Analysis] = Tame) -> None:
    registry = Registry(analyses={analysis.name: analysis})
    inputs = Inputs(work.instances, work.spool, registry)
    Encode(inputs, work.spool, work.jobs, registry, PeerPlans(Config())).step()


def _box(work: Work) -> Findings:
    mask = np.zeros(work.volume.voxels.shape, dtype=np.bool_)
    mask[2:5, 3:9, 4:6] = True
    return Findings([Segment("Box", mask, LUNG)], [Measurement.volume(of="Box")])


def test_findings_become_a_segmentation_and_a_report(work: Work, deliveries: DeliveryQueue) -> None:
    work.analysed(_box(work))
    _encode(work)
    assert work.job().state is JobState.DONE
    found = {one.kind: one for one in deliveries.list()}
    assert set(found) == {"SEG", "SR"}
    assert {one.state for one in found.values()} == {DeliveryState.READY}
    for kind, delivery in found.items():
        dataset = pydicom.dcmread(work.spool.path(delivery.path))
        assert (dataset.Modality, dataset.SOPInstanceUID) == (kind, delivery.sop_instance_uid)
        assert dataset.StudyInstanceUID == work.study_instance_uid


def test_picture_lies_beside_the_results(work: Work) -> None:
    work.analysed(_box(work))
    _encode(work)
    assert (work.spool.results(work.job_id) / "ct.png").read_bytes().startswith(b"\x89PNG")


def test_report_says_that_the_series_was_incomplete(
    work: Work, studies: StudyStore, deliveries: DeliveryQueue
) -> None:
    reason = "incomplete after 600 s: 3 slices are missing between others"
    assert studies.close(work.job().inputs["ct"].series_id, 1, reason)
    work.analysed(_box(work))
    _encode(work)
    (report,) = [one.path for one in deliveries.list() if one.kind == "SR"]
    said = work.spool.path(report).read_bytes()
    assert said.count(b"IN-INCOMPLETE") == 1
    assert reason.encode() in said


def test_nothing_found_is_a_report_alone(work: Work, deliveries: DeliveryQueue) -> None:
    work.analysed(Findings())
    _encode(work)
    assert [one.kind for one in deliveries.list()] == ["SR"]


def test_mask_of_another_shape_is_not_encoded(work: Work, deliveries: DeliveryQueue) -> None:
    work.analysed(Findings([Segment("Odd", np.ones((1, 1, 1)), LUNG)]))
    _encode(work)
    job = work.job()
    assert (job.state, job.error_class) == (JobState.ANALYSED, "FindingsError")
    assert not deliveries.list()


def test_analysis_that_was_updated_meanwhile_buries_the_job(work: Work) -> None:
    work.analysed(_box(work))
    _encode(work, Newer)
    job = work.job()
    assert (job.state, job.error_class) == (JobState.DEAD, "EncodingError")
    assert "zoo-tame 1 is no longer installed" in str(job.last_error)


def test_findings_without_their_run_are_refused(work: Work) -> None:
    job = work.analysed(_box(work))
    (work.spool.path(str(job.findings_path)) / "run.json").unlink()
    _encode(work)
    assert "run.json" in str(work.job().last_error)


def test_result_that_the_proof_refuses_is_never_delivered(
    work: Work, deliveries: DeliveryQueue
) -> None:
    """A slice that another one replaced on disk: the volume is regular, its identity is not."""
    work.analysed(_box(work))
    series_id = work.job().inputs["ct"].series_id
    (path, *_) = [work.spool.path(one) for one in work.instances.paths(series_id)]
    dataset = pydicom.dcmread(path)
    dataset.PatientID = "SOMEBODY ELSE"
    dataset.save_as(path)
    _encode(work)
    job = work.job()
    assert (job.state, job.error_class) == (JobState.DEAD, "ProofError")
    assert not deliveries.list()
