"""What became of the demonstration's studies, read from the tables and from the PACS."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from medaet.clock import SystemClock
from medaet.config.model import Config
from medaet.errors import DatabaseUnavailableError
from medaet.plugin import folder
from medaet.plugin.findings import Findings
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.queue.rows import Delivery, Job
from medaet.store.engine import Database
from medaet.store.files import Spool
from medaet.store.tables import DeliveryState, JobState, ResultRow, StudyRow

SENT = (DeliveryState.SENT, DeliveryState.COMMITTED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job and what came of it.

    Attributes:
        study_instance_uid: Of the study it belongs to.
        seconds: From the lease to the findings.
        volumes: Millilitres of each segment, by label.
        received: SOP Instance UIDs of its results that lie in the PACS.
        expected: Number of its results.
        voxels_compared: How many voxels the proof read back and compared.
    """

    job: Job
    study_instance_uid: str
    seconds: float
    volumes: dict[str, float]
    received: tuple[str, ...]
    expected: int
    voxels_compared: int

    @property
    def complete(self) -> bool:
        """Whether a SEG, an SR and all else that was made were proven, sent and received."""
        return self.job.state is JobState.DONE and self.expected == len(self.received) >= 2


class Watch:
    """Reads the daemon's tables while it runs."""

    def __init__(self, config: Config) -> None:
        self._database = Database(config.database_url)
        self._spool = Spool(config.spool.path)
        self._jobs = JobQueue(self._database, SystemClock())
        self._deliveries = DeliveryQueue(self._database, SystemClock())

    def states(self) -> dict[str, str]:
        """Say where each analysis is, by its name; empty before there is a job."""
        try:
            sent = [one.job_id for one in self._deliveries.list() if one.state in SENT]
            return {
                job.analysis: f"{job.state.value}, {sent.count(job.id)} results at the PACS"
                for job in self._jobs.list()
            }
        except DatabaseUnavailableError:  # the daemon has not made its tables yet
            return {}

    def finished(self, expected: int) -> bool:
        """Whether so many jobs have ended, and all that they made is sent or given up."""
        try:
            jobs, deliveries = self._jobs.list(), self._deliveries.list()
        except DatabaseUnavailableError:
            return False
        ended = [job for job in jobs if job.state in (JobState.DONE, JobState.DEAD)]
        waiting = [
            one for one in deliveries if one.state in (DeliveryState.READY, DeliveryState.LEASED)
        ]
        return len(ended) >= expected and not waiting

    def outcomes(self, archive: Path) -> list[Outcome]:
        """Compare the tables with what the PACS holds."""
        deliveries = self._deliveries.list()
        jobs = [job for job in self._jobs.list() if job.state is not JobState.SUPERSEDED]
        return [
            self._outcome(job, deliveries, archive) for job in sorted(jobs, key=lambda one: one.id)
        ]

    def copy_pictures(self, out: Path) -> list[Path]:
        """Copy the overlay of every job out of the spool."""
        copied = []
        for job in self._jobs.list(JobState.DONE):
            for picture in sorted(self._spool.results(job.id).glob("*.png")):
                copied.append(out / f"{job.analysis}-{picture.name}")
                shutil.copyfile(picture, copied[-1])
        return copied

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _outcome(self, job: Job, deliveries: list[Delivery], archive: Path) -> Outcome:
        mine = [one for one in deliveries if one.job_id == job.id]
        received = [one for one in mine if (archive / f"{one.sop_instance_uid}.dcm").is_file()]
        seconds, volumes = 0.0, {}
        if job.findings_path:
            where = self._spool.path(job.findings_path)
            seconds = float(json.loads((where / "run.json").read_text(encoding="utf-8"))["seconds"])
            volumes = millilitres(folder.load(where))
        with self._database.read() as session:
            study = session.get_one(StudyRow, job.study_id).study_instance_uid
            results = session.scalars(select(ResultRow).where(ResultRow.job_id == job.id)).all()
        return Outcome(
            job=job,
            study_instance_uid=study,
            seconds=seconds,
            volumes=volumes,
            received=tuple(one.sop_instance_uid for one in received),
            expected=len(mine),
            voxels_compared=sum(int(one.proof.get("voxels_compared", 0)) for one in results),
        )


def millilitres(findings: Findings) -> dict[str, float]:
    """Read the measured volume of each segment, in ml, by label."""
    return {
        str(item.of): float(item.value)
        for item in findings.measurements
        if item.of is not None and item.value is not None and item.unit.value == "ml"
    }
