"""A received series and a job on it, for tests of the stages that come after dispatch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medaet.dicom.header import read_header
from medaet.dicom.volume import Volume, read_volume
from medaet.network.spooling import SpoolSink
from medaet.plugin import folder
from medaet.plugin.findings import Findings
from medaet.queue.jobs import JobQueue, NewJob
from medaet.queue.rows import Job
from medaet.store.associations import Sender
from medaet.store.files import Spool
from medaet.store.instances import InstanceStore, Recorded
from medaet.testing.clock import FakeClock
from medaet.testing.rows import LEASE
from medaet.testing.run import STARTED_AT


@dataclass(frozen=True, slots=True)
class Work:
    """A series that lies in the spool, and the queue that holds a job on it.

    Attributes:
        study_instance_uid: Of the received study.
        job_id: Of the job, which is ready.
        volume: The series as its stored files give it.
    """

    spool: Spool
    instances: InstanceStore
    jobs: JobQueue
    study_instance_uid: str
    job_id: int
    volume: Volume

    @classmethod
    def received(
        cls,
        paths: Sequence[Path],
        spool: Spool,
        instances: InstanceStore,
        jobs: JobQueue,
        *,
        analysis: str = "zoo-tame",
    ) -> "Work":
        """Store a series as the receiver does, and enqueue a job of an analysis on it."""
        sink = SpoolSink(spool, instances.database, FakeClock())
        for path in paths:
            header = read_header(path)
            recorded = store(path, sink)
        new = NewJob(
            key="key",
            study_id=recorded.study_id,
            analysis=analysis,
            analysis_version="1",
            weights_sha256="",
            inputs={"ct": (recorded.series_id, 1)},
            send_to=["pacs"],
        )
        with instances.database.write() as session:
            job_id = jobs.enqueue(session, new)
        assert job_id is not None
        stored = [spool.path(path) for path in instances.paths(recorded.series_id)]
        return cls(spool, instances, jobs, header.study_instance_uid, job_id, read_volume(stored))

    def job(self) -> Job:
        """Read the job as it is now."""
        return self.jobs.get(self.job_id)

    def analysed(self, findings: Findings) -> Job:
        """Take the job as far as kept findings."""
        job = self.jobs.lease("worker", LEASE)
        assert job is not None
        where = self.spool.findings(job.id, job.attempt)
        folder.save(findings, where)
        facts = {"started_at": STARTED_AT.isoformat(), "seconds": 1.5, "device": "cpu"}
        (where / "run.json").write_text(json.dumps(facts), encoding="utf-8")
        kept = str(where.relative_to(self.spool.root))
        self.jobs.complete(job, findings_path=kept, device="cpu")
        return self.job()


CT1 = Sender("CT1", "MEDAET", "127.0.0.1")


def store(path: Path, sink: SpoolSink, sender: Sender = CT1) -> Recorded:
    """Store a file as the receiver does."""
    content = path.read_bytes()
    behind = 144 + int.from_bytes(content[140:144], "little")  # of the file meta information
    incoming = sink.open(content[:behind], read_header(content).transfer_syntax_uid)
    incoming.write([content[behind:]])
    return incoming.keep(incoming.inspect(), sender)
