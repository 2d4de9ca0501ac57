"""`medaet jobs`: the queue, and what people decide about single jobs."""

from typing import Annotated

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.queue.deliveries import DeliveryQueue
from medaet.queue.jobs import JobQueue
from medaet.store.tables import JobState

app = typer.Typer(
    name="jobs", help="Analyses queued, running, done and dead.", no_args_is_help=True
)

JobId = Annotated[int, typer.Argument(help="the job's number")]
DELIVERIES = 10_000


@app.command(name="list")
def list_jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(help="at most so many", min=1)] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first. Exit 0, 2 for a wrong configuration, 3 when the database is not reached."""
    with exit_codes(), opened(load(config)) as database:
        jobs = JobQueue(database, SystemClock()).list(state, limit=limit)
    if as_json:
        print_json(jobs)
        return
    print_table(
        ("job", "analysis", "state", "attempt", "device", "created (UTC)", "last error"),
        [
            (
                one.id,
                one.analysis,
                one.state,
                one.attempt,
                one.device,
                one.created_at,
                one.last_error,
            )
            for one in jobs
        ],
        empty="no jobs",
    )


@app.command()
def show(job_id: JobId, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one job and its deliveries. Exit 0, 1 for an unknown job, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        job = JobQueue(database, SystemClock()).get(job_id)
        deliveries = [
            one
            for one in DeliveryQueue(database, SystemClock()).list(limit=DELIVERIES)
            if one.job_id == job_id
        ]
    if as_json:
        print_json({"job": job, "deliveries": deliveries})
        return
    rows = [
        ("analysis", f"{job.analysis} {job.analysis_version}"),
        ("state", job.state),
        ("priority", job.priority),
        ("attempt", f"{job.attempt} of {job.last_attempt}"),
        ("created (UTC)", job.created_at),
        ("started (UTC)", job.started_at),
        ("finished (UTC)", job.finished_at),
        ("device", job.device),
        ("leased by", job.leased_by),
        ("last error", job.last_error),
    ]
    rows += [
        (f"{one.kind} to {one.peer}", f"{one.state.value} {one.last_error or ''}".strip())
        for one in deliveries
    ]
    print_table((f"job {job.id}", ""), rows, empty="")


@app.command()
def retry(job_id: JobId, *, config: ConfigFile = None) -> None:
    """Send a dead job back to ready. Exit 0, 1 when the job is not dead, 2 or 3 as everywhere."""
    with exit_codes():
        settings = load(config)
        with opened(settings) as database:
            attempts = settings.worker.maximum_attempts
            JobQueue(database, SystemClock(), maximum_attempts=attempts).requeue(job_id)
    typer.echo(f"job {job_id} is ready again")


@app.command()
def bury(
    job_id: JobId,
    *,
    reason: Annotated[str, typer.Option(help="shown beside the job")] = "buried by a person",
    config: ConfigFile = None,
) -> None:
    """Give up on an unfinished job. Exit 0, 1 when nothing is left to give up, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        JobQueue(database, SystemClock()).bury(job_id, reason)
    typer.echo(f"job {job_id} is dead; `medaet jobs retry {job_id}` brings it back")
