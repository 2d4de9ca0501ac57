"""`medaet studies`: what was received, what became of it, and why."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from medaet.cli.explain import sentence
from medaet.cli.output import AsJson, ConfigFile, exit_codes, print_json, print_table
from medaet.cli.tables import opened
from medaet.clock import SystemClock
from medaet.config.load import load
from medaet.store.events import EventStore
from medaet.store.studies import StudyStore

app = typer.Typer(
    name="studies", help="Studies received, and what became of them.", no_args_is_help=True
)

StudyUid = Annotated[str, typer.Argument(metavar="UID", help="the Study Instance UID")]


@app.command(name="list")
def list_studies(
    *,
    limit: Annotated[int, typer.Option(help="at most so many", min=1)] = 100,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List studies, the newest first. Exit 0, 2 for a wrong configuration, 3 when the database is not reached."""
    with exit_codes(), opened(load(config)) as database:
        found = StudyStore(database, SystemClock()).list(limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("study", "last received (UTC)", "series", "instances", "jobs"),
        [
            (
                one.study_instance_uid,
                one.last_received_at,
                one.series,
                one.instances,
                ", ".join(f"{count} {state}" for state, count in one.jobs.items()),
            )
            for one in found
        ],
        empty="no studies",
    )


@app.command()
def show(uid: StudyUid, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show the series of a study. Exit 0, 1 for an unknown study, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        study, series = StudyStore(database, SystemClock()).show(uid)
    if as_json:
        print_json({"study": study, "series": series})
        return
    print_table(
        ("series", "modality", "state", "generation", "instances", "MB", "from", "closed because"),
        [
            (
                one.series_instance_uid,
                one.modality,
                one.state,
                one.generation,
                one.instances,
                f"{one.size_bytes / 1e6:.1f}",
                one.calling_ae_title,
                one.close_reason,
            )
            for one in series
        ],
        empty="no series",
    )
    jobs = ", ".join(f"{count} {state}" for state, count in study.jobs.items()) or "none"
    typer.echo(f"jobs: {jobs}")


@app.command()
def explain(uid: StudyUid, *, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Say in order what happened to a study and why. Exit 0, 1 for an unknown study, 2 or 3 as everywhere."""
    with exit_codes(), opened(load(config)) as database:
        StudyStore(database, SystemClock()).show(uid)
        events = EventStore(database).of_study(uid)
    if as_json:
        print_json(events)
        return
    for event in events:
        typer.echo(f"{event.at:%Y-%m-%d %H:%M:%S}  {sentence(event)}")


@app.command()
def forget(
    uid: StudyUid,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    config: ConfigFile = None,
) -> None:
    """Delete a study: its instances, results and history. Exit 0, 1 for an unknown study or a no, 2 or 3."""
    with exit_codes():
        settings = load(config)
        with opened(settings) as database:
            studies = StudyStore(database, SystemClock())
            studies.show(uid)
            if not yes:
                typer.confirm(f"Delete study {uid} and everything made from it?", abort=True)
            paths = studies.forget(uid)
    for path in paths:
        _remove(settings.spool.path / path)
    typer.echo(f"study {uid} is forgotten, {len(paths)} files and folders removed")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
