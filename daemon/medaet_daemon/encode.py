"""Turn kept findings into proven DICOM instances, and enqueue their deliveries."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from medaet import logs
from medaet.errors import EncodingError, FindingsError, LeaseLostError, MedaetError
from medaet.plugin import folder
from medaet.plugin.registry import Registry
from medaet.queue.jobs import JobQueue
from medaet.queue.lease import KeptLease, kept
from medaet.queue.rows import Job, NewResult, Substitution
from medaet.results.algorithm import Algorithm
from medaet.results.objects import Encoded, encode
from medaet.results.pictures import write_pictures
from medaet.results.profile import Plan
from medaet.results.recipe import PLAIN, Recipe
from medaet.results.source import Source
from medaet.store.files import Spool
from medaet_daemon.inputs import Inputs
from medaet_daemon.plans import PeerPlans

log = structlog.get_logger()

POLL = timedelta(milliseconds=250)
LEASE = timedelta(seconds=60)
RUN = "run.json"


class Encode:
    """The stage between findings and deliveries."""

    name = "encode"

    def __init__(
        self,
        inputs: Inputs,
        spool: Spool,
        jobs: JobQueue,
        registry: Registry,
        plans: PeerPlans,
    ) -> None:
        self._inputs = inputs
        self._spool = spool
        self._jobs = jobs
        self._registry = registry
        self._plans = plans
        self._worker = f"encode {socket.gethostname()} {os.getpid()}"

    def step(self) -> timedelta:
        """Encode the next analysed job, if there is one."""
        job = self._jobs.lease_encoding(self._worker, LEASE)
        if job is None:
            return POLL
        bound = log.bind(job_id=job.id, analysis=job.analysis, attempt=job.attempt)
        try:
            with kept(self._jobs, job, LEASE) as lease:
                plans = {name: self._plans.of(name) for name in job.send_to}
                results = self._encode(job, lease, plans)
            self._jobs.keep(job, results, _substitutions(plans))
        except LeaseLostError as error:
            bound.warning("lease.lost", reason=str(error))
        except MedaetError as error:
            bound.error("job.failed", error=type(error).__name__, reason=str(error))
            self._fail(job, error)
        except Exception as error:  # noqa: BLE001 -- a defect costs one job, which becomes a dead letter with its reason
            bound.error("job.failed", **logs.frames(error))
            self._fail(job, EncodingError(f"an unexpected {type(error).__name__} while encoding"))
        else:
            bound.info("job.encoded", results=[result.kind for result in results])
        return timedelta(0)

    def close(self) -> None:
        """End the decoders."""
        self._inputs.close()

    def _encode(self, job: Job, lease: KeptLease, plans: Mapping[str, Plan]) -> list[NewResult]:
        where = self._spool.path(str(job.findings_path))
        findings = folder.load(where)
        paths, volumes = self._inputs.paths(job), self._inputs.volumes(job)
        findings = findings.resolved(volumes)
        work = self._spool.work(job.id, job.attempt).with_suffix(".results")
        pictures = work / "pictures"
        pictures.mkdir(parents=True, exist_ok=True)
        try:
            source, algorithm = Source(paths, volumes), self._algorithm(job, where)
            # Most of drawing is done by libraries that let other threads compute meanwhile.
            with ThreadPoolExecutor(1, "pictures") as beside:
                drawn = beside.submit(
                    write_pictures, pictures, volumes, findings, title=job.analysis
                )
                made = {
                    recipe: encode(findings, source, algorithm, work / str(number), recipe)
                    for number, recipe in enumerate(_recipes(plans))
                }
            drawn.result()
            lease.check()
            results = [self._adopted(job, one, peers) for one, peers in _recipients(made, plans)]
            shown = self._spool.results(job.id)
            shown.mkdir(parents=True, exist_ok=True)
            for one in pictures.iterdir():
                one.replace(shown / one.name)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return results

    def _adopted(self, job: Job, one: Encoded, peers: Sequence[str]) -> NewResult:
        """Move a result to where it stays."""
        stored = self._spool.adopt_result(job.id, one.sop_instance_uid, one.path)
        return NewResult(
            kind=one.kind,
            sop_class_uid=one.sop_class_uid,
            sop_instance_uid=one.sop_instance_uid,
            series_instance_uid=one.series_instance_uid,
            path=stored.path,
            sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            proof=one.proof,
            peers=peers,
        )

    def _algorithm(self, job: Job, where: Path) -> Algorithm:
        self._registry.refresh()
        analysis = self._registry.analyses.get(job.analysis)
        if analysis is None or analysis.version != job.analysis_version:
            raise EncodingError(
                f"{job.analysis} {job.analysis_version} is no longer installed; install it again "
                "and retry the job"
            )
        try:
            run = json.loads((where / RUN).read_text(encoding="utf-8"))
            started_at, seconds = datetime.fromisoformat(run["started_at"]), float(run["seconds"])
        except (OSError, LookupError, TypeError, ValueError) as error:
            raise FindingsError(f"{RUN} of job {job.id} cannot be read") from error
        return Algorithm(
            name=job.analysis,
            version=job.analysis_version,
            title=analysis.title,
            family=analysis.family,
            weights_sha256=job.weights_sha256,
            settings=job.settings,
            intended_use=analysis.intended_use,
            not_for_diagnostic_use=analysis.not_for_diagnostic_use,
            device=str(run.get("device", job.device)),
            started_at=started_at,
            seconds=seconds,
            instance_key=job.key,
            computed=run.get("computed", {}),
            procedure=analysis.procedure,
            precision=str(run.get("precision", "")),
            steps=tuple(str(step) for step in run.get("memory_steps", ())),
        )

    def _fail(self, job: Job, error: MedaetError) -> None:
        try:
            self._jobs.fail(job, error)
        except LeaseLostError:
            log.warning("lease.lost", job_id=job.id, reason="the failure belongs to an older lease")


def _recipes(plans: Mapping[str, Plan]) -> list[Recipe]:
    """List what is to be made: each recipe once, and the plain one where nobody gets anything."""
    return list(dict.fromkeys(one.recipe for one in plans.values())) or [PLAIN]


def _recipients(
    made: Mapping[Recipe, Sequence[Encoded]], plans: Mapping[str, Plan]
) -> Iterator[tuple[Encoded, list[str]]]:
    """Go through the results, each once: several recipes may make the same one, byte for byte."""
    peers: dict[str, list[str]] = {}
    first: dict[str, Encoded] = {}
    for recipe, results in made.items():
        names = [name for name, one in plans.items() if one.recipe == recipe]
        for result in results:
            first.setdefault(result.sop_instance_uid, result)
            peers.setdefault(result.sop_instance_uid, []).extend(names)
    for uid, result in first.items():
        yield result, peers[uid]


def _substitutions(plans: Mapping[str, Plan]) -> list[Substitution]:
    found = [
        Substitution(peer=name, kind=one.kind, wanted=one.wanted, instead=one.instead)
        for name, plan in plans.items()
        for one in plan.replaced
    ]
    for one in found:
        log.warning("result.replaced", peer=one.peer, kind=one.kind, instead=one.instead)
    return found
