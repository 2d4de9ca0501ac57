"""`medaet trainings`: queued training runs, and what people decide about them."""

from typing import Annotated

import typer

from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.queue.trainings import Training, TrainingQueue

app = typer.Typer(name="trainings", help="Queued training runs.", no_args_is_help=True)

RunId = Annotated[int, typer.Argument(help="the run's number")]


@app.command(name="list")
def list_trainings(
    *,
    limit: Annotated[int, typer.Option(help="at most so many", min=1)] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List training runs, the newest first. Exit 0, 2 for a wrong configuration, 3 when the database is not reached."""
    with exit_codes(), opened(load(config)) as database:
        runs = TrainingQueue(database, SystemClock()).list(limit=limit)
    if as_json:
        print_json(runs)
        return
    print_table(
        ("run", "model", "version", "state", "how far", "created (UTC)", "last error"),
        [
            (
                one.id,
                one.name,
                one.version,
                one.state,
                how_far(one),
                one.created_at,
                one.last_error,
            )
            for one in runs
        ],
        empty="no training runs",
    )


@app.command()
def show(run_id: RunId, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one training run. Exit 0, 1 for an unknown run, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        run = TrainingQueue(database, SystemClock()).get(run_id)
    if as_json:
        print_json(run)
        return
    rows = [
        ("model", f"{run.name} {run.version}"),
        ("state", run.state),
        ("how far", how_far(run)),
        ("attempt", f"{run.attempt} of {run.last_attempt}"),
        ("created (UTC)", run.created_at),
        ("started (UTC)", run.started_at),
        ("finished (UTC)", run.finished_at),
        ("leased by", run.leased_by),
        ("folder", run.folder),
        ("last error", run.last_error),
    ]
    print_table((f"training run {run.id}", ""), rows, empty="")


@app.command()
def retry(run_id: RunId, *, config: ConfigFile = None) -> None:
    """Let a dead run go on from its checkpoint. Exit 0, 1 when the run is not dead, 2 or 3 as everywhere."""
    with exit_codes():
        settings = load(config)
        with opened(settings) as database:
            attempts = settings.worker.maximum_attempts
            TrainingQueue(database, SystemClock(), maximum_attempts=attempts).requeue(run_id)
    typer.echo(f"training run {run_id} is ready again")


@app.command()
def bury(
    run_id: RunId,
    *,
    reason: Annotated[str, typer.Option(help="shown beside the run")] = "buried by a person",
    config: ConfigFile = None,
) -> None:
    """Give up on an unfinished run; it stops within a second. Exit 0, 1 when it has ended, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        TrainingQueue(database, SystemClock()).bury(run_id, reason)
    typer.echo(f"training run {run_id} is dead; `medaet trainings retry {run_id}` lets it go on")


def how_far(run: Training) -> str:
    """Say what a run does now, and how it does."""
    progress = run.progress
    words = [str(progress.get("phase", ""))]
    if progress.get("steps"):
        words.append(f"{progress['step']}/{progress['steps']} steps")
    if progress.get("loss") is not None:
        words.append(f"loss {progress['loss']:.3f}")
    if progress.get("dice") is not None:
        words.append(f"Dice {progress['dice']:.3f}")
    return ", ".join(one for one in words if one)
