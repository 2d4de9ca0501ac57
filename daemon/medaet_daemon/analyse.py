"""Lease a job, run its analysis in the worker child, keep the findings."""

import contextlib
import json
import os
import shutil
import socket
import time
from datetime import timedelta
from pathlib import Path

import structlog

from medaet import logs
from medaet.clock import Clock
from medaet.config.model import WorkerSection
from medaet.errors import AnalysisError, LeaseLostError, MedaetError, WithdrawnError
from medaet.queue.jobs import JobQueue
from medaet.queue.lease import KeptLease, kept
from medaet.queue.rows import Job
from medaet.store.files import Spool, sync_tree
from medaet.store.tables import Priority
from medaet.worker.request import Request
from medaet.worker.shared import Lender
from medaet_daemon.inputs import Inputs
from medaet_daemon.lane import Lane

log = structlog.get_logger()

POLL = timedelta(milliseconds=300)
RUN = "run.json"


class Analyse:
    """The stage that works on one device, in one of its lanes."""

    def __init__(  # one argument for each thing the stage touches
        self,
        inputs: Inputs,
        spool: Spool,
        jobs: JobQueue,
        rules: WorkerSection,
        lane: Lane,
        clock: Clock,
    ) -> None:
        self.name = lane.name
        self._lane = lane
        self._child = lane.child
        self._inputs = inputs
        self._spool = spool
        self._jobs = jobs
        self._lease = timedelta(seconds=rules.lease_seconds)
        self._seconds = rules.job_timeout_seconds
        self._clock = clock
        self._worker = f"{socket.gethostname()} {os.getpid()} {lane.child.device}"

    def step(self) -> timedelta:
        """Work on the next job, if there is one."""
        lane = self._lane
        job = self._jobs.lease(self._worker, self._lease, only=lane.only, waited=lane.waited)
        if job is None:
            return POLL
        bound = log.bind(job_id=job.id, analysis=job.analysis, attempt=job.attempt)
        started = time.monotonic()
        try:
            with kept(self._jobs, job, self._lease) as lease:
                self._analyse(job, lease)
        except LeaseLostError as error:
            bound.warning("lease.lost", reason=str(error))
        except WithdrawnError:
            bound.info("job.returned")
            self._give_back(job)
        except MedaetError as error:
            bound.warning("job.failed", error=type(error).__name__, reason=str(error))
            self._fail(job, error)
        except Exception as error:  # noqa: BLE001 -- a defect costs one attempt of one job, not the worker
            bound.error("job.failed", **logs.frames(error))
            self._fail(
                job, AnalysisError(f"an unexpected {type(error).__name__} in the worker agent")
            )
        else:
            seconds = round(time.monotonic() - started, 2)
            bound.info("job.analysed", device=self._child.device, seconds=seconds)
        return timedelta(0)

    def drain(self) -> None:
        """Finish what has begun, and give the rest back."""
        self._child.drain()

    def close(self) -> None:
        """End the child and the decoders."""
        self._child.close()
        self._inputs.close()

    def _analyse(self, job: Job, lease: KeptLease) -> None:
        started_at, started = self._clock.now(), time.monotonic()
        work = self._spool.work(job.id, job.attempt)
        with contextlib.closing(Lender()) as lender:
            inputs = self._inputs.volumes(job, allocate=lender.allocate)
            read_seconds = time.monotonic() - started
            request = Request(
                analysis=job.analysis,
                settings=job.settings,
                inputs=inputs,
                where=work,
                seconds=self._seconds,
                urgent=job.priority is Priority.STAT,
                lender=lender,
            )
            try:
                run = self._child.analyse(request, on_alive=lease.check)
                facts = {
                    "started_at": started_at.isoformat(),
                    "seconds": read_seconds + run.load_seconds + run.analyse_seconds,
                    "read_seconds": read_seconds,
                    "wait_seconds": run.wait_seconds,
                    "load_seconds": run.load_seconds,
                    "analyse_seconds": run.analyse_seconds,
                    "device": self._child.device,
                    "computed": dict(run.computed),
                }
                (work / RUN).write_text(json.dumps(facts), encoding="utf-8")
                folder = self._keep(job, work)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        lease.check()
        self._jobs.complete(
            job, findings_path=str(folder.relative_to(self._spool.root)), device=self._child.device
        )

    def _keep(self, job: Job, work: Path) -> Path:
        """Move the findings to where they stay, synced: the job's state is about to depend on them."""
        folder = self._spool.findings(job.id, job.attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        work.rename(folder)
        sync_tree(folder)
        return folder

    def _give_back(self, job: Job) -> None:
        try:
            self._jobs.give_back(job)
        except LeaseLostError:
            log.warning("lease.lost", job_id=job.id, reason="the job is another worker's already")

    def _fail(self, job: Job, error: MedaetError) -> None:
        try:
            self._jobs.fail(job, error)
        except LeaseLostError:
            log.warning("lease.lost", job_id=job.id, reason="the failure belongs to an older lease")
