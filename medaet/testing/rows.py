"""Rows and values for tests of stores and queues."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from medaet.dicom.identity import InstanceHeader, InstanceRef
from medaet.dicom.intake import Intake
from medaet.errors import GeometryError
from medaet.queue.jobs import Job, JobQueue, NewJob, NewResult
from medaet.store.associations import Sender
from medaet.store.engine import Database
from medaet.store.files import ReceivedFile
from medaet.store.instances import Arrived, InstanceStore, Recorded
from medaet.store.tables import Priority, SeriesRow, StudyRow

LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A study with two series, and jobs on them."""

    database: Database
    queue: JobQueue
    study_id: int
    series_ids: tuple[int, int]

    @classmethod
    def filled(cls, database: Database, queue: JobQueue, now: datetime) -> "Shelf":
        """Insert the study and its two series."""
        with database.write() as session:
            study = StudyRow(study_instance_uid="1.2", first_received_at=now, last_received_at=now)
            session.add(study)
            session.flush()
            series = [
                SeriesRow(
                    study_id=study.id,
                    series_instance_uid=uid,
                    modality="CT",
                    attributes={},
                    opened_at=now,
                    last_received_at=now,
                )
                for uid in ("1.2.1", "1.2.2")
            ]
            session.add_all(series)
            session.flush()
            return cls(database, queue, study.id, (series[0].id, series[1].id))

    def job(
        self,
        key: str = "k",
        *,
        generation: int = 1,
        analysis: str = "lungs",
        series: int = 0,
        send_to: Sequence[str] = ("pacs",),
        priority: Priority = Priority.ROUTINE,
    ) -> NewJob:
        """Describe a job on one series in the role "ct"."""
        return NewJob(
            key=key,
            study_id=self.study_id,
            analysis=analysis,
            analysis_version="1.0.0",
            weights_sha256="",
            inputs={"ct": (self.series_ids[series], generation)},
            settings={"spacing_mm": 1.5},
            send_to=list(send_to),
            priority=priority,
        )

    def enqueue(self, new: NewJob) -> int | None:
        """Enqueue a job in a transaction of its own."""
        with self.database.write() as session:
            return self.queue.enqueue(session, new)

    def leased(self) -> Job:
        """Lease the next ready job."""
        job = self.queue.lease("worker", LEASE)
        assert job is not None, "no job is ready"
        return job

    def encoding(self) -> Job:
        """Lease the next analysed job."""
        job = self.queue.lease_encoding("encoder", LEASE)
        assert job is not None, "no job is analysed"
        return job

    def analysed(self) -> Job:
        """Take the next ready job as far as kept findings."""
        job = self.leased()
        self.queue.complete(job, findings_path=f"findings/{job.id}/{job.attempt}", device="cpu")
        return self.queue.get(job.id)

    def done(self, *uids: str) -> Job:
        """Take the next ready job to its end, with a result for each SOP Instance UID."""
        self.analysed()
        job = self.encoding()
        self.queue.keep(job, [result(uid) for uid in uids or ("1.2.9",)])
        return self.queue.get(job.id)

    def buried(self) -> Job:
        """Let the next ready job fail for good."""
        job = self.leased()
        self.queue.fail(job, GeometryError("slices are missing"))
        return self.queue.get(job.id)


def header(instance: int = 1, *, series: int = 1, study: int = 1) -> InstanceHeader:
    """Return the header of a numbered CT instance."""
    return InstanceHeader(
        study_instance_uid=f"1.2.{study}",
        series_instance_uid=f"1.2.{study}.{series}",
        sop_instance_uid=f"1.2.{study}.{series}.{instance}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="CT",
        series_attributes={"BodyPartExamined": "CHEST"},
    )


def intake(of: InstanceHeader | None = None) -> Intake:
    """Return what a receiver takes in of an instance without pixels."""
    described = of or header()
    ref = InstanceRef(
        described.study_instance_uid,
        described.series_instance_uid,
        described.sop_instance_uid,
        described.sop_class_uid,
    )
    return Intake(ref, described.transfer_syntax_uid, {}, None, None, lambda: described)


def stored(content: bytes = b"pixels") -> ReceivedFile:
    """Return what the spool would say of these bytes."""
    sha256 = hashlib.sha256(content).hexdigest()
    return ReceivedFile(f"instances/{sha256}.dcm", len(content), sha256)


def arrived(
    of: InstanceHeader | None = None, content: bytes = b"pixels", *, sender: str = "CT1"
) -> Arrived:
    """Return an instance without pixels, with these bytes in the spool."""
    return Arrived(intake(of), stored(content), Sender(sender, "MEDAET", "127.0.0.1"))


def result(uid: str = "1.2.9", kind: str = "SEG") -> NewResult:
    """Return an encoded result with this SOP Instance UID."""
    return NewResult(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=uid,
        series_instance_uid=f"{uid}.1",
        path=f"results/{uid}.dcm",
        sha256="0" * 64,
        size_bytes=1,
        proof={"dice": 1.0},
    )


class Receiver:
    """Records instances as a receiver does."""

    def __init__(self, instances: InstanceStore) -> None:
        self._instances = instances

    def __call__(
        self, instance: int = 1, content: bytes = b"pixels", *, series: int = 1, sender: str = "CT1"
    ) -> Recorded:
        """Record a numbered CT instance with these bytes."""
        recorded = self._instances.record(
            arrived(header(instance, series=series), content, sender=sender)
        )
        assert recorded is not None, "a digest is missing"
        return recorded
