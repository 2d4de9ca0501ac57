"""Lease a job, run its analysis in the worker child, keep the findings."""

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
from medaet.errors import AnalysisError, LeaseLostError, MedaetError
from medaet.queue.jobs import JobQueue
from medaet.queue.lease import KeptLease, kept
from medaet.queue.rows import Job
from medaet.store.files import Spool, sync_tree
from medaet.worker.child import WorkerChild
from medaet_daemon.inputs import Inputs

log = structlog.get_logger()

POLL = timedelta(milliseconds=300)
RUN = "run.json"


class Analyse:
    """The stage that works on one device."""

    name = "analyse"

    def __init__(  # one argument for each thing the stage touches
        self,
        inputs: Inputs,
        spool: Spool,
        jobs: JobQueue,
        rules: WorkerSection,
        child: WorkerChild,
        clock: Clock,
    ) -> None:
        self._inputs = inputs
        self._spool = spool
        self._jobs = jobs
        self._lease = timedelta(seconds=rules.lease_seconds)
        self._seconds = rules.job_timeout_seconds
        self._child = child
        self._clock = clock
        self._worker = f"{socket.gethostname()} {os.getpid()} {child.device}"

    def step(self) -> timedelta:
        """Work on the next job, if there is one."""
        job = self._jobs.lease(self._worker, self._lease)
        if job is None:
            return POLL
        bound = log.bind(job_id=job.id, analysis=job.analysis, attempt=job.attempt)
        started = time.monotonic()
        try:
            with kept(self._jobs, job, self._lease) as lease:
                self._analyse(job, lease)
        except LeaseLostError as error:
            bound.warning("lease.lost", reason=str(error))
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

    def close(self) -> None:
        """End the child and the decoders."""
        self._child.close()
        self._inputs.close()

    def _analyse(self, job: Job, lease: KeptLease) -> None:
        started_at, started = self._clock.now(), time.monotonic()
        inputs = self._inputs.volumes(job)
        read_seconds = time.monotonic() - started
        work = self._spool.work(job.id, job.attempt)
        try:
            run = self._child.analyse(
                job.analysis,
                job.settings,
                inputs,
                work,
                seconds=self._seconds,
                on_alive=lease.check,
            )
            facts = {
                "started_at": started_at.isoformat(),
                "seconds": time.monotonic() - started,
                "read_seconds": read_seconds,
                "load_seconds": run.load_seconds,
                "analyse_seconds": run.analyse_seconds,
                "device": self._child.device,
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

    def _fail(self, job: Job, error: MedaetError) -> None:
        try:
            self._jobs.fail(job, error)
        except LeaseLostError:
            log.warning("lease.lost", job_id=job.id, reason="the failure belongs to an older lease")
